#include "dropout.h"

#include <algorithm>

#include "stored.h"
#include "team.h"

namespace lamina {
namespace {

constexpr Size kBlock = 512;  // numbers whose bits are drawn at a time

// The output of SplitMix64 at a place: Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators".
std::uint64_t random_bits(std::uint64_t seed, Size place) {
  std::uint64_t z = seed + static_cast<std::uint64_t>(place + 1) * 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

// 31 bits for each number of a block. They are signed because vectors of SSE2 compare such.
void draw(std::uint64_t seed, Size first, std::int32_t* bits) {
  for (Size i = 0; i < kBlock; i += 2) {
    const std::uint64_t both = random_bits(seed, (first + i) >> 1);
    bits[i] = static_cast<std::int32_t>(both & 0x7fffffff);
    bits[i + 1] = static_cast<std::int32_t>(both >> 33);
  }
}

// A product instead of a choice: every number is computed alike, many at a time.
template <class S, class T = Compute<S>>
void scale_some(const S* __restrict x, S* __restrict y, Size n, const std::int32_t* __restrict bits,
                std::int32_t limit, T scale) {
  for (Size i = 0; i < n; ++i) y[i] = stored<S>(widened(x[i]) * (bits[i] < limit ? T(0) : scale));
}

}  // namespace

template <class S>
void drop(const S* x, S* y, Size n, std::uint64_t seed, double rate, int threads) {
  const auto limit = static_cast<std::int32_t>(rate * 2147483648.0);  // rate < 1
  const auto scale = static_cast<Compute<S>>(1 / (1 - rate));
  const Size blocks = (n + kBlock - 1) / kBlock;
  run_team(threads, [&](int member, int team) {
    std::int32_t bits[kBlock];
    for (Size first = member * blocks / team * kBlock; first < (member + 1) * blocks / team * kBlock; first += kBlock) {
      draw(seed, first, bits);
      scale_some(x + first, y + first, std::min(kBlock, n - first), bits, limit, scale);
    }
  });
}

template void drop(const float*, float*, Size, std::uint64_t, double, int);
template void drop(const double*, double*, Size, std::uint64_t, double, int);
template void drop(const Bf16*, Bf16*, Size, std::uint64_t, double, int);

}  // namespace lamina
