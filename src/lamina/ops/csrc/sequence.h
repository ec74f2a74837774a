// One block of rows through all its steps, forward and backward.
//
// Steps are taken in chunks. The input product of a chunk is one product over all its rows and steps; the
// recurrent products follow step by step and add to it in place. Going back, the gradients of a chunk's
// products are kept until its last step is done; then the gradients of x and of the weights are products
// over the whole chunk. A chunk is about kChunkRows rows of work, which its caches hold.
#pragma once
#include "cells.h"
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
  const Size steps = divide_up(kChunkRows, block.rows);
  return smaller(steps, block.steps);
}
inline Size active(const Block& block, Size step) { return block.offset[step + 1] - block.offset[step]; }

template <class T, int Bytes, int MaxRows>
struct Sequence {
  using L = Lanes<T, Bytes>;
  using V = typename L::Vector;
  using M = Matmul<T, Bytes, MaxRows>;
  using G = Gates<T, Bytes>;

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
    bool zones_h() const { return p.keep_h != nullptr || p.rate_h != 0; }
    bool zones_c() const { return p.keep_c != nullptr || p.rate_c != 0; }
    // Share of the old state that each owned unit keeps, written to `to` (padded).
    void keep(const std::uint8_t* masks, T rate, Size number, T* to) const {
      for (Size u = first; u < last; ++u)
        to[u] = masks == nullptr ? rate : u < p.hidden && masks[number * p.hidden + u] != 0 ? T(1) : T(0);
    }
    void copy_in(const T* from, T* to) const {  // (hidden) -> (padded), owned units
      for (Size u = first; u < last; u += L::count)
        L::store(to + u, from == nullptr || u >= p.hidden ? V{} : L::load_some(from + u, p.hidden - u));
    }
    void copy_out(const T* from, T* to) const {  // (padded) -> (hidden), owned units
      for (Size u = first; u < smaller(last, p.hidden); u += L::count)
        L::store_some(to + u, L::load(from + u), p.hidden - u);
    }
  };

  static void list_inputs(const View& v, Size begin, Size end, const T** rows) {
    for (Size s = begin; s < end; ++s)
      for (Size j = 0; j < active(v.block, s); ++j) *rows++ = v.p.x + v.place(s, j) * v.p.features;
  }

  struct ForwardScratch {
    T *h[2], *masked, *c, *keep_h, *keep_c, *chunk;
    const T** inputs;

    ForwardScratch(Arena<T>& arena, const Problem<T>& p, const CellShape& shape, const Block& block) {
      const Size padded = pad(p.hidden), state = block.rows * padded;
      const Size rows = chunk_steps(block) * block.rows;
      for (T*& buffer : h) buffer = arena.take(state);
      masked = p.recurrent_mask == nullptr ? nullptr : arena.take(2 * state);
      c = arena.take(state);
      keep_h = arena.take(padded);
      keep_c = arena.take(padded);
      chunk = p.training ? nullptr : arena.take(rows * width(p, shape));
      inputs = arena.template take_as<const T*>(rows);
    }
  };

  static Size forward_scratch(const Problem<T>& p, const CellShape& shape, const Block& block) {
    Arena<T> arena(nullptr);
    ForwardScratch(arena, p, shape, block);
    return arena.used();
  }

  static void forward(const Share<T>& share) {
    const View v(*share.problem, *share.shape, *share.block, share.member, share.members);
    switch (v.p.cell) {
      case Cell::tanh: return forward_as(share, v, [](const ForwardStep<T>& s) { G::template simple<false>(s); });
      case Cell::relu: return forward_as(share, v, [](const ForwardStep<T>& s) { G::template simple<true>(s); });
      case Cell::lstm: return forward_as(share, v, [](const ForwardStep<T>& s) { G::lstm(s); });
      case Cell::gru: return forward_as(share, v, [](const ForwardStep<T>& s) { G::gru(s); });
      default: return;
    }
  }

  template <class Step>
  static void forward_as(const Share<T>& share, const View& v, Step apply) {
    const auto& p = v.p;
    const Block& block = v.block;
    Arena<T> arena(share.scratch);
    const ForwardScratch scratch(arena, p, v.shape, block);
    T* const saved = p.training ? p.saved + block.first * v.width : nullptr;
    start_states(v, scratch);
    share.barrier->wait();

    const Size stride = chunk_steps(block);
    for (Size begin = 0; begin < block.steps; begin += stride) {
      const Size end = smaller(begin + stride, block.steps);
      T* const chunk = p.training ? saved + block.offset[begin] * v.width : scratch.chunk;
      project(share, v, scratch, begin, end, chunk);
      for (Size s = begin; s < end; ++s) {
        T* const rows = chunk + (block.offset[s] - block.offset[begin]) * v.width;
        const T* const memory = p.training && s > 0 ? saved + block.offset[s - 1] * v.width : nullptr;
        recur(share, v, scratch, s, rows);
        for (Size j = 0; j < active(block, s); ++j) apply(describe(v, scratch, s, j, rows + j * v.width, memory));
        finish_states(v, scratch, s, rows);
        share.barrier->wait();
      }
    }
  }

  static T* current(const ForwardScratch& scratch, Size step) { return scratch.h[step % 2]; }
  static T* masked(const View& v, const ForwardScratch& scratch, Size step) {
    return v.p.recurrent_mask == nullptr ? current(scratch, step)
                                         : scratch.masked + step % 2 * v.block.rows * v.padded;
  }
  static void apply_mask(const View& v, const ForwardScratch& scratch, Size step, Size j) {
    if (v.p.recurrent_mask == nullptr) return;
    const T* h = current(scratch, step) + j * v.padded;
    const T* mask = v.p.recurrent_mask + v.block.row[j] * v.p.hidden;
    T* to = masked(v, scratch, step) + j * v.padded;
    for (Size u = v.first; u < v.last; u += L::count)
      L::store(to + u, u >= v.p.hidden ? V{} : L::load(h + u) * L::load_some(mask + u, v.p.hidden - u));
  }

  static void start_states(const View& v, const ForwardScratch& scratch) {
    for (Size j = 0; j < v.block.rows; ++j) {
      const Size row = v.block.row[j] * v.p.hidden;
      v.copy_in(v.p.h0 + row, scratch.h[0] + j * v.padded);
      v.copy_in(nullptr, scratch.h[1] + j * v.padded);
      apply_mask(v, scratch, 0, j);
      if (v.shape.memory) v.copy_in(v.p.c0 + row, scratch.c + j * v.padded);
      if (v.block.length[j] > 0) continue;
      v.copy_out(scratch.h[0] + j * v.padded, v.p.hn + row);
      if (v.shape.memory) v.copy_out(scratch.c + j * v.padded, v.p.cn + row);
    }
  }

  // The owned units of W x + b for every input of the chunk; blocks that W does not reach get the bias.
  static void project(const Share<T>& share, const View& v, const ForwardScratch& scratch, Size begin, Size end,
                      T* chunk) {
    const Size rows = v.block.offset[end] - v.block.offset[begin];
    const T* bias = share.packed->bias;
    // every member writes the same list, so whichever write a member sees is right; its own suffices
    const T** inputs = share.members == 1 ? scratch.inputs : nullptr;
    if (inputs != nullptr) list_inputs(v, begin, end, inputs);
    for (int q = 0; q < v.shape.blocks; ++q) {
      const int gate = q - v.shape.w_first;
      const T* start = bias + q * v.padded;
      T* to = chunk + q * v.padded;
      if (gate < 0 || gate >= v.shape.gates) {
        for (Size n = 0; n < rows; ++n)
          for (Size u = v.first; u < v.last; u += L::count) L::store(to + n * v.width + u, L::load(start + u));
        continue;
      }
      const T* panels = share.packed->w + gate * v.padded * v.p.features;
      M::multiply(Listed<T>{inputs}, rows, v.p.features, panels, v.first_panel(), v.last_panel(), start, 0, to,
                  v.width);
    }
  }

  static void recur(const Share<T>& share, const View& v, const ForwardScratch& scratch, Size step, T* rows) {
    const Strided<T> h{masked(v, scratch, step), v.padded};
    for (int q = 0; q < v.shape.gates; ++q) {
      T* to = rows + (v.shape.r_first + q) * v.padded;
      M::multiply(h, active(v.block, step), v.p.hidden, share.packed->r + q * v.padded * v.p.hidden,
                  v.first_panel(), v.last_panel(), to, v.width, to, v.width);
    }
  }
};

}  // namespace
}  // namespace lamina
