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

  // Replace a row by its normalised self; padding becomes zero.
  template <class Step>
  static Moments normalise(const Step& s, T* row) {
    V sum{}, squares{};
    for (Size u = 0; u < s.padded; u += L::count) sum += L::load(row + u);
    const T mean = L::sum(sum) / T(s.hidden);
    for (Size u = 0; u < s.padded; u += L::count) {
      const V away = (L::load(row + u) - mean) * L::load(s.valid + u);
      L::store(row + u, away);
      squares += away * away;
    }
    const T scale = T(1) / T(__builtin_sqrt(L::sum(squares) / T(s.hidden) + kEpsilon));
    for (Size u = 0; u < s.padded; u += L::count) L::store(row + u, L::load(row + u) * scale);
    return {mean, scale};
  }

  // Turn the gradient of a normalised row, in place, into that of the row before.
  static void normalise_back(const BackwardStep<S>& s, T* d, const T* normal, T scale) {
    V sum{}, product{};
    for (Size u = 0; u < s.padded; u += L::count) {
      sum += L::load(d + u);
      product += L::load(d + u) * L::load(normal + u);
    }
    const T mean = L::sum(sum) / T(s.hidden), slope = L::sum(product) / T(s.hidden);
    for (Size u = 0; u < s.padded; u += L::count) {
      const V left = L::load(d + u) - mean - L::load(normal + u) * slope;
      L::store(d + u, left * scale * L::load(s.valid + u));
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

  // Normalise the products, and keep the scale of each behind `blocks_and_memory` blocks.
  static T* normalise_products(const ForwardStep<S>& s, Size products, Size blocks_and_memory) {
    T* const statistics = s.blocks + blocks_and_memory * s.padded;
    for (Size q = 0; q < kStatistics; ++q)
      statistics[q] = q < products ? normalise(s, s.blocks + q * s.padded).scale : T(0);
    return statistics;
  }

  static void lstm(const ForwardStep<S>& s) {
    T* const statistics = normalise_products(s, 8, 9);
    T *const memory = s.temporary, *const o = memory + s.padded;
    for (Size u = 0; u < s.padded; u += L::count) {
      const Lstm gates = lstm_gates(s, u);
      const V c = gates.f * L::load(s.c_old + u) + gates.i * gates.g;
      L::store(memory + u, c);
      L::store(o + u, gates.o);
      L::store(s.c_new + u, G::blend(c, s.c_old, s.keep_c, u));
    }
    const Moments moments = normalise(s, memory);
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
      L::store(d_normal + u, d_term * parameter(s, 12, u));
      L::store(i_ + u, gates.i);
      L::store(f_ + u, gates.f);
      L::store(g_ + u, gates.g);
      L::store(s.d_blocks + 3 * s.padded + u, dh * t * gates.o * (T(1) - gates.o));
      L::store(s.dh + u, carry);
    }
    normalise_back(s, d_normal, normal, statistics[8]);
    for (Size u = 0; u < s.padded; u += L::count) {
      const V i = L::load(i_ + u), f = L::load(f_ + u), g = L::load(g_ + u);
      V dc = L::load(s.dc + u), carry{};
      if (s.keep_c != nullptr) {
        carry = L::load(s.keep_c + u) * dc;
        dc -= carry;
      }
      dc += L::load(d_normal + u);
      L::store(s.d_blocks + u, dc * g * i * (T(1) - i));
      L::store(s.d_blocks + s.padded + u, dc * L::load(s.c_old + u) * f * (T(1) - f));
      L::store(s.d_blocks + 2 * s.padded + u, dc * i * (T(1) - g * g));
      L::store(s.dc + u, dc * f + carry);
    }
    for (Size u = 0; u < 4 * s.padded; u += L::count) L::store(s.d_blocks + 4 * s.padded + u, L::load(s.d_blocks + u));
    products_back(s, 4, statistics);
  }

  static void gru(const ForwardStep<S>& s) {
    normalise_products(s, 6, 6);
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
      L::store(d + 3 * s.padded, dr);
      L::store(d + 4 * s.padded, dz);
      L::store(d + 5 * s.padded, dn * gates.r);
      L::store(s.dh + u, carry + dh * gates.z);
    }
    products_back(s, 3, s.blocks + 6 * s.padded);
  }

  static void add(const BackwardStep<S>& s, Size row, Size u, V value) {
    T* at = s.d_extra + row * s.padded + u;
    L::store(at, L::load(at) + value);
  }

  // From the gradients of the terms, in d_blocks, to those of the parameters and of the products.
  static void products_back(const BackwardStep<S>& s, Size gates, const T* statistics) {
    for (Size q = 0; q < 2 * gates; ++q) {
      T* const d = s.d_blocks + q * s.padded;
      const T* const normal = s.blocks + q * s.padded;
      for (Size u = 0; u < s.padded; u += L::count) {
        const V term = L::load(d + u);
        add(s, q, u, term * L::load(normal + u));
        if (q < gates) add(s, 2 * gates + q, u, term);
        L::store(d + u, term * parameter(s, q, u));
      }
      normalise_back(s, d, normal, statistics[q]);
    }
  }
};

}  // namespace
}  // namespace lamina
