// One block of rows back through all its steps.
//
// The gradients of a chunk's products are kept until its first step is done; then the gradients of x and of
// the weights are products over the whole chunk.
#pragma once
#include <type_traits>

#include "view.h"

namespace lamina {
namespace {

template <class S, class Dot, int MaxRows>
struct Backward {
  using T = Compute<S>;
  using Number = typename Dot::Number;
  using Unit = typename Dot::Unit;
  using View = lamina::View<S, Dot, MaxRows>;
  using M = typename View::M;
  using L = typename View::L;
  using V = typename L::Vector;
  using G = Gates<S, Dot::bytes>;
  using N = NormalisedGates<S, Dot::bytes>;
  // As many columns of a chunk as the second-level cache holds while all panels pass over them.
  static constexpr Size kColumns = 16 * MaxRows;

  using Apply = void (*)(const BackwardStep<S>&);

  struct Scratch {
    T *dh, *dc, *c0, *through_r, *keep_h, *keep_c, *temporary, *zeros, *dx;
    Number* d_numbers;             // gradients of a chunk's products, as products take them
    T *before, *d_after, *d_before;  // with a projection: h before it, and gradients on both sides of it
    Number* d_after_numbers;
    // one for each member
    T* d_row;  // gradients of one row's products before they are rounded; where they are not, unused
    const S **inputs, **states;
    const T **masks, **befores;
    Unit *columns, *panels;

    Scratch(Arena<T>& arena, const Problem<S>& p, const CellShape& shape, const Block& block, int members) {
      const Size padded = View::pad(p.hidden), memory = block.rows * padded, rows = chunk_rows(block);
      const Size outputs = View::pad(p.outputs), state = block.rows * outputs, features = View::pad(p.features);
      const Size projected = p.projection != nullptr ? 1 : 0;
      dh = arena.take(state);
      dc = arena.take(memory);
      c0 = arena.take(memory);
      through_r = p.recurrent_mask == nullptr ? dh : arena.take(state);
      keep_h = arena.take(outputs);
      keep_c = arena.take(padded);
      temporary = arena.take(5 * padded);
      zeros = arena.take(features + outputs + padded);
      d_numbers = arena.template take_as<Number>(rows * shape.blocks * padded);
      d_row = arena.take(View::rounds ? members * shape.blocks * padded : 0);
      dx = arena.take(rows * features);
      before = arena.take(projected * rows * padded);
      d_after = arena.take(projected * rows * outputs);
      d_after_numbers = as_numbers<T, Number>(arena, d_after, projected * rows * outputs);
      d_before = arena.take(projected * memory);
      inputs = arena.template take_as<const S*>(rows * members);
      states = arena.template take_as<const S*>(rows * members);
      masks = arena.template take_as<const T*>(rows * members);
      befores = arena.template take_as<const T*>(projected * rows * members);
      columns = arena.template take_as<Unit>(members * column_room());
      panels = arena.template take_as<Unit>(members * panel_room(p));
    }
  };

  static Size column_room() { return M::packed_columns(kColumns, kChunkRows); }
  static Size panel_room(const Problem<S>& p) {
    const Size projection = p.projection != nullptr ? View::pad(p.hidden) : 0;
    return M::units(kChunkRows) * (View::pad(p.features) + View::pad(p.outputs) + projection);
  }

  static Size scratch_size(const Problem<S>& p, const CellShape& shape, const Block& block, int members) {
    Arena<T> arena(nullptr);
    Scratch(arena, p, shape, block, members);
    return arena.used();
  }

  static void run(const Share<S>& share) {
    const Apply apply = cell_of<BackwardStep<S>, G, N>(share.problem->cell);
    const View v(share);
    const Block& block = v.block;
    Arena<T> arena(share.scratch);
    const Scratch scratch(arena, v.p, v.shape, block, share.members);
    const T* const saved = v.p.saved + block.first * v.width;
    start_gradients(v, scratch);
    v.meet();

    const Size stride = chunk_steps(block), d_width = v.shape.blocks * v.hidden.padded;
    for (Size begin = (block.steps - 1) / stride * stride; begin >= 0; begin -= stride) {
      const Size end = smaller(begin + stride, block.steps);
      for (Size s = end - 1; s >= begin; --s) {
        const Size rows = block.offset[s] - block.offset[begin];
        if (v.projected()) pass_through_projection(v, scratch, s, rows);
        take_step(v, scratch, saved, s, rows, apply);
        v.meet();
        pass_through_r(v, scratch, active(block, s), scratch.d_numbers + rows * d_width);
      }
      if (v.p.dx != nullptr) input_gradients(v, scratch, begin, end);
      weight_gradients(v, scratch, begin, end);
      v.meet();
    }
    for (Size j = 0; j < block.rows; ++j) {
      const Size row = block.row[j];
      if (v.p.dh0 != nullptr) v.outputs.copy_out(scratch.dh + j * v.outputs.padded, v.p.dh0 + row * v.p.outputs);
      if (v.p.dc0 != nullptr) v.hidden.copy_out(scratch.dc + j * v.hidden.padded, v.p.dc0 + row * v.p.hidden);
    }
  }

 private:
  // `before_step` rows of the chunk lie before step s.
  static void take_step(const View& v, const Scratch& scratch, const T* saved, Size s, Size before_step,
                        Apply apply) {
    const Size d_width = v.shape.blocks * v.hidden.padded;
    BackwardStep<S> step = v.template start_step<BackwardStep<S>>(scratch.temporary);
    step.d_extra = v.share.gradients.extra;
    for (Size j = 0; j < active(v.block, s); ++j) {
      const Size number = v.place(s, j), at = j * v.hidden.padded, n = before_step + j;
      Number* const d_numbers = scratch.d_numbers + n * d_width;
      T* const d_blocks = View::rounds ? scratch.d_row + v.share.member * d_width : reinterpret_cast<T*>(d_numbers);
      step.blocks = saved + (v.block.offset[s] + j) * v.width;
      step.d_blocks = d_blocks;
      step.c_new = step.blocks + v.memory();
      step.c_old = s > 0 ? saved + (v.block.offset[s - 1] + j) * v.width + v.memory() : scratch.c0 + at;
      step.dc = scratch.dc + at;
      step.keep_c = v.hidden.keep(v.p.keep_c, v.p.rate_c, number, scratch.keep_c);
      if (v.projected()) {
        step.dh = scratch.d_before + at;
        step.h_new = scratch.before + n * v.hidden.padded;
      } else {
        step.h_old = v.h_before(s, j);
        step.dh = scratch.dh + j * v.outputs.padded;
        step.keep_h = v.outputs.keep(v.p.keep_h, v.p.rate_h, number, scratch.keep_h);
        step.dy = v.p.dy == nullptr ? nullptr : v.p.dy + number * v.p.outputs;
      }
      apply(step);
      for (int q = 0; q < v.shape.blocks; ++q)
        v.put_numbers(v.hidden, d_blocks + q * v.hidden.padded, d_numbers + q * v.hidden.padded);
    }
  }

  static void clear(T* from, Size n) {
    for (Size i = 0; i < n; ++i) from[i] = 0;
  }

  static void start_gradients(const View& v, const Scratch& scratch) {
    for (Size j = 0; j < v.block.rows; ++j) {
      const Size output = v.block.row[j] * v.p.outputs, unit = v.block.row[j] * v.p.hidden, at = j * v.hidden.padded;
      v.outputs.copy_in(v.p.dhn == nullptr ? nullptr : v.p.dhn + output, scratch.dh + j * v.outputs.padded);
      v.hidden.copy_in(v.p.dcn == nullptr ? nullptr : v.p.dcn + unit, scratch.dc + at);
      v.hidden.copy_in(v.p.c0 == nullptr ? nullptr : v.p.c0 + unit, scratch.c0 + at);
    }
    const Size features = View::pad(v.p.features);
    if (v.share.member == 0) {
      clear(scratch.zeros, features + v.outputs.padded + v.hidden.padded);
      if (v.p.dx != nullptr) v.zero_padding(v.p.dx, v.p.features, 0, v.p.features);
    }
    const auto& g = v.share.gradients;
    const Size owned = v.hidden.last - v.hidden.first;
    Size rows = 0;
    for (int q = 0; q < v.shape.gates; ++q) {
      const Size from = q * v.hidden.padded + v.hidden.first;
      clear(g.w + from * features, owned * features);
      clear(g.r + from * v.outputs.padded, owned * v.outputs.padded);
    }
    if (v.projected())
      clear(g.projection + v.outputs.first * v.hidden.padded,
            (v.outputs.last - v.outputs.first) * v.hidden.padded);
    for (int q = 0; q < v.shape.blocks; ++q) clear(g.bias + q * v.hidden.padded + v.hidden.first, owned);
    for (int i = 0; i < 5; ++i) rows += v.shape.extra_rows[i];
    if (v.share.member == 0) clear(g.extra, rows * v.hidden.padded);
  }

  // From dh and dy to d_after, what zoneout leaves to the new h, and to d_before = P^T d_after.
  static void pass_through_projection(const View& v, const Scratch& scratch, Size s, Size before_step) {
    const Size rows = active(v.block, s), padded = v.outputs.padded;
    T* const after = scratch.d_after + before_step * padded;
    Number* const numbers = scratch.d_after_numbers + before_step * padded;
    for (Size j = 0; j < rows; ++j) {
      const Size number = v.place(s, j);
      const T* const keep = v.outputs.keep(v.p.keep_h, v.p.rate_h, number, scratch.keep_h);
      for (Size u = v.outputs.first; u < v.outputs.last; u += L::count) {
        V d = L::load(scratch.dh + j * padded + u), carry{};
        if (v.p.dy != nullptr) d += v.outputs.load(v.p.dy + number * v.p.outputs, u);
        if (keep != nullptr) carry = L::load(keep + u) * d;
        L::store(scratch.dh + j * padded + u, carry);
        L::store(after + j * padded + u, d - carry);
      }
      v.put_numbers(v.outputs, after + j * padded, numbers + j * padded);
    }
    v.meet();
    M::multiply(Strided<Number>{numbers, padded}, rows, M::units(padded), v.share.packed->projection,
                v.hidden.first_panel(), v.hidden.last_panel(), scratch.zeros, 0, scratch.d_before, v.hidden.padded);
  }

  // dh += mask * (R^T d) for the owned outputs of the first `rows` rows.
  static void pass_through_r(const View& v, const Scratch& scratch, Size rows, const Number* d_rows) {
    const Strided<Number> d{d_rows + v.shape.r_first * v.hidden.padded, v.shape.blocks * v.hidden.padded};
    const bool in_place = v.p.recurrent_mask == nullptr;
    M::multiply(d, rows, M::units(v.shape.gates * v.hidden.padded), v.share.packed->r, v.outputs.first_panel(),
                v.outputs.last_panel(), in_place ? scratch.dh : scratch.zeros, in_place ? v.outputs.padded : 0,
                scratch.through_r, v.outputs.padded);
    if (in_place) return;
    for (Size j = 0; j < rows; ++j) {
      const T* mask = v.p.recurrent_mask + v.block.row[j] * v.p.outputs;
      const T* from = scratch.through_r + j * v.outputs.padded;
      T* dh = scratch.dh + j * v.outputs.padded;
      for (Size u = v.outputs.first; u < v.outputs.last; u += L::count)
        L::store(dh + u, L::load(dh + u) + v.outputs.load(mask, u) * L::load(from + u));
    }
  }

  // dx of a chunk; the members share its rows.
  static void input_gradients(const View& v, const Scratch& scratch, Size begin, Size end) {
    const Size rows = v.block.offset[end] - v.block.offset[begin], room = View::pad(v.p.features);
    const Size from = v.share.member * rows / v.share.members, to = (v.share.member + 1) * rows / v.share.members;
    const Size padded = v.hidden.padded;
    const Strided<Number> d{scratch.d_numbers + (from * v.shape.blocks + v.shape.w_first) * padded,
                            v.shape.blocks * padded};
    M::multiply(d, to - from, M::units(v.shape.gates * padded), v.share.packed->w, 0, room / M::columns,
                scratch.zeros, 0, scratch.dx + from * room, room);
    for (Size s = begin, n = 0; s < end; ++s) {
      for (Size j = 0; j < active(v.block, s); ++j, ++n) {
        if (n < from || n >= to) continue;
        S* row = v.p.dx + v.place(s, j) * v.p.features;
        for (Size i = 0; i < v.p.features; i += L::count)
          L::store_some(row + i, L::load(scratch.dx + n * room + i), v.p.features - i);
      }
    }
  }

  // What a chunk adds to the gradients of the owned rows of W, R, the projection and the biases.
  static void weight_gradients(const View& v, const Scratch& scratch, Size begin, Size end) {
    const Size rows = v.block.offset[end] - v.block.offset[begin], room = chunk_rows(v.block);
    const Size member = v.share.member, padded = v.hidden.padded, features = View::pad(v.p.features);
    const S **inputs = scratch.inputs + member * room, **states = scratch.states + member * room;
    const T** masks = v.p.recurrent_mask == nullptr ? nullptr : scratch.masks + member * room;
    for (Size s = begin, n = 0; s < end; ++s) {
      for (Size j = 0; j < active(v.block, s); ++j, ++n) {
        inputs[n] = v.p.x + v.place(s, j) * v.p.features;
        states[n] = v.h_before(s, j);
        if (masks != nullptr) masks[n] = v.p.recurrent_mask + v.block.row[j] * v.p.outputs;
      }
    }
    Unit* const of_inputs = scratch.panels + member * panel_room(v.p);
    Unit* const of_states = of_inputs + M::units(kChunkRows) * features;
    Unit* const of_befores = of_states + M::units(kChunkRows) * v.outputs.padded;
    const auto& g = v.share.gradients;
    for (Size n = 0; n < rows; n += kChunkRows) {
      const Size depth = smaller(kChunkRows, rows - n);
      pack_panels<S>(inputs + n, nullptr, depth, v.p.features, of_inputs);
      pack_panels<S>(states + n, masks == nullptr ? nullptr : masks + n, depth, v.p.outputs, of_states);
      const Size d_width = v.shape.blocks * padded;
      for (int q = 0; q < v.shape.blocks; ++q) {
        const Size at = n * d_width + q * padded;
        if (v.p.db != nullptr || v.p.dc != nullptr)
          add_rows(v.hidden, scratch.d_numbers + at, d_width, depth, g.bias + q * padded);
        const int w = q - v.shape.w_first, r = q - v.shape.r_first;
        T* const dw = w >= 0 && w < v.shape.gates ? g.w + w * padded * features : nullptr;
        T* const dr = r >= 0 && r < v.shape.gates ? g.r + r * padded * v.outputs.padded : nullptr;
        add_products(v, scratch, v.hidden, scratch.d_numbers + at, d_width, depth,
                     {{of_inputs, dw, features}, {of_states, dr, v.outputs.padded}});
      }
      if (!v.projected()) continue;
      const T** befores = scratch.befores + member * room;
      for (Size k = 0; k < depth; ++k) befores[k] = scratch.before + (n + k) * padded;
      pack_panels<T>(befores, nullptr, depth, v.p.hidden, of_befores);
      add_products(v, scratch, v.outputs, scratch.d_after_numbers + n * v.outputs.padded, v.outputs.padded, depth,
                   {{of_befores, g.projection, padded}, {nullptr, nullptr, 0}});
    }
  }

  // Sums of the numbers that products take: rounded ones, where those are.
  static void add_rows(const Owned<T, Dot::bytes>& owned, const Number* from, Size stride, Size rows, T* to) {
    for (Size u = owned.first; u < owned.last; u += M::columns) {
      V left = L::load(to + u), right = L::load(to + u + L::count);
      for (Size n = 0; n < rows; ++n) {
        left += L::load(from + n * stride + u);
        right += L::load(from + n * stride + u + L::count);
      }
      L::store(to + u, left);
      L::store(to + u + L::count, right);
    }
  }

  // The rows (times their masks), `depth` of them, as panels.
  template <class R>
  static void pack_panels(const R* const* rows, const T* const* masks, Size depth, Size width, Unit* to) {
    for (Size p = 0; p < width; p += M::columns) {
      for (Size k = 0; k < depth; k += Dot::group) {
        if constexpr (std::is_same_v<R, Number>) {
          if (masks == nullptr && k + Dot::group <= depth && p + M::columns <= width) {  // as they are
            Dot::template join_units<M::columns>(rows[k] + p, rows[k + Dot::group - 1] + p, to);
            to += M::columns;
            continue;
          }
        }
        for (Size i = p; i < p + M::columns; i += L::count, to += L::count) {
          V values[Dot::group] = {};
          for (Size g = 0; g < smaller(Dot::group, depth - k) && i < width; ++g) {
            values[g] = L::load_some(rows[k + g] + i, width - i);
            if (masks != nullptr) values[g] *= L::load_some(masks[k + g] + i, width - i);
          }
          Dot::store_units(to, values);
        }
      }
    }
  }

  // A right-hand matrix in panels, and where its product with the left-hand columns is added; null for nowhere.
  struct Product {
    const Unit* panels;
    T* to;  // (units, width)
    Size width;
  };

  // to += d^T rows for the owned columns of d.
  static void add_products(const View& v, const Scratch& scratch, const Owned<T, Dot::bytes>& owned, const Number* d,
                           Size stride, Size rows, const Product (&products)[2]) {
    Unit* const columns = scratch.columns + v.share.member * column_room();
    const Size depth = M::units(rows);
    for (Size u = owned.first; u < owned.last; u += kColumns) {
      const Size count = smaller(kColumns, owned.last - u);
      M::pack_columns(d + u, stride, count, rows, columns);
      for (const Product& product : products) {
        if (product.to == nullptr) continue;
        for (Size p = 0; p < product.width; p += M::columns)
          M::multiply_transposed(columns, count, depth, product.panels + p * depth,
                                 product.to + u * product.width + p, product.width);
      }
    }
  }
};

}  // namespace
}  // namespace lamina
