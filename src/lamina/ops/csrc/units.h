// The kernels of each instruction set: one translation unit each, compiled with that set's flags.
#pragma once
#include <string>
#include <vector>

#include "problem.h"

namespace lamina {

template <class S>
struct Unit {
  const char* name;
  Kernels<S> kernels;
};

// The kernels of one unit for each kind of stored number; null where it was not built for this kind of
// processor, or has none of its own.
struct UnitSet {
  const Unit<float>* float32;
  const Unit<double>* float64;
  const Unit<Bf16>* bfloat16;
};

UnitSet generic_unit();
UnitSet avx2_unit();
UnitSet avx512_unit();
// Products of pairs of bfloat16 by the processor's own instruction.
UnitSet avx512bf16_unit();
// The 64-byte templates of the AVX-512 units compiled for AVX2, with the pairs' products made from float32
// arithmetic, so that a machine without AVX-512 can test their logic. Slow, and never chosen: it must be
// asked for by name.
UnitSet wide_unit();
UnitSet neon_unit();

// Names of the units that this processor can run, fastest first; "wide" is last.
std::vector<std::string> runnable_units();

// Whether this processor has an instruction for products of bfloat16 pairs: the unit "avx512bf16".
bool multiplies_bfloat16();

// The kernels of the unit of a name, over numbers stored as S.
template <class S>
const Kernels<S>& kernels(const std::string& name);

}  // namespace lamina
