// Stands in for the x86 units on other processors.
#include "network.h"

namespace lamina {
namespace streaming {

const StepUnit* avx2_steps() { return nullptr; }
const StepUnit* avx512_steps() { return nullptr; }

}  // namespace streaming
}  // namespace lamina
