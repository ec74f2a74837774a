// The cells on one row at one step: lamina/ops/cells.py is the truth they are tested against.
#pragma once
#include "vector.h"

namespace lamina {
namespace {

// One row at one step, seen by the thread that owns the units [first, last). Pointers to `padded` numbers
// unless said otherwise.
template <class S>
struct ForwardStep {
  using T = Compute<S>;
  Size hidden, padded, first, last;
  T* blocks;                   // in: the products; out: what backward needs of the gates
  const T *h_old, *c_old;
  T *h_new, *c_new;
  const T *keep_h, *keep_c;    // zoneout: the share of the old state that stays; null for none
  S* y;                        // (hidden); null where h_new is still to be projected
  const T *extra, *valid;      // of Packed
  T* temporary;                // 2 rows
};

template <class S>
struct BackwardStep {
  using T = Compute<S>;
  Size hidden, padded, first, last;
  const T* blocks;             // what forward left
  T* d_blocks;                 // out: gradients of the products
  const S* h_old;              // (hidden)
  const T *c_old, *c_new;
  T* dh;                       // in: gradient of h_new through time; out: what passes h_old by, around R
  T* dc;                       // in: gradient of c_new; out: of c_old
  const T *keep_h, *keep_c;
  const S* dy;                 // (hidden), or null
  T* h_new;                    // out: h_new before its projection; null where nobody wants it
  const T *extra, *valid;
  T* d_extra;                  // gradients of extra, added to
  T* temporary;                // 5 rows
};

template <class S, int Bytes>
struct Gates {
  using T = Compute<S>;
  using L = Lanes<T, Bytes>;
  using V = typename L::Vector;

  static V sigmoid(V x) { return lamina::sigmoid<T, Bytes>(x); }
  static V tanh(V x) { return hyperbolic_tangent<Bytes>(x); }
  static V blend(V fresh, const T* old, const T* keep, Size u) {
    return keep == nullptr ? fresh : fresh + L::load(keep + u) * (L::load(old + u) - fresh);
  }
  static void put_h(const ForwardStep<S>& s, V h, Size u) {
    h = blend(h, s.h_old, s.keep_h, u);
    L::store(s.h_new + u, h);
    if (s.y != nullptr && u < s.hidden) L::store_some(s.y + u, h, s.hidden - u);
  }
  // The whole gradient of h_new; the part that zoneout sends straight to h_old goes to `carry`.
  static V take_dh(const BackwardStep<S>& s, Size u, V* carry) {
    V dh = L::load(s.dh + u);
    if (s.dy != nullptr && u < s.hidden) dh += L::load_some(s.dy + u, s.hidden - u);
    *carry = V{};
    if (s.keep_h == nullptr) return dh;
    *carry = L::load(s.keep_h + u) * dh;
    return dh - *carry;
  }

  template <bool Rectified>
  static void simple(const ForwardStep<S>& s) {
    for (Size u = s.first; u < s.last; u += L::count) {
      V a = L::load(s.blocks + u);
      a = Rectified ? (a < V{} ? V{} : a) : tanh(a);
      L::store(s.blocks + u, a);
      put_h(s, a, u);
    }
  }
  template <bool Rectified>
  static void simple(const BackwardStep<S>& s) {
    for (Size u = s.first; u < s.last; u += L::count) {
      V carry;
      const V dh = take_dh(s, u, &carry), a = L::load(s.blocks + u);
      L::store(s.d_blocks + u, Rectified ? (a > V{} ? dh : V{}) : dh * (T(1) - a * a));
      L::store(s.dh + u, carry);
    }
  }

  static void lstm(const ForwardStep<S>& s) {
    T *const i_ = s.blocks, *const f_ = i_ + s.padded, *const g_ = f_ + s.padded, *const o_ = g_ + s.padded;
    for (Size u = s.first; u < s.last; u += L::count) {
      const V i = sigmoid(L::load(i_ + u)), f = sigmoid(L::load(f_ + u));
      const V g = tanh(L::load(g_ + u)), o = sigmoid(L::load(o_ + u));
      const V c = f * L::load(s.c_old + u) + i * g;
      L::store(i_ + u, i);
      L::store(f_ + u, f);
      L::store(g_ + u, g);
      L::store(o_ + u, o);
      L::store(s.c_new + u, blend(c, s.c_old, s.keep_c, u));
      put_h(s, o * tanh(c), u);
    }
  }
  static void lstm(const BackwardStep<S>& s) {
    const T *const i_ = s.blocks, *const f_ = i_ + s.padded, *const g_ = f_ + s.padded, *const o_ = g_ + s.padded;
    T *const di_ = s.d_blocks, *const df_ = di_ + s.padded, *const dg_ = df_ + s.padded, *const do_ = dg_ + s.padded;
    for (Size u = s.first; u < s.last; u += L::count) {
      const V i = L::load(i_ + u), f = L::load(f_ + u), g = L::load(g_ + u), o = L::load(o_ + u);
      const V c_old = L::load(s.c_old + u);
      // after zoneout c_new is no longer the memory that h was made from
      const V t = tanh(s.keep_c == nullptr ? L::load(s.c_new + u) : f * c_old + i * g);
      V carry_h, carry_c{};
      const V dh = take_dh(s, u, &carry_h);
      V dc = L::load(s.dc + u);
      if (s.keep_c != nullptr) {
        carry_c = L::load(s.keep_c + u) * dc;
        dc -= carry_c;
      }
      if (s.h_new != nullptr) L::store(s.h_new + u, o * t);
      dc += dh * o * (T(1) - t * t);
      L::store(di_ + u, dc * g * i * (T(1) - i));
      L::store(df_ + u, dc * c_old * f * (T(1) - f));
      L::store(dg_ + u, dc * i * (T(1) - g * g));
      L::store(do_ + u, dh * t * o * (T(1) - o));
      L::store(s.dc + u, dc * f + carry_c);
      L::store(s.dh + u, carry_h);
    }
  }

  // Blocks: n, r, z of the input product, of which the recurrent product adds to r and z; then its own n.
  static void gru(const ForwardStep<S>& s) {
    T *const n_ = s.blocks, *const r_ = n_ + s.padded, *const z_ = r_ + s.padded, *const m_ = z_ + s.padded;
    for (Size u = s.first; u < s.last; u += L::count) {
      const V r = sigmoid(L::load(r_ + u)), z = sigmoid(L::load(z_ + u));
      const V n = tanh(L::load(n_ + u) + r * L::load(m_ + u));
      L::store(n_ + u, n);
      L::store(r_ + u, r);
      L::store(z_ + u, z);
      put_h(s, n + z * (L::load(s.h_old + u) - n), u);
    }
  }
  static void gru(const BackwardStep<S>& s) {
    const T *const n_ = s.blocks, *const r_ = n_ + s.padded, *const z_ = r_ + s.padded, *const m_ = z_ + s.padded;
    T *const dn_ = s.d_blocks, *const dr_ = dn_ + s.padded, *const dz_ = dr_ + s.padded, *const dm_ = dz_ + s.padded;
    for (Size u = s.first; u < s.last; u += L::count) {
      const V n = L::load(n_ + u), r = L::load(r_ + u), z = L::load(z_ + u);
      V carry;
      const V dh = take_dh(s, u, &carry);
      const V h_old = u < s.hidden ? L::load_some(s.h_old + u, s.hidden - u) : V{};
      const V dn = dh * (T(1) - z) * (T(1) - n * n);
      L::store(dn_ + u, dn);
      L::store(dr_ + u, dn * L::load(m_ + u) * r * (T(1) - r));
      L::store(dz_ + u, dh * (h_old - n) * z * (T(1) - z));
      L::store(dm_ + u, dn * r);
      L::store(s.dh + u, carry + dh * z);
    }
  }
};

}  // namespace
}  // namespace lamina
