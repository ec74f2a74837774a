#include "units.h"

#include <algorithm>
#include <stdexcept>

#include "processor.h"

namespace lamina {
namespace {

template <class S>
const Unit<S>* unit_of(const UnitSet& set);
template <>
const Unit<float>* unit_of(const UnitSet& set) {
  return set.float32;
}
template <>
const Unit<double>* unit_of(const UnitSet& set) {
  return set.float64;
}
template <>
const Unit<Bf16>* unit_of(const UnitSet& set) {
  return set.bfloat16;
}

}  // namespace

template <class S>
const Kernels<S>& kernels(const std::string& name) {
  for (const UnitSet& set : {avx512bf16_unit(), avx512_unit(), avx2_unit(), neon_unit(), generic_unit(), wide_unit()}) {
    const Unit<S>* unit = unit_of<S>(set);
    if (unit != nullptr && name == unit->name) return unit->kernels;
  }
  throw std::invalid_argument("no kernels are called '" + name + "'");
}

std::vector<std::string> runnable_units() {
  const auto found = instruction_sets();
  const auto has = [&](const char* name) { return std::find(found.begin(), found.end(), name) != found.end(); };
  const bool avx2 = has("avx2") && has("fma");
  std::vector<std::string> names;
  if (avx512_unit().float32 != nullptr && avx2 && has("avx512f")) names.emplace_back("avx512");
  if (avx2_unit().float32 != nullptr && avx2) names.emplace_back("avx2");
  if (neon_unit().float32 != nullptr && has("neon")) names.emplace_back("neon");
  names.emplace_back("generic");
  if (wide_unit().float32 != nullptr && avx2) names.emplace_back("wide");
  return names;
}

bool multiplies_bfloat16() {
  const auto found = instruction_sets();
  return avx512bf16_unit().bfloat16 != nullptr &&
         std::find(found.begin(), found.end(), "avx512_bf16") != found.end();
}

template const Kernels<float>& kernels(const std::string&);
template const Kernels<double>& kernels(const std::string&);
template const Kernels<Bf16>& kernels(const std::string&);

}  // namespace lamina
