// Steps for AVX2 and FMA.
#include "steps.h"

namespace lamina {
namespace streaming {

const StepUnit* avx2_steps() {
  static constexpr StepUnit unit = Steps<32, 3>::unit("avx2");
  return &unit;
}

}  // namespace streaming
}  // namespace lamina
