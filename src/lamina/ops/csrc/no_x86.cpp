// Stands in for the x86 units on other processors.
#include "units.h"

namespace lamina {

UnitSet avx2_unit() { return {}; }
UnitSet avx512_unit() { return {}; }
UnitSet avx512bf16_unit() { return {}; }
UnitSet wide_unit() { return {}; }

}  // namespace lamina
