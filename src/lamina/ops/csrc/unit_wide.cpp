// The templates of the AVX-512 units for AVX2: what tests run where there is no AVX-512, so compiled in a hurry.
#include "sequence.h"
#include "units.h"

namespace lamina {

UnitSet wide_unit() {
  static constexpr Unit<float> float32{"wide", sequence<float, Single<float, 64>, 12>()};
  static constexpr Unit<double> float64{"wide", sequence<double, Single<double, 64>, 12>()};
  static constexpr Unit<Bf16> bfloat16{"wide", sequence<Bf16, Paired<64, Emulated>, 12>()};
  return {&float32, &float64, &bfloat16};
}

}  // namespace lamina
