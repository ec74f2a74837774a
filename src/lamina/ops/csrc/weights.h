// Weights rearranged into panels, once a call.
#pragma once
#include "view.h"

namespace lamina {
namespace {

template <class S, class Dot, int MaxRows>
struct Packing {
  using T = Compute<S>;
  using Unit = typename Dot::Unit;
  using M = Matmul<Dot, MaxRows>;
  static constexpr int kInOrder[] = {0};

  static Size pad(Size n) { return divide_up(n, M::columns) * M::columns; }

  // For each gate, 2 vectors of its units across, the inputs down.
  static void pack_gates(const S* from, Size depth, Size hidden, int gates, const int* order, T* panels, int member,
                         int members) {
    const Size count = pad(hidden) / M::columns, units = M::units(depth);
    Unit* const to = reinterpret_cast<Unit*>(panels);
    for (Size n = member; n < gates * count; n += members) {
      const Size first = n % count * M::columns;
      const S* rows = from + (order[n / count] * hidden + first) * depth;
      Unit* panel = to + n * units * M::columns;
      for (Size u = 0; u < M::columns; ++u)
        for (Size k = 0; k < units; ++k)
          panel[k * M::columns + u] = first + u < hidden ? Dot::unit(rows + u * depth + k * Dot::group, 1,
                                                                     depth - k * Dot::group)
                                                         : Unit(0);
    }
  }

  // 2 vectors of the matrix's columns across, the units of all gates down, each gate padded.
  static void pack_transposed(const S* from, Size width, Size hidden, int gates, const int* order, T* panels,
                              int member, int members) {
    const Size padded = pad(hidden), units = M::units(gates * padded);
    for (Size p = member; p < pad(width) / M::columns; p += members) {
      Unit* panel = reinterpret_cast<Unit*>(panels) + p * units * M::columns;
      for (int q = 0; q < gates; ++q) {
        for (Size u = 0; u < padded; u += Dot::group, panel += M::columns) {
          const S* row = from + (order[q] * hidden + u) * width;
          for (Size i = 0; i < M::columns; ++i) {
            const Size column = p * M::columns + i;
            panel[i] = u < hidden && column < width ? Dot::unit(row + column, width, hidden - u) : Unit(0);
          }
        }
      }
    }
  }

  static void forward(const Problem<S>& p, const CellShape& shape, const Packed<T>& packed, int member, int members) {
    pack_gates(p.w, p.features, p.hidden, shape.gates, shape.w_order, packed.w, member, members);
    pack_gates(p.r, p.outputs, p.hidden, shape.gates, shape.r_order, packed.r, member, members);
    if (p.projection != nullptr)
      pack_gates(p.projection, p.hidden, p.outputs, 1, kInOrder, packed.projection, member, members);
    if (member != 0) return;
    pack_extra(p, shape, packed);
    const Size padded = pad(p.hidden);
    for (Size u = 0; u < shape.blocks * padded; ++u) packed.bias[u] = 0;
    for (int q = 0; q < shape.gates; ++q) {
      add_bias(p.b, shape.w_order[q], p.hidden, packed.bias + (shape.w_first + q) * padded);
      add_bias(p.c, shape.r_order[q], p.hidden, packed.bias + (shape.r_first + q) * padded);
    }
  }

  static void backward(const Problem<S>& p, const CellShape& shape, const Packed<T>& packed, int member,
                       int members) {
    if (p.dx != nullptr)
      pack_transposed(p.w, p.features, p.hidden, shape.gates, shape.w_order, packed.w, member, members);
    pack_transposed(p.r, p.outputs, p.hidden, shape.gates, shape.r_order, packed.r, member, members);
    if (p.projection != nullptr)
      pack_transposed(p.projection, p.hidden, p.outputs, 1, kInOrder, packed.projection, member, members);
    if (member == 0) pack_extra(p, shape, packed);
  }

 private:
  static void add_bias(const S* from, int gate, Size hidden, T* to) {
    for (Size u = 0; from != nullptr && u < hidden; ++u) to[u] += widened(from[gate * hidden + u]);
  }

  static void pack_extra(const Problem<S>& p, const CellShape& shape, const Packed<T>& packed) {
    const Size padded = pad(p.hidden);
    for (Size u = 0; u < padded; ++u) packed.valid[u] = T(u < p.hidden);
    T* to = packed.extra;
    for (int i = 0; i < 5; ++i)
      for (int row = 0; row < shape.extra_rows[i]; ++row, to += padded)
        for (Size u = 0; u < padded; ++u) to[u] = u < p.hidden ? widened(p.extra[i][row * p.hidden + u]) : T(0);
  }
};

}  // namespace
}  // namespace lamina
