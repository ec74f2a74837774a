// Steps for AVX-512; built everywhere, but not yet run: the machines at hand have none.
#include "steps.h"

namespace lamina {
namespace streaming {

const StepUnit* avx512_steps() {
  static constexpr StepUnit unit = Steps<64, 6>::unit("avx512");
  return &unit;
}

}  // namespace streaming
}  // namespace lamina
