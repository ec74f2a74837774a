// One block of rows through all its steps, forward and backward.
//
// Steps are taken in chunks. The input product of a chunk is one product over all its rows and steps; the
// recurrent products follow step by step and add to it in place. Going back, the gradients of a chunk's
// products are kept until its last step is done; then the gradients of x and of the weights are products
// over the whole chunk. A chunk is about kChunkRows rows of work, which its caches hold.
#pragma once
#include "layer_norm.h"
#include "matmul.h"

namespace lamina {
namespace {

constexpr Size kChunkRows = 256;

// Hands out pieces of a buffer; without a buffer it only counts.
template <class T>
class Arena {
 public:
  explicit Arena(T* base) : base_(base) {}
  T* take(Size n) {
    T* piece = base_ == nullptr ? nullptr : base_ + used_;
    used_ += (n + kLine - 1) / kLine * kLine;
    return piece;
  }
  template <class P>
  P* take_as(Size n) {
    return reinterpret_cast<P*>(take((n * static_cast<Size>(sizeof(P)) + sizeof(T) - 1) / sizeof(T)));
  }
  Size used() const { return used_; }

 private:
  static constexpr Size kLine = 64 / sizeof(T);  // a cache line, so that threads do not share one
  T* base_;
  Size used_ = 0;
};

inline Size chunk_steps(const Block& block) {
  const Size steps = block.rows == 0 ? 0 : smaller(divide_up(kChunkRows, block.rows), block.steps);
  return steps > 0 ? steps : 1;  // a block without rows, or whose rows are all empty, has no step at all
}
inline Size active(const Block& block, Size step) { return block.offset[step + 1] - block.offset[step]; }

template <class T, int Bytes, int MaxRows>
struct Sequence {
  using L = Lanes<T, Bytes>;
  using V = typename L::Vector;
  using M = Matmul<T, Bytes, MaxRows>;
  using G = Gates<T, Bytes>;
  using N = NormalisedGates<T, Bytes>;

  static Size pad(Size n) { return divide_up(n, M::columns) * M::columns; }
  static Size width(const Problem<T>& p, const CellShape& shape) {
    return pad(p.hidden) * (shape.blocks + (shape.memory ? 1 : 0)) + (shape.normalised ? kStatistics : 0);
  }

  // What forward and backward both look up: sizes, and where a row stands in the arrays of the problem.
  struct View {
    const Problem<T>& p;
    const CellShape& shape;
    const Block& block;
    Size padded, width, first, last;  // [first, last): units owned, a whole number of panels

    View(const Problem<T>& problem, const CellShape& s, const Block& b, int member, int members)
        : p(problem), shape(s), block(b), padded(pad(p.hidden)), width(Sequence::width(p, s)) {
      const Size panels = padded / M::columns;
      first = member * panels / members * M::columns;
      last = (member + 1) * panels / members * M::columns;
    }
    Size first_panel() const { return first / M::columns; }
    Size last_panel() const { return last / M::columns; }
    Size place(Size step, Size j) const {  // number of the input that row j reads at a step: row * time + t
      return block.row[j] * p.time + (p.reverse ? block.length[j] - 1 - step : step);
    }
    const T* h_before(Size step, Size j) const {  // (hidden)
      return step == 0 ? p.h0 + block.row[j] * p.hidden : p.y + place(step - 1, j) * p.hidden;
    }
    // The share of the old state that each owned unit keeps at input `number`, in `to`; null for none.
    const T* keep(const std::uint8_t* masks, T rate, Size number, T* to) const {
      if (masks == nullptr && rate == 0) return nullptr;
      for (Size u = first; u < last; ++u)
        to[u] = masks == nullptr ? rate : T(u < p.hidden && masks[number * p.hidden + u] != 0);
      return to;
    }
    V load(const T* from, Size u) const {  // unit u and on of (hidden), zero behind the end
      return u < p.hidden ? L::load_some(from + u, p.hidden - u) : V{};
    }
    void copy_in(const T* from, T* to) const {  // (hidden) -> (padded), owned units
      for (Size u = first; u < last; u += L::count)
        L::store(to + u, from == nullptr ? V{} : load(from, u));
    }
    void copy_out(const T* from, T* to) const {  // (padded) -> (hidden), owned units
      for (Size u = first; u < smaller(last, p.hidden); u += L::count)
        L::store_some(to + u, L::load(from + u), p.hidden - u);
    }
  };

  static void meet(const Share<T>& share) {
    if (share.members > 1) share.barrier->wait(share.members);
  }

  template <class Step>
  static Step start_step(const Share<T>& share, const View& v, T* temporary) {
    Step step{};
    step.extra = share.packed->extra;
    step.valid = share.packed->valid;
    step.temporary = temporary;
    step.hidden = v.p.hidden;
    step.padded = v.padded;
    step.first = v.first;
    step.last = v.last;
    return step;
  }

  static void list_inputs(const View& v, Size begin, Size end, const T** rows) {
    for (Size s = begin; s < end; ++s)
      for (Size j = 0; j < active(v.block, s); ++j) *rows++ = v.p.x + v.place(s, j) * v.p.features;
  }

  static void zero_padding(const View& v, T* rows, Size row_width, Size from, Size to) {
    for (Size j = 0; j < v.block.rows; ++j)
      for (Size t = v.block.length[j]; t < v.p.time; ++t)
        for (Size u = from; u < to; ++u) rows[(v.block.row[j] * v.p.time + t) * row_width + u] = 0;
  }

  // ---- forward

  struct ForwardScratch {
    T *h[2], *masked[2], *c, *keep_h, *keep_c, *temporary, *chunk;
    const T** inputs;  // a list for each member

    ForwardScratch(Arena<T>& arena, const Problem<T>& p, const CellShape& shape, const Block& block, int members) {
      const Size padded = pad(p.hidden), state = block.rows * padded;
      const Size rows = chunk_steps(block) * block.rows;
      for (int i = 0; i < 2; ++i) {
        h[i] = arena.take(state);
        masked[i] = p.recurrent_mask == nullptr ? h[i] : arena.take(state);
      }
      c = arena.take(state);
      keep_h = arena.take(padded);
      keep_c = arena.take(padded);
      temporary = arena.take(2 * padded);
      chunk = p.training ? nullptr : arena.take(rows * width(p, shape));
      inputs = arena.template take_as<const T*>(rows * members);
    }
  };

  static Size forward_scratch(const Problem<T>& p, const CellShape& shape, const Block& block, int members) {
    Arena<T> arena(nullptr);
    ForwardScratch(arena, p, shape, block, members);
    return arena.used();
  }

  static void forward(const Share<T>& share) {
    const View v(*share.problem, *share.shape, *share.block, share.member, share.members);
    switch (v.p.cell) {
      case Cell::tanh: return forward_as(share, v, [](const ForwardStep<T>& s) { G::template simple<false>(s); });
      case Cell::relu: return forward_as(share, v, [](const ForwardStep<T>& s) { G::template simple<true>(s); });
      case Cell::lstm: return forward_as(share, v, [](const ForwardStep<T>& s) { G::lstm(s); });
      case Cell::gru: return forward_as(share, v, [](const ForwardStep<T>& s) { G::gru(s); });
      case Cell::layer_norm_lstm: return forward_as(share, v, [](const ForwardStep<T>& s) { N::lstm(s); });
      case Cell::layer_norm_gru: return forward_as(share, v, [](const ForwardStep<T>& s) { N::gru(s); });
    }
  }

  template <class Apply>
  static void forward_as(const Share<T>& share, const View& v, Apply apply) {
    const Block& block = v.block;
    Arena<T> arena(share.scratch);
    const ForwardScratch scratch(arena, v.p, v.shape, block, share.members);
    T* const saved = v.p.training ? v.p.saved + block.first * v.width : nullptr;
    zero_padding(v, v.p.y, v.p.hidden, v.first, smaller(v.last, v.p.hidden));
    start_states(v, scratch);
    meet(share);

    const Size stride = chunk_steps(block);
    for (Size begin = 0; begin < block.steps; begin += stride) {
      const Size end = smaller(begin + stride, block.steps);
      T* const chunk = v.p.training ? saved + block.offset[begin] * v.width : scratch.chunk;
      project(share, v, scratch, begin, end, chunk);
      for (Size s = begin; s < end; ++s) {
        T* const rows = chunk + (block.offset[s] - block.offset[begin]) * v.width;
        recur(share, v, scratch.masked[s % 2], s, rows);
        ForwardStep<T> step = start_step<ForwardStep<T>>(share, v, scratch.temporary);
        for (Size j = 0; j < active(block, s); ++j) {
          const Size number = v.place(s, j), at = j * v.padded, memory = v.shape.blocks * v.padded;
          step.blocks = rows + j * v.width;
          step.h_old = scratch.h[s % 2] + at;
          step.h_new = scratch.h[(s + 1) % 2] + at;
          step.c_new = v.p.training ? step.blocks + memory : scratch.c + at;
          step.c_old = v.p.training && s > 0 ? saved + (block.offset[s - 1] + j) * v.width + memory : scratch.c + at;
          step.keep_h = v.keep(v.p.keep_h, v.p.rate_h, number, scratch.keep_h);
          step.keep_c = v.keep(v.p.keep_c, v.p.rate_c, number, scratch.keep_c);
          step.y = v.p.y + number * v.p.hidden;
          apply(step);
          if (v.p.recurrent_mask != nullptr) apply_mask(v, j, step.h_new, scratch.masked[(s + 1) % 2] + at);
          if (s + 1 == block.length[j]) put_final(v, j, step.h_new, step.c_new);
        }
        meet(share);
      }
    }
  }

  static void apply_mask(const View& v, Size j, const T* h, T* to) {
    const T* mask = v.p.recurrent_mask + v.block.row[j] * v.p.hidden;
    for (Size u = v.first; u < v.last; u += L::count)
      L::store(to + u, L::load(h + u) * v.load(mask, u));
  }

  static void put_final(const View& v, Size j, const T* h, const T* c) {
    const Size row = v.block.row[j] * v.p.hidden;
    v.copy_out(h, v.p.hn + row);
    if (v.shape.memory) v.copy_out(c, v.p.cn + row);
  }

  static void start_states(const View& v, const ForwardScratch& scratch) {
    for (Size j = 0; j < v.block.rows; ++j) {
      const Size row = v.block.row[j] * v.p.hidden, at = j * v.padded;
      v.copy_in(v.p.h0 + row, scratch.h[0] + at);
      if (v.p.recurrent_mask != nullptr) apply_mask(v, j, scratch.h[0] + at, scratch.masked[0] + at);
      if (v.shape.memory) v.copy_in(v.p.c0 + row, scratch.c + at);
      if (v.block.length[j] == 0) put_final(v, j, scratch.h[0] + at, scratch.c + at);
    }
  }

  // The owned units of W x + b for every input of the chunk; blocks that W does not reach get the bias.
  static void project(const Share<T>& share, const View& v, const ForwardScratch& scratch, Size begin, Size end,
                      T* chunk) {
    const Size rows = v.block.offset[end] - v.block.offset[begin];
    const T** inputs = scratch.inputs + share.member * chunk_steps(v.block) * v.block.rows;
    list_inputs(v, begin, end, inputs);
    for (int q = 0; q < v.shape.blocks; ++q) {
      const int gate = q - v.shape.w_first;
      const bool reached = gate >= 0 && gate < v.shape.gates;
      M::multiply(Listed<T>{inputs}, rows, reached ? v.p.features : 0,
                  share.packed->w + (reached ? gate : 0) * v.padded * v.p.features, v.first_panel(), v.last_panel(),
                  share.packed->bias + q * v.padded, 0, chunk + q * v.padded, v.width);
    }
  }

  // Add the owned units of R h to the products of one step.
  static void recur(const Share<T>& share, const View& v, const T* h, Size step, T* rows) {
    for (int q = 0; q < v.shape.gates; ++q) {
      T* to = rows + (v.shape.r_first + q) * v.padded;
      M::multiply(Strided<T>{h, v.padded}, active(v.block, step), v.p.hidden,
                  share.packed->r + q * v.padded * v.p.hidden, v.first_panel(), v.last_panel(), to, v.width, to,
                  v.width);
    }
  }

  // ---- backward

  struct BackwardScratch {
    T *dh, *dc, *c0, *through_r, *keep_h, *keep_c, *temporary, *zeros, *d_chunk, *dx;
    // one for each member
    const T **inputs, **states, **masks;
    T *columns, *panel;

    BackwardScratch(Arena<T>& arena, const Problem<T>& p, const CellShape& shape, const Block& block, int members) {
      const Size padded = pad(p.hidden), state = block.rows * padded, rows = chunk_rows(block);
      dh = arena.take(state);
      dc = arena.take(state);
      c0 = arena.take(state);
      through_r = p.recurrent_mask == nullptr ? dh : arena.take(state);
      keep_h = arena.take(padded);
      keep_c = arena.take(padded);
      temporary = arena.take(5 * padded);
      zeros = arena.take(pad(p.features > p.hidden ? p.features : p.hidden));
      d_chunk = arena.take(rows * shape.blocks * padded);
      dx = arena.take(rows * pad(p.features));
      inputs = arena.template take_as<const T*>(rows * members);
      states = arena.template take_as<const T*>(rows * members);
      masks = arena.template take_as<const T*>(rows * members);
      columns = arena.take(members * column_room(padded, shape));
      panel = arena.take(members * panel_room());
    }
  };

  static Size chunk_rows(const Block& block) { return chunk_steps(block) * block.rows; }
  static Size column_room(Size padded, const CellShape& shape) {
    return shape.blocks * M::packed_columns(padded, kChunkRows);
  }
  static Size panel_room() { return kChunkRows * M::columns; }

  static Size backward_scratch(const Problem<T>& p, const CellShape& shape, const Block& block, int members) {
    Arena<T> arena(nullptr);
    BackwardScratch(arena, p, shape, block, members);
    return arena.used();
  }

  static void backward(const Share<T>& share) {
    const View v(*share.problem, *share.shape, *share.block, share.member, share.members);
    switch (v.p.cell) {
      case Cell::tanh: return backward_as(share, v, [](const BackwardStep<T>& s) { G::template simple<false>(s); });
      case Cell::relu: return backward_as(share, v, [](const BackwardStep<T>& s) { G::template simple<true>(s); });
      case Cell::lstm: return backward_as(share, v, [](const BackwardStep<T>& s) { G::lstm(s); });
      case Cell::gru: return backward_as(share, v, [](const BackwardStep<T>& s) { G::gru(s); });
      case Cell::layer_norm_lstm: return backward_as(share, v, [](const BackwardStep<T>& s) { N::lstm(s); });
      case Cell::layer_norm_gru: return backward_as(share, v, [](const BackwardStep<T>& s) { N::gru(s); });
    }
  }

  template <class Apply>
  static void backward_as(const Share<T>& share, const View& v, Apply apply) {
    const Block& block = v.block;
    Arena<T> arena(share.scratch);
    const BackwardScratch scratch(arena, v.p, v.shape, block, share.members);
    const T* const saved = v.p.saved + block.first * v.width;
    start_gradients(share, v, scratch);
    meet(share);

    const Size stride = chunk_steps(block), d_width = v.shape.blocks * v.padded;
    for (Size begin = (block.steps - 1) / stride * stride; begin >= 0; begin -= stride) {
      const Size end = smaller(begin + stride, block.steps);
      for (Size s = end - 1; s >= begin; --s) {
        T* const d_rows = scratch.d_chunk + (block.offset[s] - block.offset[begin]) * d_width;
        BackwardStep<T> step = start_step<BackwardStep<T>>(share, v, scratch.temporary);
        step.d_extra = share.gradients.extra;
        for (Size j = 0; j < active(block, s); ++j) {
          const Size number = v.place(s, j), at = j * v.padded, memory = v.shape.blocks * v.padded;
          step.blocks = saved + (block.offset[s] + j) * v.width;
          step.d_blocks = d_rows + j * d_width;
          step.h_old = v.h_before(s, j);
          step.c_new = step.blocks + memory;
          step.c_old = s > 0 ? saved + (block.offset[s - 1] + j) * v.width + memory : scratch.c0 + at;
          step.dh = scratch.dh + at;
          step.dc = scratch.dc + at;
          step.keep_h = v.keep(v.p.keep_h, v.p.rate_h, number, scratch.keep_h);
          step.keep_c = v.keep(v.p.keep_c, v.p.rate_c, number, scratch.keep_c);
          step.dy = v.p.dy == nullptr ? nullptr : v.p.dy + number * v.p.hidden;
          apply(step);
        }
        meet(share);
        pass_through_r(share, v, scratch, active(block, s), d_rows);
      }
      if (v.p.dx != nullptr) input_gradients(share, v, scratch, begin, end);
      weight_gradients(share, v, scratch, begin, end);
      meet(share);
    }
    for (Size j = 0; j < block.rows; ++j) {
      const Size row = block.row[j] * v.p.hidden, at = j * v.padded;
      if (v.p.dh0 != nullptr) v.copy_out(scratch.dh + at, v.p.dh0 + row);
      if (v.p.dc0 != nullptr) v.copy_out(scratch.dc + at, v.p.dc0 + row);
    }
  }

  static void clear(T* from, Size n) {
    for (Size i = 0; i < n; ++i) from[i] = 0;
  }

  static void start_gradients(const Share<T>& share, const View& v, const BackwardScratch& scratch) {
    for (Size j = 0; j < v.block.rows; ++j) {
      const Size row = v.block.row[j] * v.p.hidden, at = j * v.padded;
      v.copy_in(v.p.dhn == nullptr ? nullptr : v.p.dhn + row, scratch.dh + at);
      v.copy_in(v.p.dcn == nullptr ? nullptr : v.p.dcn + row, scratch.dc + at);
      v.copy_in(v.p.c0 == nullptr ? nullptr : v.p.c0 + row, scratch.c0 + at);
    }
    if (share.member == 0) {
      clear(scratch.zeros, pad(v.p.features > v.p.hidden ? v.p.features : v.p.hidden));
      if (v.p.dx != nullptr) zero_padding(v, v.p.dx, v.p.features, 0, v.p.features);
    }
    const auto& g = share.gradients;
    const Size owned = v.last - v.first;
    Size rows = 0;
    for (int q = 0; q < v.shape.gates; ++q) {
      const Size from = q * v.padded + v.first;
      clear(g.w + from * pad(v.p.features), owned * pad(v.p.features));
      clear(g.r + from * v.padded, owned * v.padded);
    }
    for (int q = 0; q < v.shape.blocks; ++q) clear(g.bias + q * v.padded + v.first, owned);
    for (int i = 0; i < 5; ++i) rows += v.shape.extra_rows[i];
    if (share.member == 0) clear(g.extra, rows * v.padded);
  }

  // dh += mask * (R^T d) for the owned units of the first `rows` rows.
  static void pass_through_r(const Share<T>& share, const View& v, const BackwardScratch& scratch, Size rows,
                             const T* d_rows) {
    const Strided<T> d{d_rows + v.shape.r_first * v.padded, v.shape.blocks * v.padded};
    const bool in_place = v.p.recurrent_mask == nullptr;
    M::multiply(d, rows, v.shape.gates * v.padded, share.packed->r, v.first_panel(), v.last_panel(),
                in_place ? scratch.dh : scratch.zeros, in_place ? v.padded : 0, scratch.through_r, v.padded);
    if (in_place) return;
    for (Size j = 0; j < rows; ++j) {
      const T* mask = v.p.recurrent_mask + v.block.row[j] * v.p.hidden;
      const T* from = scratch.through_r + j * v.padded;
      T* dh = scratch.dh + j * v.padded;
      for (Size u = v.first; u < v.last; u += L::count)
        L::store(dh + u, L::load(dh + u) + v.load(mask, u) * L::load(from + u));
    }
  }

  // dx of a chunk; the members share its rows.
  static void input_gradients(const Share<T>& share, const View& v, const BackwardScratch& scratch, Size begin,
                              Size end) {
    const Size rows = v.block.offset[end] - v.block.offset[begin], room = pad(v.p.features);
    const Size from = share.member * rows / share.members, to = (share.member + 1) * rows / share.members;
    const Strided<T> d{scratch.d_chunk + (from * v.shape.blocks + v.shape.w_first) * v.padded,
                       v.shape.blocks * v.padded};
    M::multiply(d, to - from, v.shape.gates * v.padded, share.packed->w, 0, room / M::columns, scratch.zeros, 0,
                scratch.dx + from * room, room);
    for (Size s = begin, n = 0; s < end; ++s) {
      for (Size j = 0; j < active(v.block, s); ++j, ++n) {
        if (n < from || n >= to) continue;
        T* row = v.p.dx + v.place(s, j) * v.p.features;
        for (Size i = 0; i < v.p.features; i += L::count)
          L::store_some(row + i, L::load(scratch.dx + n * room + i), v.p.features - i);
      }
    }
  }

  // What a chunk adds to the gradients of the owned rows of W, R and the biases.
  static void weight_gradients(const Share<T>& share, const View& v, const BackwardScratch& scratch, Size begin,
                               Size end) {
    const Size rows = v.block.offset[end] - v.block.offset[begin], room = chunk_rows(v.block);
    const T** inputs = scratch.inputs + share.member * room;
    const T** states = scratch.states + share.member * room;
    const T** masks = v.p.recurrent_mask == nullptr ? nullptr : scratch.masks + share.member * room;
    list_inputs(v, begin, end, inputs);
    for (Size s = begin, n = 0; s < end; ++s) {
      for (Size j = 0; j < active(v.block, s); ++j, ++n) {
        states[n] = v.h_before(s, j);
        if (masks != nullptr) masks[n] = v.p.recurrent_mask + v.block.row[j] * v.p.hidden;
      }
    }
    for (Size n = 0; n < rows; n += kChunkRows) {
      const Size depth = smaller(kChunkRows, rows - n);
      const T* d = scratch.d_chunk + n * v.shape.blocks * v.padded;
      T* columns = scratch.columns + share.member * column_room(v.padded, v.shape);
      T* panel = scratch.panel + share.member * panel_room();
      const Size owned = v.last - v.first, block_room = M::packed_columns(owned, depth);
      for (int q = 0; q < v.shape.blocks; ++q) {
        const T* from = d + q * v.padded + v.first;
        M::pack_columns(from, v.shape.blocks * v.padded, owned, depth, columns + q * block_room);
        add_rows(from, v.shape.blocks * v.padded, depth, owned, share.gradients.bias + q * v.padded + v.first);
      }
      add_product(v, columns + v.shape.w_first * block_room, block_room, depth, inputs + n, nullptr, v.p.features,
                  panel, share.gradients.w);
      add_product(v, columns + v.shape.r_first * block_room, block_room, depth, states + n,
                  masks == nullptr ? nullptr : masks + n, v.p.hidden, panel, share.gradients.r);
    }
  }

  static void add_rows(const T* from, Size stride, Size rows, Size width, T* to) {
    for (Size u = 0; u < width; u += L::count) {
      V sum = L::load(to + u);
      for (Size n = 0; n < rows; ++n) sum += L::load(from + n * stride + u);
      L::store(to + u, sum);
    }
  }

  // to += columns^T (mask * rows), for every gate.
  static void add_product(const View& v, const T* columns, Size block_room, Size depth, const T* const* rows,
                          const T* const* masks, Size row_width, T* panel, T* to) {
    const Size room = pad(row_width);
    for (Size p = 0; p < room; p += M::columns) {
      for (Size k = 0; k < depth; ++k) {
        for (Size i = 0; i < M::columns; i += L::count) {
          V values = p + i < row_width ? L::load_some(rows[k] + p + i, row_width - p - i) : V{};
          if (masks != nullptr && p + i < row_width) values *= L::load_some(masks[k] + p + i, row_width - p - i);
          L::store(panel + k * M::columns + i, values);
        }
      }
      for (int q = 0; q < v.shape.gates; ++q)
        M::multiply_transposed(columns + q * block_room, v.last - v.first, depth, panel,
                               to + (q * v.padded + v.first) * room + p, room);
    }
  }

  // ---- weights

  // Forward panels: for each gate, 2 vectors of its units across, the inputs down.
  static void pack_gates(const T* from, Size depth, Size hidden, int gates, const int* order, T* to, int member,
                         int members) {
    const Size panels = pad(hidden) / M::columns;
    for (Size n = member; n < gates * panels; n += members) {
      const Size first = n % panels * M::columns;
      const T* rows = from + (order[n / panels] * hidden + first) * depth;
      T* panel = to + n * depth * M::columns;
      for (Size u = 0; u < M::columns; ++u)
        for (Size k = 0; k < depth; ++k) panel[k * M::columns + u] = first + u < hidden ? rows[u * depth + k] : T(0);
    }
  }

  // Backward panels: 2 vectors of the matrix's columns across, the units of all gates down.
  static void pack_transposed(const T* from, Size width, Size hidden, int gates, const int* order, T* to,
                              int member, int members) {
    const Size padded = pad(hidden), depth = gates * padded;
    for (Size p = member; p < pad(width) / M::columns; p += members) {
      T* panel = to + p * depth * M::columns;
      for (int q = 0; q < gates; ++q) {
        for (Size u = 0; u < padded; ++u, panel += M::columns) {
          const T* row = from + (order[q] * hidden + u) * width;
          for (Size i = 0; i < M::columns; ++i) {
            const Size column = p * M::columns + i;
            panel[i] = u < hidden && column < width ? row[column] : T(0);
          }
        }
      }
    }
  }

  static void pack_forward(const Problem<T>& p, const CellShape& shape, const Packed<T>& packed, int member,
                           int members) {
    pack_gates(p.w, p.features, p.hidden, shape.gates, shape.w_order, packed.w, member, members);
    pack_gates(p.r, p.hidden, p.hidden, shape.gates, shape.r_order, packed.r, member, members);
    if (member != 0) return;
    pack_extra(p, shape, packed);
    const Size padded = pad(p.hidden);
    clear(packed.bias, shape.blocks * padded);
    for (int q = 0; q < shape.gates; ++q) {
      for (Size u = 0; u < p.hidden; ++u) {
        if (p.b != nullptr) packed.bias[(shape.w_first + q) * padded + u] += p.b[shape.w_order[q] * p.hidden + u];
        if (p.c != nullptr) packed.bias[(shape.r_first + q) * padded + u] += p.c[shape.r_order[q] * p.hidden + u];
      }
    }
  }

  static void pack_backward(const Problem<T>& p, const CellShape& shape, const Packed<T>& packed, int member,
                            int members) {
    if (p.dx != nullptr)
      pack_transposed(p.w, p.features, p.hidden, shape.gates, shape.w_order, packed.w, member, members);
    pack_transposed(p.r, p.hidden, p.hidden, shape.gates, shape.r_order, packed.r, member, members);
    if (member == 0) pack_extra(p, shape, packed);
  }

  static void pack_extra(const Problem<T>& p, const CellShape& shape, const Packed<T>& packed) {
    const Size padded = pad(p.hidden);
    for (Size u = 0; u < padded; ++u) packed.valid[u] = T(u < p.hidden);
    T* to = packed.extra;
    for (int i = 0; i < 5; ++i)
      for (int row = 0; row < shape.extra_rows[i]; ++row, to += padded)
        for (Size u = 0; u < padded; ++u) to[u] = u < p.hidden ? p.extra[i][row * p.hidden + u] : T(0);
  }

  static constexpr Kernels<T> kernels() {
    return {M::columns,    width,   forward_scratch, backward_scratch, pack_forward,
            pack_backward, forward, backward,        M::exercise,      2 * MaxRows * M::columns};
  }
};

}  // namespace
}  // namespace lamina
