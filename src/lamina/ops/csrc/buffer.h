// Memory for a call, and sums of what its threads leave there.
#pragma once
#include <algorithm>
#include <new>
#include <vector>

#include "stored.h"

namespace lamina {
namespace {

[[maybe_unused]] inline Size round_up(Size n, Size to) { return (n + to - 1) / to * to; }

// Numbers on a cache line of their own, not set to anything.
template <class T>
class Buffer {
 public:
  explicit Buffer(Size n) : at_(static_cast<T*>(::operator new(std::max<Size>(n, 1) * sizeof(T), kLine))) {}
  ~Buffer() { ::operator delete(at_, kLine); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  T* get() const { return at_; }

 private:
  static constexpr std::align_val_t kLine{64};
  T* at_;
};

// Add up the parts of `width` numbers that stand at a place, some at a time, so that the loops become vectors.
template <class S, class T>
void put_sum(const std::vector<T*>& parts, Size at, Size width, S* to) {
  constexpr Size kSome = 64;
  T sums[kSome];
  for (Size i = 0; i < width; i += kSome) {
    const Size count = std::min(kSome, width - i);
    std::copy_n(parts[0] + at + i, count, sums);
    for (std::size_t k = 1; k < parts.size(); ++k)
      for (Size u = 0; u < count; ++u) sums[u] += parts[k][at + i + u];
    for (Size u = 0; u < count; ++u) to[i + u] = stored<S>(sums[u]);
  }
}

}  // namespace
}  // namespace lamina
