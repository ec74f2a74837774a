// Rows of scores to the gradient of their cross-entropy, in place.
#pragma once
#include "vector.h"

namespace lamina {
namespace {

// exp as 2^n e^r with |r| <= ln(2) / 2 and e^r by its series up to r^6: a relative error of 1.5e-7 with float32
// arithmetic. Below -87 it is 0. A NaN stays one. For x <= 88.
template <int Bytes>
typename Lanes<float, Bytes>::Vector exponential(typename Lanes<float, Bytes>::Vector x) {
  using L = Lanes<float, Bytes>;
  using V = typename L::Vector;
  typedef std::int32_t Whole __attribute__((vector_size(Bytes)));
  const V lowest = L::fill(-87.0f), kept = x < lowest ? lowest : x;
  const V shifted = kept * 1.44269504f + 12582912.0f;  // 1.5 * 2^23: the sum is rounded to a whole number
  const V n = shifted - 12582912.0f;
  const V r = (kept - n * 0.693359375f) + n * 2.12194440e-4f;  // ln 2 in two parts, the first exact in products
  const V tail = ((1.0f / 720 * r + 1.0f / 120) * r + 1.0f / 24) * r + 1.0f / 6;
  const V series = ((tail * r + 0.5f) * r + 1.0f) * r + 1.0f;
  const Whole power = (__builtin_convertvector(n, Whole) + 127) << 23;
  const V e = x < lowest ? V{} : series * reinterpret_cast<V>(power);
  return x == x ? e : x;
}

template <int Bytes>
typename Lanes<double, Bytes>::Vector exponential(typename Lanes<double, Bytes>::Vector x) {
  for (int i = 0; i < Lanes<double, Bytes>::count; ++i) x[i] = __builtin_exp(x[i]);
  return x;
}

template <class S, int Bytes>
struct Softmax {
  using T = Compute<S>;
  using L = Lanes<T, Bytes>;
  using V = typename L::Vector;

  // The share of the rows of one thread; returns their negative log-likelihood.
  static double errors(const Scores<S>& s, T* to_bias, T* powers, int member, int members) {
    for (Size i = 0; i < s.tokens; ++i) to_bias[i] = 0;
    double nats = 0;
    for (Size row = member * s.rows / members; row < (member + 1) * s.rows / members; ++row)
      nats += row_errors(s, s.scores + row * s.tokens, s.targets[row], powers, to_bias);
    return nats;
  }

 private:
  static double row_errors(const Scores<S>& s, S* row, Size target, T* powers, T* to_bias) {
    const T top = highest(row, s.tokens), wanted = widened(row[target]);
    V sums{};
    for (Size i = 0; i < s.tokens; i += L::count) {
      const V e = exponential<Bytes>(load(row, i, s.tokens, -static_cast<T>(__builtin_inf())) - top);
      L::store(powers + i, e);
      sums += e;
    }
    const T sum = L::sum(sums), share = s.scale / sum;
    for (Size i = 0; i < s.tokens; i += L::count) {
      const Size have = s.tokens - i;
      const V error = L::load(powers + i) * share;
      L::store_some(row + i, error, have);
      L::store_some(to_bias + i, L::load_some(to_bias + i, have) + error, have);
    }
    row[target] = stored<S>(powers[target] * share - s.scale);
    to_bias[target] -= s.scale;
    return __builtin_log(static_cast<double>(sum)) + static_cast<double>(top) - static_cast<double>(wanted);
  }

  static T highest(const S* row, Size n) {
    V top = load(row, 0, n, widened(row[0]));
    for (Size i = L::count; i < n; i += L::count) {
      const V some = load(row, i, n, widened(row[0]));
      top = some > top ? some : top;
    }
    T all = top[0];
    for (int i = 1; i < L::count; ++i) all = top[i] > all ? top[i] : all;
    return all;
  }

  static V load(const S* row, Size i, Size n, T missing) {
    if (n - i >= L::count) return L::load(row + i);
    V some = L::fill(missing);
    for (Size k = i; k < n; ++k) some[k - i] = widened(row[k]);
    return some;
  }
};

}  // namespace
}  // namespace lamina
