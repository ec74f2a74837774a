// Kernels for AVX-512: 32 registers of 64 bytes hold a tile of 12 rows by 2 vectors.
//
// Built everywhere, run and tested where the processor has AVX-512; elsewhere its templates are tested through
// the "wide" unit, which is the same source compiled for AVX2.
#include "sequence.h"
#include "units.h"

namespace lamina {

UnitSet avx512_unit() {
  static constexpr Unit<float> float32{"avx512", sequence<float, Single<float, 64>, 12>()};
  static constexpr Unit<double> float64{"avx512", sequence<double, Single<double, 64>, 12>()};
  static constexpr Unit<Bf16> bfloat16{"avx512", sequence<Bf16, Single<float, 64>, 12>()};
  return {&float32, &float64, &bfloat16};
}

}  // namespace lamina
