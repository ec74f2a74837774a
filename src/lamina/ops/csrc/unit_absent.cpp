// Stands in for the x86 units on other processors.
#include "units.h"

namespace lamina {

const Unit<float>* avx2_float() { return nullptr; }
const Unit<double>* avx2_double() { return nullptr; }
const Unit<float>* avx512_float() { return nullptr; }
const Unit<double>* avx512_double() { return nullptr; }
const Unit<float>* wide_float() { return nullptr; }
const Unit<double>* wide_double() { return nullptr; }

}  // namespace lamina
