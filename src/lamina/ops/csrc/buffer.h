// Memory for a call.
#pragma once
#include <algorithm>
#include <new>

#include "problem.h"

namespace lamina {
namespace {

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

}  // namespace
}  // namespace lamina
