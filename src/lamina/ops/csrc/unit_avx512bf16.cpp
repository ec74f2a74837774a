// Kernels for bfloat16 with AVX512_BF16: one instruction adds 32 products of pairs to 16 float32 sums.
//
// Built everywhere, run and tested where the processor has the instruction; elsewhere everything else is tested
// through the "wide" unit.
#include <immintrin.h>

#include "sequence.h"
#include "units.h"

namespace lamina {
namespace {

struct Instruction {
  template <int Bytes>
  static __m512 add(__m512 sum, std::uint32_t value, FloatBits<64>::Wide panel) {
    const __m512i pair = _mm512_set1_epi32(static_cast<int>(value));
    return _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(pair), reinterpret_cast<__m512bh>(panel));
  }
};

}  // namespace

UnitSet avx512bf16_unit() {
  static constexpr Unit<Bf16> bfloat16{"avx512bf16", sequence<Bf16, Paired<64, Instruction>, 12>()};
  return {nullptr, nullptr, &bfloat16};
}

}  // namespace lamina
