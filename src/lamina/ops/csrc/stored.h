// Single numbers as they are stored and as they are computed with.
#pragma once
#include "problem.h"

namespace lamina {
namespace {

template <class T>
T widened(T value) {
  return value;
}
[[maybe_unused]] inline float widened(Bf16 value) {
  const std::uint32_t bits = static_cast<std::uint32_t>(value.bits) << 16;
  float wide;
  __builtin_memcpy(&wide, &bits, sizeof wide);
  return wide;
}

// What a float is rounded to in bfloat16: to nearest, ties to even; a NaN stays one.
template <class S>
S stored(Compute<S> value) {
  return value;
}
template <>
[[maybe_unused]] inline Bf16 stored(float value) {
  std::uint32_t bits;
  __builtin_memcpy(&bits, &value, sizeof bits);
  bits = value == value ? bits + 0x7fff + ((bits >> 16) & 1) : bits | 0x400000;
  return {static_cast<std::uint16_t>(bits >> 16)};
}

}  // namespace
}  // namespace lamina
