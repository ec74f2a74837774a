// Kernels for AVX-512: 32 registers of 64 bytes hold a tile of 12 rows by 2 vectors.
//
// Built everywhere, but not yet run: the machines at hand have no AVX-512. Its templates are tested through
// the "wide" unit, which is the same source compiled for AVX2.
#include "sequence.h"
#include "units.h"

namespace lamina {

const Unit<float>* avx512_float() {
  static constexpr Unit<float> unit{"avx512", Sequence<float, 64, 12>::kernels()};
  return &unit;
}
const Unit<double>* avx512_double() {
  static constexpr Unit<double> unit{"avx512", Sequence<double, 64, 12>::kernels()};
  return &unit;
}

}  // namespace lamina
