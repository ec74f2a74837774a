// Stands in for the Arm unit on other processors.
#include "units.h"

namespace lamina {

UnitSet neon_unit() { return {}; }

}  // namespace lamina
