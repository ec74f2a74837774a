// One block of rows through all its steps.
//
// The input product of a chunk of steps is one product over all its rows and steps; the recurrent products
// follow step by step and add to it in place.
#pragma once
#include "view.h"

namespace lamina {
namespace {

template <class S, class Dot, int MaxRows>
struct Forward {
  using T = Compute<S>;
  using Number = typename Dot::Number;
  using View = lamina::View<S, Dot, MaxRows>;
  using M = typename View::M;
  using L = typename View::L;
  using V = typename L::Vector;
  using G = Gates<S, Dot::bytes>;
  using N = NormalisedGates<S, Dot::bytes>;

  using Apply = void (*)(const ForwardStep<S>&);

  struct Scratch {
    T *h[2], *c, *keep_h, *keep_c, *temporary, *chunk, *zeros;
    Number* multiplied[2];  // h as the recurrent product takes it
    T* before;              // h before its projection
    Number* projected;
    Number* gathered;       // inputs of a chunk, where products do not take them as they are stored
    const Number** inputs;  // a list for each member

    Scratch(Arena<T>& arena, const Problem<S>& p, const CellShape& shape, const Block& block, int members) {
      const Size padded = View::pad(p.hidden), memory = block.rows * padded, rows = chunk_rows(block);
      const Size state = block.rows * View::pad(p.outputs);
      const bool projected_h = p.projection != nullptr;
      for (int i = 0; i < 2; ++i) {
        h[i] = arena.take(state);
        multiplied[i] = p.recurrent_mask == nullptr ? as_numbers<T, Number>(arena, h[i], state)
                                                    : arena.template take_as<Number>(state);
      }
      c = arena.take(memory);
      keep_h = arena.take(View::pad(p.outputs));
      keep_c = arena.take(padded);
      temporary = arena.take(2 * padded);
      zeros = arena.take(projected_h ? View::pad(p.outputs) : 0);
      before = arena.take(projected_h ? memory : 0);
      projected = as_numbers<T, Number>(arena, before, projected_h ? memory : 0);
      chunk = p.training ? nullptr : arena.take(rows * View::saved_width(p, shape));
      gathered = arena.template take_as<Number>(View::direct ? 0 : rows * View::input_stride(p.features));
      inputs = arena.template take_as<const Number*>(rows * members);
    }
  };

  static Size scratch_size(const Problem<S>& p, const CellShape& shape, const Block& block, int members) {
    Arena<T> arena(nullptr);
    Scratch(arena, p, shape, block, members);
    return arena.used();
  }

  static void run(const Share<S>& share) {
    const Apply apply = cell_of<ForwardStep<S>, G, N>(share.problem->cell);
    const View v(share);
    const Block& block = v.block;
    Arena<T> arena(share.scratch);
    const Scratch scratch(arena, v.p, v.shape, block, share.members);
    T* const saved = v.p.training ? v.p.saved + block.first * v.width : nullptr;
    v.zero_padding(v.p.y, v.p.outputs, v.outputs.first, v.outputs.end());
    start_states(v, scratch);
    v.meet();

    const Size stride = chunk_steps(block);
    for (Size begin = 0; begin < block.steps; begin += stride) {
      const Size end = smaller(begin + stride, block.steps);
      T* const chunk = v.p.training ? saved + block.offset[begin] * v.width : scratch.chunk;
      project_inputs(v, scratch, begin, end, chunk);
      for (Size s = begin; s < end; ++s) {
        T* const rows = chunk + (block.offset[s] - block.offset[begin]) * v.width;
        recur(v, scratch.multiplied[s % 2], s, rows);
        take_step(v, scratch, saved, s, rows, apply);
        if (v.projected()) project_outputs(v, scratch, s);
        for (Size j = 0; j < active(block, s); ++j) hand_on(v, scratch, s, j, memory_after(v, scratch, rows, j));
        v.meet();
      }
    }
  }

 private:
  static void take_step(const View& v, const Scratch& scratch, T* saved, Size s, T* rows, Apply apply) {
    ForwardStep<S> step = v.template start_step<ForwardStep<S>>(scratch.temporary);
    for (Size j = 0; j < active(v.block, s); ++j) {
      const Size number = v.place(s, j), at = j * v.outputs.padded;
      step.blocks = rows + j * v.width;
      step.c_new = memory_after(v, scratch, rows, j);
      step.c_old = v.p.training && s > 0 ? saved + (v.block.offset[s - 1] + j) * v.width + v.memory()
                                         : scratch.c + j * v.hidden.padded;
      step.keep_c = v.hidden.keep(v.p.keep_c, v.p.rate_c, number, scratch.keep_c);
      if (v.projected()) {
        step.h_new = scratch.before + j * v.hidden.padded;
      } else {
        step.h_old = scratch.h[s % 2] + at;
        step.h_new = scratch.h[(s + 1) % 2] + at;
        step.keep_h = v.outputs.keep(v.p.keep_h, v.p.rate_h, number, scratch.keep_h);
        step.y = v.p.y + number * v.p.outputs;
      }
      apply(step);
    }
  }

  static T* memory_after(const View& v, const Scratch& scratch, T* rows, Size j) {
    return v.p.training ? rows + j * v.width + v.memory() : scratch.c + j * v.hidden.padded;
  }

  // h_new = P h for the owned outputs, then what a cell without a projection does itself.
  static void project_outputs(const View& v, const Scratch& scratch, Size s) {
    const Size rows = active(v.block, s), padded = v.outputs.padded;
    for (Size j = 0; j < rows; ++j)
      v.put_numbers(v.hidden, scratch.before + j * v.hidden.padded, scratch.projected + j * v.hidden.padded);
    v.meet();
    T* const fresh = scratch.h[(s + 1) % 2];
    M::multiply(Strided<Number>{scratch.projected, v.hidden.padded}, rows, M::units(v.p.hidden),
                v.share.packed->projection, v.outputs.first_panel(), v.outputs.last_panel(), scratch.zeros, 0, fresh,
                padded);
    for (Size j = 0; j < rows; ++j) {
      const Size number = v.place(s, j);
      const T* const keep = v.outputs.keep(v.p.keep_h, v.p.rate_h, number, scratch.keep_h);
      T* const h = fresh + j * padded;
      for (Size u = v.outputs.first; u < v.outputs.last; u += L::count)
        L::store(h + u, G::blend(L::load(h + u), scratch.h[s % 2] + j * padded, keep, u));
      v.outputs.copy_out(h, v.p.y + number * v.p.outputs);
    }
  }

  // The new state of row j to the next product, or out if this was the row's last step.
  static void hand_on(const View& v, const Scratch& scratch, Size s, Size j, const T* c) {
    const Size at = j * v.outputs.padded;
    put_multiplied(v, j, scratch.h[(s + 1) % 2] + at, scratch.multiplied[(s + 1) % 2] + at);
    if (s + 1 == v.block.length[j]) put_final(v, j, scratch.h[(s + 1) % 2] + at, c);
  }

  static void put_multiplied(const View& v, Size j, const T* h, Number* to) {
    if (v.p.recurrent_mask == nullptr) return v.put_numbers(v.outputs, h, to);
    const T* mask = v.p.recurrent_mask + v.block.row[j] * v.p.outputs;
    for (Size u = v.outputs.first; u < v.outputs.last; u += L::count)
      L::store(to + u, L::load(h + u) * v.outputs.load(mask, u));
  }

  static void put_final(const View& v, Size j, const T* h, const T* c) {
    v.outputs.copy_out(h, v.p.hn + v.block.row[j] * v.p.outputs);
    if (v.shape.memory) v.hidden.copy_out(c, v.p.cn + v.block.row[j] * v.p.hidden);
  }

  static void start_states(const View& v, const Scratch& scratch) {
    for (Size j = 0; j < v.block.rows; ++j) {
      const Size row = v.block.row[j], at = j * v.outputs.padded;
      T *const h = scratch.h[0] + at, *const c = scratch.c + j * v.hidden.padded;
      v.outputs.copy_in(v.p.h0 + row * v.p.outputs, h);
      put_multiplied(v, j, h, scratch.multiplied[0] + at);
      if (v.shape.memory) v.hidden.copy_in(v.p.c0 + row * v.p.hidden, c);
      if (v.block.length[j] == 0) put_final(v, j, h, c);
    }
    if (v.projected()) v.outputs.copy_in(static_cast<const S*>(nullptr), scratch.zeros);
  }

  // The rows that the input product of a chunk reads. Members convert a share of them each.
  static void list_inputs(const View& v, const Scratch& scratch, Size begin, Size end, const Number** list) {
    const Size rows = v.block.offset[end] - v.block.offset[begin], stride = View::input_stride(v.p.features);
    const Size from = v.share.member * rows / v.share.members, to = (v.share.member + 1) * rows / v.share.members;
    for (Size s = begin, n = 0; s < end; ++s) {
      for (Size j = 0; j < active(v.block, s); ++j, ++n) {
        const S* const x = v.p.x + v.place(s, j) * v.p.features;
        if constexpr (View::direct) {
          list[n] = x;
        } else {
          Number* const row = scratch.gathered + n * stride;
          list[n] = row;
          if (n < from || n >= to) continue;
          for (Size i = 0; i < v.p.features; i += L::count) {
            const Size have = v.p.features - i;
            L::store_some(row + i, L::load_some(x + i, have), smaller(stride - i, L::count));
          }
        }
      }
    }
    if (!View::direct) v.meet();
  }

  // The gate whose input product a block holds; outside [0, gates) for a block of a recurrent product alone.
  static int input_gate(const View& v, int block) { return block - v.shape.w_first; }
  static bool reads_input(const View& v, int block) {
    return input_gate(v, block) >= 0 && input_gate(v, block) < v.shape.gates;
  }

  // The owned units of W x + b for every input of the chunk.
  static void project_inputs(const View& v, const Scratch& scratch, Size begin, Size end, T* chunk) {
    const Size rows = v.block.offset[end] - v.block.offset[begin], padded = v.hidden.padded;
    const Size depth = M::units(v.p.features);
    const Number** inputs = scratch.inputs + v.share.member * chunk_rows(v.block);
    list_inputs(v, scratch, begin, end, inputs);
    for (int q = 0; q < v.shape.blocks; ++q) {
      if (!reads_input(v, q)) continue;
      M::multiply(Listed<Number>{inputs}, rows, depth, v.share.packed->w + input_gate(v, q) * padded * depth,
                  v.hidden.first_panel(), v.hidden.last_panel(), v.share.packed->bias + q * padded, 0,
                  chunk + q * padded, v.width);
    }
  }

  // R h for the owned units of the rows still running, added to W x + b, or to b where W does not reach.
  static void recur(const View& v, const Number* h, Size s, T* rows) {
    const Size depth = M::units(v.p.outputs), padded = v.hidden.padded;
    for (int q = 0; q < v.shape.gates; ++q) {
      const int block = v.shape.r_first + q;
      const bool added = reads_input(v, block);
      T* const to = rows + block * padded;
      M::multiply(Strided<Number>{h, v.outputs.padded}, active(v.block, s), depth,
                  v.share.packed->r + q * padded * depth, v.hidden.first_panel(), v.hidden.last_panel(),
                  added ? to : v.share.packed->bias + block * padded, added ? v.width : 0, to, v.width);
    }
  }
};

}  // namespace
}  // namespace lamina
