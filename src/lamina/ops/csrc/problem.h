// What a kernel is asked to compute: plain data, shared by every instruction-set unit.
//
// No function in this header has a body. Units are compiled with different processor flags, and the
// linker keeps one copy of an inline function: it could keep the one that this processor cannot run.
#pragma once
#include <atomic>
#include <cstdint>

namespace lamina {

using Size = std::int64_t;

enum class Cell : int { tanh, relu, lstm, gru, layer_norm_lstm, layer_norm_gru };

// How a cell lays out one saved step of one row: `blocks` blocks of padded hidden units, of which the
// input product fills [w_first, w_first + gates) and the recurrent product [r_first, r_first + gates).
// Where the two ranges overlap the products add up. w_order and r_order give the torch gate of each block:
// the GRU keeps n, r, z, (R h + c)_n, so that both of its ranges are contiguous.
struct CellShape {
  int gates, blocks, w_first, r_first;
  bool memory;      // has a second state c, saved behind the blocks
  bool normalised;  // has layer-norm gains, and saves its statistics behind the memory
  int w_order[4], r_order[4];
  int extra_rows[5];  // rows of each parameter of the cell's own, in the order of Cell.extra
};

constexpr Size kStatistics = 16;  // room for the reciprocal deviations of 8 blocks, and two numbers for c

// A number stored in bfloat16: the upper half of a float. It is computed with as a float.
struct Bf16 {
  std::uint16_t bits;
};

template <class S>
struct Computed {
  using Type = S;
};
template <>
struct Computed<Bf16> {
  using Type = float;
};
template <class S>
using Compute = typename Computed<S>::Type;

// One direction of one layer over numbers stored as S. Every array is contiguous; a null pointer means
// "absent". Without a projection outputs is hidden.
template <class S>
struct Problem {
  using T = Compute<S>;
  Cell cell = Cell::lstm;
  Size batch = 0, time = 0, features = 0, hidden = 0, outputs = 0;
  bool reverse = false;
  bool training = false;                 // keep in `saved` what backward needs
  const Size* lengths = nullptr;         // (batch)
  const S* x = nullptr;                  // (batch, time, features)
  const S *w = nullptr, *r = nullptr;    // (gates * hidden, features), (gates * hidden, outputs)
  const S *b = nullptr, *c = nullptr;    // (gates * hidden)
  const S* projection = nullptr;         // (outputs, hidden)
  const S *h0 = nullptr, *c0 = nullptr;  // (batch, outputs), (batch, hidden)
  const S* extra[5] = {};                // (extra_rows, hidden)
  const T* recurrent_mask = nullptr;     // (batch, outputs)
  const std::uint8_t *keep_h = nullptr, *keep_c = nullptr;  // zoneout masks, (batch, time, outputs or hidden)
  T rate_h = 0, rate_c = 0;                                 // zoneout rates, where there are no masks
  S* y = nullptr;                                           // (batch, time, outputs)
  S *hn = nullptr, *cn = nullptr;                           // (batch, outputs), (batch, hidden)
  T* saved = nullptr;                                       // (sum of lengths, saved width)

  // Gradients that come in (null is zero) and that go out (null is not wanted).
  const S *dy = nullptr, *dhn = nullptr, *dcn = nullptr;
  S *dx = nullptr, *dw = nullptr, *dr = nullptr, *db = nullptr, *dc = nullptr, *dprojection = nullptr;
  S *dh0 = nullptr, *dc0 = nullptr;
  S* dextra[5] = {};
};

// A group of rows that walks through time together, longest first, so that the rows still running at a
// step are always the first ones. Its saved steps are packed: step s of row j is number offset[s] + j.
struct Block {
  Size rows, steps;
  const Size* row;     // (rows) index into the batch
  const Size* length;  // (rows)
  const Size* offset;  // (steps + 1) valid steps of the block before step s
  Size first;          // number of valid steps in the blocks before this one
};

// Weights rearranged into panels of columns, [panel][depth][columns], zero where the sizes are padded. A
// unit whose products take pairs of bfloat16 keeps one pair in the room of each T.
template <class T>
struct Packed {
  T *w, *r;       // forward: one run of panels a gate; backward: panels over features and over outputs
  T* projection;  // forward: panels over outputs; backward: over hidden units
  T* bias;        // (blocks, padded hidden)
  T* extra;       // (sum of extra_rows, padded hidden)
  T* valid;       // (padded hidden) 1 for a hidden unit, 0 for padding
};

// Gradients of the weights that one block contributes, padded as Packed is.
template <class T>
struct WeightGradients {
  T *w, *r;       // (gates, padded hidden, padded features) and (gates, padded hidden, padded outputs)
  T* projection;  // (padded outputs, padded hidden)
  T* bias;        // (blocks, padded hidden)
  T* extra;       // (sum of extra_rows, padded hidden)
};

// Where the threads that share a block meet.
class Barrier {
 public:
  void wait(int members);  // spins, then yields; returns when so many threads have called it

 private:
  std::atomic<int> waiting_{0}, round_{0};
};

// One thread's part in one block: it owns the units of its share, of every row.
template <class S>
struct Share {
  using T = Compute<S>;
  const Problem<S>* problem;
  const CellShape* shape;
  const Packed<T>* packed;
  const Block* block;
  int member, members;
  Barrier* barrier;
  T* scratch;  // forward_scratch or backward_scratch numbers, shared by the members
  WeightGradients<T> gradients;
};

// Numbers to set to zero, each with a chance, and to scale by 1 / (1 - rate) otherwise. Which are dropped hangs on
// the seed and their place alone, so that the same call on a gradient gives the gradient, and no mask is kept.
template <class S>
struct Dropped {
  const S* x;
  S* y;
  Size numbers;
  std::uint64_t seed;
  double rate;  // in [0, 1)
};

// Rows of scores, of which each has one wanted entry; in their place comes the gradient of `scale` times the sum
// of -log(softmax) at the wanted entries.
template <class S>
struct Scores {
  using T = Compute<S>;
  Size rows, tokens;
  S* scores;            // (rows, tokens)
  const Size* targets;  // (rows)
  T scale;
};

// The entry points of one instruction set.
template <class S>
struct Kernels {
  using T = Compute<S>;
  Size columns;  // of a panel; hidden units, outputs and features are padded to a multiple of it
  Size (*width)(const Problem<S>&, const CellShape&);  // numbers saved for one step of one row
  Size (*forward_scratch)(const Problem<S>&, const CellShape&, const Block&, int members);
  Size (*backward_scratch)(const Problem<S>&, const CellShape&, const Block&, int members);
  void (*pack_forward)(const Problem<S>&, const CellShape&, const Packed<T>&, int member, int members);
  void (*pack_backward)(const Problem<S>&, const CellShape&, const Packed<T>&, int member, int members);
  void (*forward)(const Share<S>&);
  void (*backward)(const Share<S>&);
  void (*drop)(const Dropped<S>&, int member, int members);
  // For a member's share of the rows: their sum, and in to_bias (tokens) that of their gradients. There is room in
  // `powers` for the tokens in whole panels.
  double (*softmax_errors)(const Scores<S>&, T* to_bias, T* powers, int member, int members);
  T (*exercise)(Size rounds);  // multiply and add in registers, to find the processor's limit
  Size operations_per_round;
};

}  // namespace lamina
