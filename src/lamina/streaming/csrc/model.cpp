#include "model.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <new>
#include <stdexcept>

namespace lamina {
namespace streaming {

namespace {

Size round_up(Size n, Size to) { return (n + to - 1) / to * to; }

const StepUnit* find_unit(const std::string& name) {
  const auto runs = [](const StepUnit* unit) {
#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
    __builtin_cpu_init();
    if (unit == avx512_steps()) return __builtin_cpu_supports("avx512f") != 0;
    if (unit == avx2_steps()) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif
    return unit == generic_steps();
  };
  for (const StepUnit* unit : {avx512_steps(), avx2_steps(), generic_steps()})
    if (unit != nullptr && runs(unit) && (name.empty() || name == unit->name)) return unit;
  return nullptr;
}

// Upper half of a float32, rounded to nearest, ties to even.
std::uint16_t to_bfloat16(float value) {
  std::uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return static_cast<std::uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

struct CellForm {
  int gates, recurrent_first, blocks;
  bool memory, normalised;
  std::vector<int> w_order, r_order;
};

// Block orders are those that lamina/ops/csrc/cells.h and layer_norm.h compute with.
CellForm form_of(Cell cell) {
  switch (cell) {
    case Cell::tanh:
    case Cell::relu: return {1, 0, 1, false, false, {0}, {0}};
    case Cell::lstm: return {4, 0, 4, true, false, {0, 1, 2, 3}, {0, 1, 2, 3}};
    case Cell::gru: return {3, 1, 4, false, false, {2, 0, 1}, {0, 1, 2}};
    case Cell::layer_norm_lstm: return {4, 0, 4, true, true, {0, 1, 2, 3}, {0, 1, 2, 3}};
    case Cell::layer_norm_gru: return {3, 0, 3, false, true, {0, 1, 2}, {0, 1, 2}};
  }
  throw std::invalid_argument("no such cell");
}

}  // namespace

std::vector<std::string> runnable_step_units() {
  std::vector<std::string> found;
  for (const char* name : {"avx512", "avx2", "generic"})
    if (find_unit(name) != nullptr) found.emplace_back(name);
  return found;
}

void Model::Free::operator()(void* memory) const { ::operator delete(memory, std::align_val_t(kStateAlign)); }

Model::Model(Storage storage, const std::string& unit) : storage_(storage), unit_(find_unit(unit)) {
  if (unit_ == nullptr) throw std::invalid_argument("this processor has no unit called '" + unit + "'");
  network_.steps = network_.pooled = network_.attention = -1;
}

void* Model::bytes(Size count) {
  // a vector may be read beyond the last number
  const std::size_t size = static_cast<std::size_t>(round_up(count, kStateAlign) + kStateAlign);
  memory_.emplace_back(::operator new(size, std::align_val_t(kStateAlign)));
  std::memset(memory_.back().get(), 0, size);
  return memory_.back().get();
}

float* Model::floats(Size count) { return static_cast<float*>(bytes(count * static_cast<Size>(sizeof(float)))); }

Panels Model::pack(Given w, Size units, const std::vector<int>& order, Storage storage, std::vector<float>* scales) {
  const Size lanes = unit_->lanes, gates = static_cast<Size>(order.size()), panels = round_up(units, lanes) / lanes;
  const Size per = storage == Storage::float32 ? 1 : storage == Storage::bfloat16 ? 2 : 4;
  const Size groups = round_up(w.columns, per) / per;
  Panels out;
  out.depth = groups * per;
  out.units = units;
  out.gates = gates;
  out.storage = storage;
  out.panel_bytes = groups * gates * lanes * 4;
  char* const data = static_cast<char*>(bytes(panels * out.panel_bytes));
  scales->assign(static_cast<std::size_t>(gates * panels * lanes), 1.0f);
  for (Size g = 0; g < gates; ++g) {
    for (Size u = 0; u < units; ++u) {
      const float* const row = w.data + (order[static_cast<std::size_t>(g)] * units + u) * w.columns;
      float largest = 0.0f;
      for (Size k = 0; k < w.columns; ++k) largest = std::max(largest, std::fabs(row[k]));
      const float scale = storage == Storage::int8 && largest > 0.0f ? largest / 127.0f : 1.0f;
      (*scales)[static_cast<std::size_t>(g * panels * lanes + u)] = scale;
      for (Size k = 0; k < w.columns; ++k) {
        const Size word = (k / per * gates + g) * lanes + u % lanes;
        char* const at = data + u / lanes * out.panel_bytes + word * 4;
        if (storage == Storage::float32) {
          std::memcpy(at, row + k, 4);
        } else if (storage == Storage::bfloat16) {
          const std::uint16_t half = to_bfloat16(row[k]);
          std::memcpy(at + 2 * (k % per), &half, 2);
        } else {
          const std::int8_t byte = static_cast<std::int8_t>(std::lround(row[k] / scale));
          std::memcpy(at + k % per, &byte, 1);
        }
      }
    }
  }
  out.data = data;
  weight_bytes_ += panels * out.panel_bytes;
  multiplications_ += gates * units * w.columns;
  return out;
}

Products Model::products(Given w, Given r, Size units, int gates, int recurrent_first, const std::vector<int>& w_order,
                         const std::vector<int>& r_order, Storage storage) {
  Products m;
  m.padded = round_up(units, unit_->lanes);
  m.recurrent_first = recurrent_first;
  m.blocks = r.data == nullptr ? gates : gates + recurrent_first;
  std::vector<float> input, recurrent;
  m.input = pack(w, units, w_order, storage, &input);
  if (r.data != nullptr) m.recurrent = pack(r, units, r_order, storage, &recurrent);
  m.bias = floats(m.blocks * m.padded);
  if (storage == Storage::int8) {
    // weights are read as 2^24 times their value
    float *const ratio = floats(m.blocks * m.padded), *const scale = floats(m.blocks * m.padded);
    for (Size b = 0; b < m.blocks; ++b) {
      const bool reads_x = b < gates, reads_h = r.data != nullptr && b >= recurrent_first;
      for (Size u = 0; u < m.padded; ++u) {
        const Size at = b * m.padded + u;
        const float x = reads_x ? input[static_cast<std::size_t>(at)] : 1.0f;
        const float h = reads_h ? recurrent[static_cast<std::size_t>(at - recurrent_first * m.padded)] : x;
        ratio[at] = x / h;
        scale[at] = std::ldexp(h, -24);
      }
    }
    m.ratio = ratio;
    m.scale = scale;
  }
  note(m);
  return m;
}

void Model::note(const Products& m) { widest_ = std::max({widest_, m.input.depth, m.padded * m.blocks}); }

Products Model::linear(Given w, Given b) {
  Products m = products(w, {}, w.rows, 1, 0, {0}, {}, Storage::float32);
  if (b.data != nullptr) std::copy_n(b.data, w.rows, const_cast<float*>(m.bias));
  return m;
}

Norm Model::norm(Given gain, Given shift) {
  Norm out;
  out.size = gain.columns;
  float *const gains = floats(gain.columns), *const shifts = floats(gain.columns);
  std::copy_n(gain.data, gain.columns, gains);
  std::copy_n(shift.data, shift.columns, shifts);
  out.gain = gains;
  out.shift = shifts;
  return out;
}

void Model::embed(Given w, Given b) {
  network_.embed = linear(w, b);
  network_.embeds = true;
}

void Model::layer(const GivenLayer& given) {
  const CellForm form = form_of(given.cell);
  Layer layer;
  layer.cell = given.cell;
  layer.inputs = given.w.columns;
  layer.hidden = given.r.columns;
  if (given.norm_gain.data != nullptr) layer.norm = norm(given.norm_gain, given.norm_shift);
  if (form.normalised) {
    layer.products = products(given.w, {}, layer.hidden, form.gates, 0, form.w_order, {}, storage_);
    layer.recurrent = products(given.r, {}, layer.hidden, form.gates, 0, form.r_order, {}, storage_);
  } else {
    layer.products = products(given.w, given.r, layer.hidden, form.gates, form.recurrent_first, form.w_order, form.r_order, storage_);
  }
  const Size padded = layer.products.padded;
  if (given.b.data != nullptr) {
    float* const bias = const_cast<float*>(layer.products.bias);
    for (Size g = 0; g < form.gates; ++g) {
      for (Size u = 0; u < layer.hidden; ++u) {
        const std::size_t i = static_cast<std::size_t>(g);
        bias[g * padded + u] += given.b.data[form.w_order[i] * layer.hidden + u];
        bias[(form.recurrent_first + g) * padded + u] += given.c.data[form.r_order[i] * layer.hidden + u];
      }
    }
  }
  if (!given.extra.empty()) {
    Size rows = 0;
    for (const Given& extra : given.extra) rows += extra.rows;
    float* to = floats(rows * padded);
    layer.extra = to;
    for (const Given& extra : given.extra)
      for (Size row = 0; row < extra.rows; ++row, to += padded) std::copy_n(extra.data + row * layer.hidden, layer.hidden, to);
  }
  float* const valid = floats(padded);
  std::fill_n(valid, layer.hidden, 1.0f);
  layer.valid = valid;
  if (given.zoneout > 0) {
    float* const keep = floats(padded);
    std::fill_n(keep, layer.hidden, given.zoneout);
    layer.keep = keep;
  }
  layer.h = numbers_;
  numbers_ += round_up(layer.hidden, kPad);
  layer.c = form.memory ? numbers_ : -1;
  if (form.memory) numbers_ += round_up(layer.hidden, kPad);
  layer.joint = given.joint;
  if (given.project.data != nullptr) layer.project = linear(given.project, {});
  if (given.gate.data != nullptr) {
    float* const gate = floats(layer.hidden);
    std::copy_n(given.gate.data, layer.hidden, gate);
    layer.gate = gate;
  }
  layer.outputs = layer.joint == Joint::concatenate ? layer.inputs + layer.hidden : layer.hidden;
  widest_ = std::max({widest_, layer.outputs, padded});
  // normalised cells also keep a row of their memory and their statistics behind the products
  most_blocks_ = std::max(most_blocks_, (2 * Size(form.gates) + 2) * padded + kStatistics);
  layers_.push_back(layer);
}

void Model::final_norm(Given gain, Given shift) { network_.final_norm = norm(gain, shift); }

void Model::read(Pool pool, Given key, Given key_bias, Given query) {
  network_.pool = pool;
  network_.steps = 0;  // placed by finish
  if (key.data != nullptr) {
    network_.attends = true;
    network_.key = linear(key, key_bias);
    network_.query = linear(query, {});
  }
}

void Model::head(Given w, Given b) {
  network_.head = linear(w, b);
  network_.answers = true;
}

void Model::finish(Size inputs) {
  Network& net = network_;
  net.layers = layers_.data();
  net.count = static_cast<Size>(layers_.size());
  net.inputs = inputs;
  net.body = layers_.back().outputs;
  net.outputs = net.answers ? net.head.input.units : net.body * (net.attends ? 2 : 1);
  Size at = round_up(numbers_ * static_cast<Size>(sizeof(float)), kStateAlign);
  if (net.steps >= 0) {
    net.steps = at;
    net.pooled = at + 8;
    at = net.pooled + round_up(net.body * (net.pool == Pool::mean ? 8 : 4), 8);
    net.attention = net.attends ? at : -1;
    if (net.attends) at += (2 + net.body) * 8;
  }
  net.state_bytes = round_up(at, kStateAlign);
  net.widest = round_up(std::max({widest_, inputs, 2 * net.body}), kPad) + kPad;
  net.most_blocks = round_up(most_blocks_, kPad) + kPad;
  const Size row = kRows * net.widest;
  frame_ = {floats(row), floats(row), floats(row), floats(row), floats(kRows * net.most_blocks), floats(2 * net.widest)};
}

Frame Model::frame() { return frame_; }

}  // namespace streaming
}  // namespace lamina
