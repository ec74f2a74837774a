// A network that is stepped one observation at a time: weights packed for one instruction set, and where the
// numbers of a key's state lie. No function in this header has a body; see lamina/ops/csrc/problem.h for why.
#pragma once
#include <cstddef>
#include <cstdint>

#include "../../ops/csrc/problem.h"

namespace lamina {
namespace streaming {

// How weights are stored. Sums, gates and states are float32 throughout.
enum class Storage : int { float32, bfloat16, int8 };
// How a recurrent layer's output joins what it read; see lamina/nn/stack.py.
enum class Joint : int { replace, add, concatenate };
// What becomes of the outputs of many steps; see lamina/nn/pooling.py.
enum class Pool : int { last, mean, max };

constexpr Size kRows = 24;     // keys that are stepped side by side
constexpr Size kPad = 16;      // rows of numbers are padded to so many, which every instruction set divides
constexpr Size kStateAlign = 64;
constexpr float kLargest = 1e18f;  // of a number that a network reads: products of two such do not overflow

// Panels [panel][depth][gate][lane] of a matrix (gates * units, depth), zero where sizes are padded.
// bfloat16: two of depth in 32 bits, int8: four, so that widening them takes a shift or two.
struct Panels {
  Size depth = 0, units = 0, gates = 0;
  Storage storage = Storage::float32;
  const void* data = nullptr;  // null: no such product
  Size panel_bytes = 0;
};

// blocks = bias + input panels * x + recurrent panels * h. The input product fills blocks [0, gates), the
// recurrent one [recurrent_first, recurrent_first + gates); where they overlap the products add up.
struct Products {
  Panels input, recurrent;
  int recurrent_first = 0, blocks = 0;
  Size padded = 0;            // numbers of a block
  const float* bias = nullptr;   // (blocks, padded)
  const float* ratio = nullptr;  // int8 only: scale of the input's rows over that of the recurrent rows
  const float* scale = nullptr;  // int8 only: what the sums are multiplied by at last
};

struct Norm {  // null gain: none
  Size size = 0;
  const float *gain = nullptr, *shift = nullptr;
};

struct Layer {
  Cell cell = Cell::lstm;
  Size inputs = 0, hidden = 0;
  Norm norm;                // of what the layer reads
  Products products;        // for normalised cells of the input only
  Products recurrent;       // normalised cells: of h alone
  const float *extra = nullptr, *valid = nullptr, *keep = nullptr;  // keep: zoneout's share, null for none
  Size h = 0, c = 0;        // where the states lie in a key's numbers; c is -1 where there is none
  Joint joint = Joint::replace;
  Products project;         // of what was read, where it is added and sizes differ
  const float* gate = nullptr;  // what the output is multiplied by before it is added; null for 1
  Size outputs = 0;         // of the joint
};

struct Network {
  Size inputs = 0, body = 0, outputs = 0;  // of a row, of the stack, of the answer
  bool embeds = false, answers = false;    // whether a linear map comes before and after
  Products embed;
  const Layer* layers = nullptr;
  Size count = 0;
  Norm final_norm;
  Pool pool = Pool::last;
  bool attends = false;      // joins an attention over all outputs so far
  Products key, query;       // of the attention
  Products head;
  Size pooled = 0, attention = 0, steps = 0;  // where they lie in a key's bytes
  Size state_bytes = 0;
  Size widest = 0, most_blocks = 0;  // numbers of the widest row, and of the most products
};

// Rows of numbers that a step works in, kRows of each.
struct Frame {
  float *below, *normed, *y, *other;  // (kRows, widest)
  float* blocks;                      // (kRows, most_blocks)
  float* temporary;                   // (2, widest)
};

// The entry points of one instruction set.
struct StepUnit {
  const char* name;
  Size lanes;  // numbers of a vector, and units of a panel
  // One step of `rows` keys. In: their rows in frame.below; out: what the stack gives, in frame.below.
  void (*advance)(const Network&, const Frame&, Size rows, char* const* states);
  // The answer to what has been read so far: pooled, and through the head; (rows, outputs) to `out`.
  void (*answer)(const Network&, const Frame&, Size rows, char* const* states, float* out, Size stride);
  // out = bias + panels * x for one row.
  void (*linear)(const Products&, const float* x, float* out);
  // to = gelu(to + from); both have room up to a multiple of kPad.
  void (*add_gelu)(const float* from, float* to, Size size);
  // Read every recurrent weight once and do nothing else: what no step can be faster than.
  float (*read)(const Network&);
};

const StepUnit* generic_steps();
const StepUnit* avx2_steps();    // null where not built for this kind of processor
const StepUnit* avx512_steps();

}  // namespace streaming
}  // namespace lamina
