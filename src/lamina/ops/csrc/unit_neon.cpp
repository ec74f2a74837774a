// Kernels for 64-bit Arm: 32 registers of 16 bytes hold a tile of 10 rows by 2 vectors.
#include "sequence.h"
#include "units.h"

namespace lamina {

UnitSet neon_unit() {
  static constexpr Unit<float> float32{"neon", sequence<float, Single<float, 16>, 10>()};
  static constexpr Unit<double> float64{"neon", sequence<double, Single<double, 16>, 10>()};
  static constexpr Unit<Bf16> bfloat16{"neon", sequence<Bf16, Single<float, 16>, 10>()};
  return {&float32, &float64, &bfloat16};
}

}  // namespace lamina
