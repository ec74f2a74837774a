// The layer-normalised cells on one row at one step. The thread owns the whole row: a mean needs all of it.
//
// Saved: the normalised products (input gates, then recurrent gates) and their statistics. The activated
// gates are made again going back, which costs less than keeping them.
#pragma once
#include "cells.h"

namespace lamina {
namespace {

template <class S, int Bytes>
struct NormalisedGates {
  using T = Compute<S>;
  using L = Lanes<T, Bytes>;
  using V = typename L::Vector;
  using G = Gates<S, Bytes>;
  static constexpr T kEpsilon = T(1e-5);  // LAYER_NORM_EPSILON of cells.py

  struct Moments {
    T mean, scale;  // scale: 1 / sqrt(variance + epsilon)
  };

  // Replace N rows, one behind the other, by their normalised selves; padding becomes zero. Rows go together
  // because the sums of one row have to wait for one another.
  template <int N, class Step>
  static void normalise(const Step& s, T* rows, Moments* moments) {
    V sums[N] = {}, squares[N] = {};
    for (Size u = 0; u < s.padded; u += L::count)
#pragma GCC unroll 4
      for (int q = 0; q < N; ++q) sums[q] += L::load(rows + q * s.padded + u);
    V means[N], scales[N];
    for (int q = 0; q < N; ++q) means[q] = L::fill(moments[q].mean = L::sum(sums[q]) / T(s.hidden));
    for (Size u = 0; u < s.padded; u += L::count) {
      const V valid = L::load(s.valid + u);
#pragma GCC unroll 4
      for (int q = 0; q < N; ++q) {
        const V away = (L::load(rows + q * s.padded + u) - means[q]) * valid;
        squares[q] += away * away;
      }
    }
    for (int q = 0; q < N; ++q) {
      moments[q].scale = T(1) / T(__builtin_sqrt(L::sum(squares[q]) / T(s.hidden) + kEpsilon));
      scales[q] = L::fill(moments[q].scale);
    }
    for (Size u = 0; u < s.padded; u += L::count) {
      const V valid = L::load(s.valid + u);
#pragma GCC unroll 4
      for (int q = 0; q < N; ++q) {
        T* const at = rows + q * s.padded + u;
        L::store(at, (L::load(at) - means[q]) * scales[q] * valid);
      }
    }
  }

  // Turn the gradients of N normalised rows, in place, into those of the rows before, given the sums over the
  // units of the gradients and of their products with the rows.
  template <int N>
  static void normalise_back(const BackwardStep<S>& s, T* d, const T* normal, const T* scales, const V* sums,
                             const V* products) {
    V means[N], slopes[N];
    for (int q = 0; q < N; ++q) {
      means[q] = L::fill(L::sum(sums[q]) / T(s.hidden));
      slopes[q] = L::fill(L::sum(products[q]) / T(s.hidden));
    }
    for (Size u = 0; u < s.padded; u += L::count) {
      const V valid = L::load(s.valid + u);
#pragma GCC unroll 4
      for (int q = 0; q < N; ++q) {
        T* const at = d + q * s.padded + u;
        const V left = L::load(at) - means[q] - L::load(normal + q * s.padded + u) * slopes[q];
        L::store(at, left * scales[q] * valid);
      }
    }
  }

  // Rows of Step.extra, and the same rows of their gradients, for a cell with `gates` gates.
  template <class Step>
  static V parameter(const Step& s, Size row, Size u) {
    return L::load(s.extra + row * s.padded + u);
  }
  // Input and recurrent terms of gate q: gain_x N(wx) + shift, and gain_h N(rh).
  template <class Step>
  static V input(const Step& s, Size gates, Size q, Size u) {
    return parameter(s, q, u) * L::load(s.blocks + q * s.padded + u) + parameter(s, 2 * gates + q, u);
  }
  template <class Step>
  static V recurrent(const Step& s, Size gates, Size q, Size u) {
    return parameter(s, gates + q, u) * L::load(s.blocks + (gates + q) * s.padded + u);
  }

  struct Lstm {
    V i, f, g, o;
  };
  template <class Step>
  static Lstm lstm_gates(const Step& s, Size u) {
    const auto term = [&](Size q) { return input(s, 4, q, u) + recurrent(s, 4, q, u); };
    return {G::sigmoid(term(0)), G::sigmoid(term(1)), G::tanh(term(2)), G::sigmoid(term(3))};
  }
  struct Gru {
    V r, z, n, m;  // m: the recurrent term of n
  };
  template <class Step>
  static Gru gru_gates(const Step& s, Size u) {
    const V r = G::sigmoid(input(s, 3, 0, u) + recurrent(s, 3, 0, u));
    const V z = G::sigmoid(input(s, 3, 1, u) + recurrent(s, 3, 1, u));
    const V m = recurrent(s, 3, 2, u);
    return {r, z, G::tanh(input(s, 3, 2, u) + r * m), m};
  }

  // Normalise the products of `Gates` gates, and keep the scale of each behind `blocks_and_memory` blocks.
  template <int Gates>
  static T* normalise_products(const ForwardStep<S>& s, Size blocks_and_memory) {
    T* const statistics = s.blocks + blocks_and_memory * s.padded;
    Moments moments[2 * Gates];
    normalise<Gates>(s, s.blocks, moments);
    normalise<Gates>(s, s.blocks + Gates * s.padded, moments + Gates);
    for (Size q = 0; q < kStatistics; ++q) statistics[q] = q < 2 * Gates ? moments[q].scale : T(0);
    return statistics;
  }

  static void lstm(const ForwardStep<S>& s) {
    T* const statistics = normalise_products<4>(s, 9);
    T *const memory = s.temporary, *const o = memory + s.padded;
    for (Size u = 0; u < s.padded; u += L::count) {
      const Lstm gates = lstm_gates(s, u);
      const V c = gates.f * L::load(s.c_old + u) + gates.i * gates.g;
      L::store(memory + u, c);
      L::store(o + u, gates.o);
      L::store(s.c_new + u, G::blend(c, s.c_old, s.keep_c, u));
    }
    Moments moments;
    normalise<1>(s, memory, &moments);
    statistics[8] = moments.scale;
    statistics[9] = moments.mean;
    for (Size u = 0; u < s.padded; u += L::count) {
      const V t = G::tanh(parameter(s, 12, u) * L::load(memory + u) + parameter(s, 13, u));
      G::put_h(s, L::load(o + u) * t, u);
    }
  }

  static void lstm(const BackwardStep<S>& s) {
    const T* const statistics = s.blocks + 9 * s.padded;
    T *const normal = s.temporary, *const d_normal = normal + s.padded;
    V sum{}, product{};
    T *const i_ = d_normal + s.padded, *const f_ = i_ + s.padded, *const g_ = f_ + s.padded;
    for (Size u = 0; u < s.padded; u += L::count) {
      const Lstm gates = lstm_gates(s, u);
      const V c = gates.f * L::load(s.c_old + u) + gates.i * gates.g;
      const V n = (c - statistics[9]) * statistics[8] * L::load(s.valid + u);
      const V t = G::tanh(parameter(s, 12, u) * n + parameter(s, 13, u));
      V carry;
      const V dh = G::take_dh(s, u, &carry);
      const V d_term = dh * gates.o * (T(1) - t * t);
      add(s, 12, u, d_term * n);
      add(s, 13, u, d_term);
      L::store(normal + u, n);
      const V dn = d_term * parameter(s, 12, u);
      sum += dn;
      product += dn * n;
      L::store(d_normal + u, dn);
      L::store(i_ + u, gates.i);
      L::store(f_ + u, gates.f);
      L::store(g_ + u, gates.g);
      L::store(s.d_blocks + 3 * s.padded + u, dh * t * gates.o * (T(1) - gates.o));
      L::store(s.dh + u, carry);
    }
    normalise_back<1>(s, d_normal, normal, statistics + 8, &sum, &product);
    for (Size u = 0; u < s.padded; u += L::count) {
      const V i = L::load(i_ + u), f = L::load(f_ + u), g = L::load(g_ + u);
      V dc = L::load(s.dc + u), carry{};
      if (s.keep_c != nullptr) {
        carry = L::load(s.keep_c + u) * dc;
        dc -= carry;
      }
      dc += L::load(d_normal + u);
      T* const d = s.d_blocks + u;
      L::store(d, dc * g * i * (T(1) - i));
      L::store(d + s.padded, dc * L::load(s.c_old + u) * f * (T(1) - f));
      L::store(d + 2 * s.padded, dc * i * (T(1) - g * g));
      L::store(s.dc + u, dc * f + carry);
    }
    products_back<4, 4>(s, statistics);
  }

  static void gru(const ForwardStep<S>& s) {
    normalise_products<3>(s, 6);
    for (Size u = 0; u < s.padded; u += L::count) {
      const Gru gates = gru_gates(s, u);
      G::put_h(s, gates.n + gates.z * (L::load(s.h_old + u) - gates.n), u);
    }
  }

  static void gru(const BackwardStep<S>& s) {
    for (Size u = 0; u < s.padded; u += L::count) {
      const Gru gates = gru_gates(s, u);
      V carry;
      const V dh = G::take_dh(s, u, &carry);
      const V h_old = u < s.hidden ? L::load_some(s.h_old + u, s.hidden - u) : V{};
      const V dn = dh * (T(1) - gates.z) * (T(1) - gates.n * gates.n);
      const V dr = dn * gates.m * gates.r * (T(1) - gates.r);
      const V dz = dh * (h_old - gates.n) * gates.z * (T(1) - gates.z);
      T* const d = s.d_blocks + u;
      L::store(d, dr);
      L::store(d + s.padded, dz);
      L::store(d + 2 * s.padded, dn);
      L::store(d + 5 * s.padded, dn * gates.r);
      L::store(s.dh + u, carry + dh * gates.z);
    }
    products_back<3, 2>(s, s.blocks + 6 * s.padded);
  }

  static void add(const BackwardStep<S>& s, Size row, Size u, V value) {
    T* at = s.d_extra + row * s.padded + u;
    L::store(at, L::load(at) + value);
  }

  // From the gradients of the terms, in d_blocks, to those of the parameters and of the products. Of the first
  // `Shared` gates the recurrent term has the gradient of the input's, and d_blocks holds it once.
  template <int Gates, int Shared>
  static void products_back(const BackwardStep<S>& s, const T* statistics) {
    V sums[2 * Gates] = {}, products[2 * Gates] = {};
    gate_pair_back<Gates, Shared, 0>(s, sums, products);
    gate_pair_back<Gates, Shared, 2>(s, sums, products);
    for (Size first = 0; first < 2 * Gates; first += Gates)
      normalise_back<Gates>(s, s.d_blocks + first * s.padded, s.blocks + first * s.padded, statistics + first,
                            sums + first, products + first);
  }

  // Gates First and First + 1, where they exist: two at a time, so that the sums stay in registers.
  template <int Gates, int Shared, int First>
  static void gate_pair_back(const BackwardStep<S>& s, V* sums, V* products) {
    constexpr int kCount = Gates - First < 2 ? Gates - First : 2;
    V sum[2][kCount] = {}, product[2][kCount] = {};
    for (Size u = 0; u < s.padded; u += L::count) {
#pragma GCC unroll 2
      for (int q = 0; q < kCount; ++q) {
        const Size x = First + q, h = Gates + x, shift = Gates + h;
        const V term = L::load(s.d_blocks + x * s.padded + u);
        add(s, shift, u, term);
        const V recurrent_term = First + q < Shared ? term : L::load(s.d_blocks + h * s.padded + u);
        back_through_gain(s, x, u, term, &sum[0][q], &product[0][q]);
        back_through_gain(s, h, u, recurrent_term, &sum[1][q], &product[1][q]);
      }
    }
    for (int q = 0; q < kCount; ++q) {
      for (int half = 0; half < 2; ++half) {
        sums[half * Gates + First + q] = sum[half][q];
        products[half * Gates + First + q] = product[half][q];
      }
    }
  }
  // One block: the gradients of its gain and of its normalised product, and the sums that this one needs.
  static void back_through_gain(const BackwardStep<S>& s, Size block, Size u, V term, V* sum, V* product) {
    const V n = L::load(s.blocks + block * s.padded + u), dn = term * parameter(s, block, u);
    add(s, block, u, term * n);
    L::store(s.d_blocks + block * s.padded + u, dn);
    *sum += dn;
    *product += dn * n;
  }
};

// What a cell does with one row at one step, forward or backward. A call through a pointer costs nothing beside
// a row, and the loops around it are compiled once instead of once a cell. Each works on a copy of its own: a
// step that others could see would be read again after every number stored.
template <class Step, class Plain, class Normalised>
auto cell_of(Cell cell) -> void (*)(const Step&) {
  switch (cell) {
    case Cell::tanh: return [](const Step& s) { Plain::template simple<false>(Step(s)); };
    case Cell::relu: return [](const Step& s) { Plain::template simple<true>(Step(s)); };
    case Cell::lstm: return [](const Step& s) { Plain::lstm(Step(s)); };
    case Cell::gru: return [](const Step& s) { Plain::gru(Step(s)); };
    case Cell::layer_norm_lstm: return [](const Step& s) { Normalised::lstm(Step(s)); };
    case Cell::layer_norm_gru: return [](const Step& s) { Normalised::gru(Step(s)); };
  }
  return nullptr;  // no other cell exists
}

}  // namespace
}  // namespace lamina
