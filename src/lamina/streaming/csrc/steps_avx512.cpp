// Steps for AVX-512.
#include "steps.h"

namespace lamina {
namespace streaming {

const StepUnit* avx512_steps() {
  static constexpr StepUnit unit = Steps<64, 6>::unit("avx512");
  return &unit;
}

}  // namespace streaming
}  // namespace lamina
