// Numbers set to zero at random.
#pragma once
#include "vector.h"

namespace lamina {
namespace {

template <class S, int Bytes>
struct Noise {
  using T = Compute<S>;
  using L = Lanes<T, Bytes>;
  static constexpr Size kBlock = 512;  // numbers whose bits are drawn at a time

  // The share of one thread.
  static void drop(const Dropped<S>& d, int member, int members) {
    const auto limit = static_cast<std::int32_t>(d.rate * 2147483648.0);  // rate < 1
    const T scale = static_cast<T>(1 / (1 - d.rate));
    const Size blocks = (d.numbers + kBlock - 1) / kBlock;
    std::int32_t bits[kBlock];
    T factors[kBlock];
    for (Size block = member * blocks / members; block < (member + 1) * blocks / members; ++block) {
      const Size first = block * kBlock;
      draw(d.seed, first, bits);
      // a product instead of a choice: every number is computed alike, many at a time
      for (Size i = 0; i < kBlock; ++i) factors[i] = bits[i] < limit ? T(0) : scale;
      for (Size i = 0; i < kBlock && first + i < d.numbers; i += L::count) {
        const Size have = d.numbers - first - i;
        L::store_some(d.y + first + i, L::load_some(d.x + first + i, have) * L::load(factors + i), have);
      }
    }
  }

 private:
  typedef std::uint64_t Wide __attribute__((vector_size(Bytes)));

  // 31 bits for each number of a block: the two halves of what SplitMix64 gives at a place (Steele, Lea & Flood 2014,
  // "Fast splittable pseudorandom number generators"). Signed, because more processors compare vectors of such.
  static void draw(std::uint64_t seed, Size first, std::int32_t* bits) {
    constexpr int count = Bytes / 8;
    std::uint64_t numbered[count];
    for (int i = 0; i < count; ++i) numbered[i] = static_cast<std::uint64_t>(first / 2 + i + 1);
    Wide places;
    __builtin_memcpy(&places, numbered, sizeof places);
    for (Size i = 0; i < kBlock; i += 2 * count, places += count) {
      Wide z = seed + places * 0x9e3779b97f4a7c15u;
      z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
      z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
      z = (z ^ (z >> 31)) & 0x7fffffff7fffffffu;
      __builtin_memcpy(bits + i, &z, sizeof z);
    }
  }
};

}  // namespace
}  // namespace lamina
