// Kernels for AVX2 and FMA: 16 registers of 32 bytes hold a tile of 6 rows by 2 vectors.
#include "sequence.h"
#include "units.h"

namespace lamina {

const Unit<float>* avx2_float() {
  static constexpr Unit<float> unit{"avx2", Sequence<float, 32, 6>::kernels()};
  return &unit;
}
const Unit<double>* avx2_double() {
  static constexpr Unit<double> unit{"avx2", Sequence<double, 32, 6>::kernels()};
  return &unit;
}

const Unit<float>* wide_float() {
  static constexpr Unit<float> unit{"wide", Sequence<float, 64, 12>::kernels()};
  return &unit;
}
const Unit<double>* wide_double() {
  static constexpr Unit<double> unit{"wide", Sequence<double, 64, 12>::kernels()};
  return &unit;
}

}  // namespace lamina
