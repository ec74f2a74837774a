// Kernels for AVX2 and FMA: 16 registers of 32 bytes hold a tile of 6 rows by 2 vectors.
#include "sequence.h"
#include "units.h"

namespace lamina {

UnitSet avx2_unit() {
  static constexpr Unit<float> float32{"avx2", sequence<float, Single<float, 32>, 6>()};
  static constexpr Unit<double> float64{"avx2", sequence<double, Single<double, 32>, 6>()};
  static constexpr Unit<Bf16> bfloat16{"avx2", sequence<Bf16, Single<float, 32>, 6>()};
  return {&float32, &float64, &bfloat16};
}

}  // namespace lamina
