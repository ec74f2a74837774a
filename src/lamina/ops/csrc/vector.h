// A few numbers side by side, and the functions of the gates on them.
//
// Written with the compiler's vector types instead of intrinsics: the same source is SSE2, AVX2, AVX-512 or
// NEON, as the flags of the unit that includes it say. Everything stays inside an unnamed namespace, so that
// no two units share a function (see problem.h).
#pragma once
#include <cstddef>
#include <cstdint>

#include "stored.h"

namespace lamina {
namespace {

// The bits of numbers side by side, and the rounding of floats to bfloat16: to nearest, ties to even.
template <int Bytes>
struct FloatBits {
  static constexpr int count = Bytes / 4;
  typedef float Vector __attribute__((vector_size(Bytes)));
  typedef std::uint32_t Wide __attribute__((vector_size(Bytes)));

  static Vector widened(const Bf16* from) {  // plain loops, which compilers turn into one instruction
    std::uint32_t bits[count];
    for (int i = 0; i < count; ++i) bits[i] = static_cast<std::uint32_t>(from[i].bits) << 16;
    Vector v;
    __builtin_memcpy(&v, bits, sizeof v);
    return v;
  }
  // The upper half of each number holds the rounded one; a NaN stays one.
  static Wide rounded(Vector v) {
    const Wide bits = reinterpret_cast<Wide>(v);
    const Wide up = bits + 0x7fff + ((bits >> 16) & 1);
    return v == v ? up : (bits | 0x400000);
  }
  static void narrowed(Bf16* to, Vector v) {
    std::uint32_t bits[count];
    const Wide wide = rounded(v) >> 16;
    __builtin_memcpy(bits, &wide, sizeof bits);
    for (int i = 0; i < count; ++i) to[i].bits = static_cast<std::uint16_t>(bits[i]);
  }
};

template <class T, int Bytes>
struct Lanes {
  typedef T Vector __attribute__((vector_size(Bytes)));
  static constexpr int count = Bytes / static_cast<int>(sizeof(T));

  static Vector load(const T* from) {
    Vector v;
    __builtin_memcpy(&v, from, sizeof v);
    return v;
  }
  static void store(T* to, Vector v) { __builtin_memcpy(to, &v, sizeof v); }
  static Vector load(const Bf16* from) { return FloatBits<Bytes>::widened(from); }
  static void store(Bf16* to, Vector v) { FloatBits<Bytes>::narrowed(to, v); }
  static Vector fill(T value) { return value - Vector{}; }

  // The same where only the first n numbers exist; the rest read as zero.
  template <class S>
  static Vector load_some(const S* from, Size n) {
    if (n >= count) return load(from);
    S some[count] = {};
    for (Size i = 0; i < n; ++i) some[i] = from[i];
    return load(some);
  }
  template <class S>
  static void store_some(S* to, Vector v, Size n) {
    if (n >= count) return store(to, v);
    S some[count];
    store(some, v);
    for (Size i = 0; i < n; ++i) to[i] = some[i];
  }
  // Added in halves: for 8 numbers 3 additions one after the other instead of 7.
  static T sum(Vector v) {
    T parts[count];
    store(parts, v);
    for (int half = count / 2; half > 0; half /= 2)
      for (int i = 0; i < half; ++i) parts[i] += parts[i + half];
    return parts[0];
  }
};

// tanh as x P(x^2) / Q(x^2), P and Q of degree 4, fitted by us with reweighted least squares to the smallest
// relative error on |x| <= 9.02, beyond which float32 rounds tanh to 1. The fit's error is 2.1e-8; with
// float32 arithmetic it is 3.5e-7 (over 400,001 points). A NaN stays one.
template <int Bytes>
typename Lanes<float, Bytes>::Vector hyperbolic_tangent(typename Lanes<float, Bytes>::Vector x) {
  using V = typename Lanes<float, Bytes>::Vector;
  const V limit = Lanes<float, Bytes>::fill(9.02f);
  x = x > limit ? limit : x;
  x = x < -limit ? -limit : x;
  const V z = x * x;
  const V p = (((1.3318927e-08f * z + 2.0583378e-05f) * z + 3.4940285e-03f) * z + 1.3379712e-01f) * z + 1.0f;
  const V q = (((7.7619609e-07f * z + 3.2830826e-04f) * z + 2.5871050e-02f) * z + 4.6713027e-01f) * z + 1.0f;
  return x * p / q;
}

template <int Bytes>
typename Lanes<double, Bytes>::Vector hyperbolic_tangent(typename Lanes<double, Bytes>::Vector x) {
  for (int i = 0; i < Lanes<double, Bytes>::count; ++i) x[i] = __builtin_tanh(x[i]);
  return x;
}

template <class T, int Bytes>
typename Lanes<T, Bytes>::Vector sigmoid(typename Lanes<T, Bytes>::Vector x) {
  return T(0.5) * hyperbolic_tangent<Bytes>(T(0.5) * x) + T(0.5);
}

}  // namespace
}  // namespace lamina
