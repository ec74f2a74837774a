// What forward and backward both look up: the rows of one block, and the share of them that a thread owns.
#pragma once
#include "layer_norm.h"
#include "matmul.h"

namespace lamina {
namespace {

// Steps are taken in chunks of at most this many rows, which the caches hold, unless one step has more.
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
  const Size steps = block.rows == 0 ? 0 : smaller(kChunkRows / block.rows, block.steps);
  return steps > 0 ? steps : 1;
}
inline Size chunk_rows(const Block& block) { return chunk_steps(block) * block.rows; }
inline Size active(const Block& block, Size step) { return block.offset[step + 1] - block.offset[step]; }

// The units of one width that a thread owns, a whole number of panels; the vectors of numbers (width) are
// read and written as if they were (padded), zero behind the end.
template <class T, int Bytes>
struct Owned {
  using L = Lanes<T, Bytes>;
  using V = typename L::Vector;
  static constexpr Size columns = 2 * L::count;
  Size width, padded, first, last;

  Owned(Size units, int member, int members) : width(units), padded(divide_up(units, columns) * columns) {
    first = member * (padded / columns) / members * columns;
    last = (member + 1) * (padded / columns) / members * columns;
  }
  Size end() const { return smaller(last, width); }
  Size first_panel() const { return first / columns; }
  Size last_panel() const { return last / columns; }

  template <class S>
  V load(const S* from, Size u) const {
    return u < width ? L::load_some(from + u, width - u) : V{};
  }
  template <class S>
  void copy_in(const S* from, T* to) const {
    for (Size u = first; u < last; u += L::count) L::store(to + u, from == nullptr ? V{} : load(from, u));
  }
  template <class S>
  void copy_out(const T* from, S* to) const {
    for (Size u = first; u < end(); u += L::count) L::store_some(to + u, L::load(from + u), width - u);
  }
  // The share of the old state that each unit keeps at input `number`, in `to`; null for none.
  const T* keep(const std::uint8_t* masks, T rate, Size number, T* to) const {
    if (masks == nullptr && rate == 0) return nullptr;
    const std::uint8_t* const mask = masks == nullptr ? nullptr : masks + number * width;
    for (Size u = first; mask != nullptr && u < end(); ++u) to[u] = mask[u];  // a bool of torch is 0 or 1
    for (Size u = mask == nullptr ? first : end(); u < last; ++u) to[u] = mask == nullptr ? rate : T(0);
    return to;
  }
};

template <class S, class Dot, int MaxRows>
struct View {
  using T = Compute<S>;
  using M = Matmul<Dot, MaxRows>;
  using Number = typename Dot::Number;
  using L = Lanes<T, Dot::bytes>;
  const Problem<S>& p;
  const CellShape& shape;
  const Block& block;
  const Share<S>& share;
  Owned<T, Dot::bytes> hidden, outputs;
  Size width;  // of one saved step of one row

  explicit View(const Share<S>& part)
      : p(*part.problem),
        shape(*part.shape),
        block(*part.block),
        share(part),
        hidden(p.hidden, part.member, part.members),
        outputs(p.outputs, part.member, part.members),
        width(saved_width(p, shape)) {}

  static Size pad(Size n) { return divide_up(n, M::columns) * M::columns; }
  static Size saved_width(const Problem<S>& p, const CellShape& shape) {
    return pad(p.hidden) * (shape.blocks + (shape.memory ? 1 : 0)) + (shape.normalised ? kStatistics : 0);
  }
  // Inputs go into products as they are stored, or a chunk of them is converted first.
  static constexpr bool direct = sizeof(S) == sizeof(Number) && Dot::group == 1;
  // Products take rounded numbers, for which there is room of their own.
  static constexpr bool rounds = sizeof(T) != sizeof(Number);
  static Size input_stride(Size features) { return M::units(features) * Dot::group; }

  bool projected() const { return p.projection != nullptr; }
  Size memory() const { return shape.blocks * hidden.padded; }  // where c stands in a saved step

  Size place(Size step, Size j) const {  // number of the input that row j reads at a step: row * time + t
    return block.row[j] * p.time + (p.reverse ? block.length[j] - 1 - step : step);
  }
  const S* h_before(Size step, Size j) const {  // (outputs)
    return step == 0 ? p.h0 + block.row[j] * p.outputs : p.y + place(step - 1, j) * p.outputs;
  }
  void meet() const {
    if (share.members > 1) share.barrier->wait(share.members);
  }
  void zero_padding(S* rows, Size row_width, Size from, Size to) const {
    for (Size j = 0; j < block.rows; ++j)
      for (Size t = block.length[j]; t < p.time; ++t)
        for (Size u = from; u < to; ++u) rows[(block.row[j] * p.time + t) * row_width + u] = S{};
  }
  // The owned numbers of a padded row as products take them; nothing to do where those are the same.
  void put_numbers(const Owned<T, Dot::bytes>& owned, const T* from, Number* to) const {
    if constexpr (rounds)
      for (Size u = owned.first; u < owned.last; u += L::count) L::store(to + u, L::load(from + u));
  }
  template <class Step>
  Step start_step(T* temporary) const {
    Step step{};
    step.extra = share.packed->extra;
    step.valid = share.packed->valid;
    step.temporary = temporary;
    step.hidden = p.hidden;
    step.padded = hidden.padded;
    step.first = hidden.first;
    step.last = hidden.last;
    return step;
  }
};

// Rows of (padded) numbers as a product takes them: the same memory where that is what T is.
template <class T, class Number>
Number* as_numbers(Arena<T>& arena, T* rows, Size n) {
  if constexpr (sizeof(T) == sizeof(Number)) {
    return rows;
  } else {
    return arena.template take_as<Number>(n);
  }
}

}  // namespace
}  // namespace lamina
