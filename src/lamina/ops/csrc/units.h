// The kernels of each instruction set: one translation unit each, compiled with that set's flags.
#pragma once
#include "problem.h"

namespace lamina {

template <class T>
struct Unit {
  const char* name;
  Kernels<T> kernels;
};

// Null where the unit was not built for this kind of processor.
const Unit<float>* generic_float();
const Unit<double>* generic_double();
const Unit<float>* avx2_float();
const Unit<double>* avx2_double();
const Unit<float>* avx512_float();
const Unit<double>* avx512_double();
// The 64-byte templates of the AVX-512 unit compiled for AVX2, so that a machine without AVX-512 can test
// their logic. Slow, and never chosen: it must be asked for by name.
const Unit<float>* wide_float();
const Unit<double>* wide_double();

}  // namespace lamina
