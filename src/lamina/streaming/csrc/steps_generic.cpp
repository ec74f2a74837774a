// Steps for any processor: 16-byte vectors, which are SSE2 on x86-64 and NEON on Arm.
#include "steps.h"

namespace lamina {
namespace streaming {

const StepUnit* generic_steps() {
  static constexpr StepUnit unit = Steps<16, 3>::unit("generic");
  return &unit;
}

}  // namespace streaming
}  // namespace lamina
