// Kernels for any processor: 16-byte vectors, which are SSE2 on x86-64 and NEON on Arm.
#include "sequence.h"
#include "units.h"

namespace lamina {

const Unit<float>* generic_float() {
  static constexpr Unit<float> unit{"generic", Sequence<float, 16, 6>::kernels()};
  return &unit;
}
const Unit<double>* generic_double() {
  static constexpr Unit<double> unit{"generic", Sequence<double, 16, 6>::kernels()};
  return &unit;
}

}  // namespace lamina
