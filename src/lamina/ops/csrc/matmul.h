// Matrix products over panels: a register tile of R rows by one panel of columns (two vectors).
//
// Depths are counted in units of the dot product: numbers, or pairs of them.
#pragma once
#include "dot.h"

namespace lamina {
namespace {

inline Size divide_up(Size n, Size by) { return (n + by - 1) / by; }
inline Size smaller(Size a, Size b) { return a < b ? a : b; }

// Rows at equal distances, and rows anywhere.
template <class N>
struct Strided {
  const N* base;
  Size stride;
  const N* operator()(Size i) const { return base + i * stride; }
};
template <class N>
struct Listed {
  const N* const* rows;
  const N* operator()(Size i) const { return rows[i]; }
};

template <class Dot, int MaxRows>
struct Matmul {
  using T = typename Dot::Sum;
  using Number = typename Dot::Number;
  using Unit = typename Dot::Unit;
  using L = Lanes<T, Dot::bytes>;
  using V = typename L::Vector;
  static constexpr Size columns = 2 * L::count;
  // 16 KiB of a panel stay in the first-level cache while all rows pass over them.
  static constexpr Size depth_block = 16384 / (columns * static_cast<Size>(sizeof(Unit)));

  static constexpr Size kLineUnits = 64 / static_cast<Size>(sizeof(Unit));  // of a cache line
  static constexpr Size kPanelAhead = 16;                                   // depths

  static Size units(Size depth) { return divide_up(depth, Dot::group); }

  // c[r] = init[r] + sum over k < depth of a(r, k) * panel[k], for R rows. Of rows that lie apart (Step 1)
  // a(r, k) is rows[r][k]; of rows side by side (Step MaxRows) it is rows[0][k * Step + r].
  //
  // Few rows would leave the multipliers waiting for one another, so they get several sets of sums,
  // each over its own share of k. A set is added up in the same order every time.
  //
  // `ahead` is how far from the rows those of the next tile stand, where rows are evenly spaced: they are asked for
  // meanwhile, as is the panel a little before its turn.
  //
  // Never inlined: inside a larger function the compiler spills the sums to memory in the innermost loop.
  template <int R, int Step>
  __attribute__((noinline)) static void tile(const Unit* const* rows, Size ahead, Size depth, const Unit* panel,
                                             const T* init, Size init_stride, T* c, Size c_stride) {
    constexpr int sets = R >= 4 ? 1 : R >= 2 ? 2 : 4;
    static_assert(kLineUnits % sets == 0);
    const Unit* a[R];
    V sums[sets][R][2];
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      a[r] = Step == 1 ? rows[r] : rows[0] + r;
      __builtin_prefetch(init + r * init_stride);  // read last, and by then it should be near
      __builtin_prefetch(init + r * init_stride + L::count);
#pragma GCC unroll 4
      for (int s = 0; s < sets; ++s) sums[s][r][0] = sums[s][r][1] = V{};
    }
    const auto add = [&](int set, Size k) __attribute__((always_inline)) {
      const auto left = Dot::load(panel + k * columns), right = Dot::load(panel + k * columns + L::count);
      __builtin_prefetch(panel + (k + kPanelAhead) * columns);
      __builtin_prefetch(panel + (k + kPanelAhead) * columns + L::count);
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) {
        const Unit value = Step == 1 ? a[r][k] : a[0][k * Step + r];
        sums[set][r][0] = Dot::multiply_add(sums[set][r][0], value, left);
        sums[set][r][1] = Dot::multiply_add(sums[set][r][1], value, right);
      }
    };
    Size k = 0;
    for (; k + kLineUnits <= depth; k += kLineUnits) {
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r)  // of rows side by side it is R lines in a row: a[r] is r units on already
        __builtin_prefetch(a[r] + (Step == 1 ? k : k * Step + r * (kLineUnits - 1)) + ahead);
      for (Size j = k; j < k + kLineUnits; j += sets) {
#pragma GCC unroll 4
        for (int s = 0; s < sets; ++s) add(s, j + s);
      }
    }
    for (; k + sets <= depth; k += sets) {
#pragma GCC unroll 4
      for (int s = 0; s < sets; ++s) add(s, k + s);
    }
    for (; k < depth; ++k) add(0, k);
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
      for (int s = 1; s < sets; ++s) {
        sums[0][r][0] += sums[s][r][0];
        sums[0][r][1] += sums[s][r][1];
      }
      const T* const start = init + r * init_stride;
      L::store(c + r * c_stride, sums[0][r][0] + L::load(start));
      L::store(c + r * c_stride + L::count, sums[0][r][1] + L::load(start + L::count));
    }
  }

  template <int Step, int R = MaxRows>
  static void any_tile(int count, const Unit* const* rows, Size ahead, Size depth, const Unit* panel, const T* init,
                       Size init_stride, T* c, Size c_stride) {
    if (count == R) return tile<R, Step>(rows, ahead, depth, panel, init, init_stride, c, c_stride);
    if constexpr (R > 1) any_tile<Step, R - 1>(count, rows, ahead, depth, panel, init, init_stride, c, c_stride);
  }

  // c = init + a B for `rows` rows of a, each of `depth` units, and the panels [first, last) of B; panel p
  // fills the columns at p * columns of c. An init_stride of 0 gives every row the same start.
  template <class RowsOf>
  static void multiply(RowsOf a, Size rows, Size depth, const T* panels, Size first, Size last, const T* init,
                       Size init_stride, T* c, Size c_stride) {
    const Size tiles = divide_up(rows, MaxRows);
    for (Size p = first; p < last; ++p) {
      for (Size k = 0; k == 0 || k < depth; k += depth_block) {
        const Unit* panel = reinterpret_cast<const Unit*>(panels) + (p * depth + k) * columns;
        const T* start = k == 0 ? init + p * columns : c + p * columns;
        const Size start_stride = k == 0 ? init_stride : c_stride;
        for (Size i = 0; i < tiles; ++i) {  // tiles of nearly equal height: 7 rows are 4 + 3, not 6 + 1
          const Size row = i * rows / tiles, count = (i + 1) * rows / tiles - row;
          const Unit* list[MaxRows];
          for (Size r = 0; r < count; ++r) list[r] = reinterpret_cast<const Unit*>(a(row + r)) + k;
          const Size after = smaller(row + count, rows - 1);
          const Size ahead = reinterpret_cast<const Unit*>(a(after)) + k - list[0];
          any_tile<1>(static_cast<int>(count), list, ahead, smaller(depth - k, depth_block), panel,
                      start + row * start_stride, start_stride, c + row * c_stride + p * columns, c_stride);
        }
      }
    }
  }

  // Multiply and add `rounds` times in every register of a tile, without touching memory: what the
  // processor can do at most. Counts 2 * 2 * MaxRows * lanes operations a round.
  __attribute__((noinline)) static T exercise(Size rounds) {
    V sums[MaxRows * 2], factor = L::fill(T(0.999)), term = L::fill(T(1e-3));
    __asm__ volatile("" : "+m"(factor), "+m"(term));  // or the compiler would do the sum itself
#pragma GCC unroll 24
    for (int i = 0; i < MaxRows * 2; ++i) sums[i] = L::fill(T(i));
    for (Size n = 0; n < rounds; ++n) {
#pragma GCC unroll 24
      for (int i = 0; i < MaxRows * 2; ++i) sums[i] = sums[i] * factor + term;
    }
    V total{};
#pragma GCC unroll 24
    for (int i = 0; i < MaxRows * 2; ++i) total += sums[i];
    return L::sum(total);
  }

  // Units that pack_columns writes.
  static Size packed_columns(Size width, Size rows) { return divide_up(width, MaxRows) * MaxRows * units(rows); }

  // Rearrange `width` columns of `rows` rows so that MaxRows of them lie together at every depth.
  static void pack_columns(const Number* from, Size stride, Size width, Size rows, Unit* to) {
    for (Size i = 0; i < width; i += MaxRows) {
      const Size count = smaller(MaxRows, width - i);
      Size n = 0;
      for (; count == MaxRows && n + Dot::group <= rows; n += Dot::group, to += MaxRows) {  // as they lie
        const Number* const row = from + n * stride + i;
        Dot::template join_units<MaxRows>(row, row + (Dot::group - 1) * stride, to);
      }
      for (; n < rows; n += Dot::group, to += MaxRows)
        for (Size r = 0; r < count; ++r) to[r] = Dot::unit(from + n * stride + i + r, stride, rows - n);
    }
  }

  // c += A^T B: `width` packed columns of A against one packed panel of B, both `depth` units deep.
  static void multiply_transposed(const Unit* packed, Size width, Size depth, const Unit* panel, T* c,
                                  Size c_stride) {
    for (Size i = 0; i < width; i += MaxRows) {
      const Unit* const columns_of_a = packed + i * depth;
      T* into = c + i * c_stride;
      any_tile<MaxRows>(static_cast<int>(smaller(MaxRows, width - i)), &columns_of_a, MaxRows * depth, depth, panel,
                        into, c_stride, into, c_stride);
    }
  }
};

}  // namespace
}  // namespace lamina
