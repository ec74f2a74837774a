// The private extension lamina.ops._native.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "processor.h"

NB_MODULE(_native, m) {
  m.doc() = "Native parts of lamina.ops; private.";
  m.def("instruction_sets", &lamina::instruction_sets,
        "Instruction sets the kernels can use on this machine, as lower-case names.");
}
