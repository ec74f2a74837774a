#include "processor.h"

namespace lamina {

std::vector<std::string> instruction_sets() {
  std::vector<std::string> found;
#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
  // The compiler's own detection also asks the operating system (XGETBV) whether
  // it saves the wide registers, which a bare CPUID would miss.
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx2")) found.emplace_back("avx2");
  if (__builtin_cpu_supports("fma")) found.emplace_back("fma");
  if (__builtin_cpu_supports("avx512f")) found.emplace_back("avx512f");
  if (__builtin_cpu_supports("avx512bf16")) found.emplace_back("avx512_bf16");
#elif defined(__aarch64__)
  found.emplace_back("neon");  // part of the base architecture
#endif
  return found;
}

}  // namespace lamina
