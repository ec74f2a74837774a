// What the processor running this process can do.
#pragma once
#include <string>
#include <vector>

namespace lamina {

// Names of the instruction sets that matter to the kernels and that both the
// processor and the operating system support, in a fixed order:
// x86: "avx2", "fma", "avx512f", "avx512_bf16"; Arm: "neon".
std::vector<std::string> instruction_sets();

}  // namespace lamina
