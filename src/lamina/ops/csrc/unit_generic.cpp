// Kernels for any processor: 16-byte vectors, which are SSE2 on x86-64.
#include "sequence.h"
#include "units.h"

namespace lamina {

UnitSet generic_unit() {
  static constexpr Unit<float> float32{"generic", sequence<float, Single<float, 16>, 6>()};
  static constexpr Unit<double> float64{"generic", sequence<double, Single<double, 16>, 6>()};
  static constexpr Unit<Bf16> bfloat16{"generic", sequence<Bf16, Single<float, 16>, 6>()};
  return {&float32, &float64, &bfloat16};
}

}  // namespace lamina
