// The private extension lamina.ops._native. Arrays come in as addresses: lamina/ops/backends/native.py
// owns the tensors, checks them and keeps them alive during the call.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "processor.h"
#include "scan.h"
#include "team.h"

namespace nb = nanobind;

namespace {

using lamina::Problem;

template <class P, class Field>
void bind_address(nb::class_<P>& type, const char* name, Field P::* field) {
  type.def_prop_rw(
      name, [field](const P& p) { return reinterpret_cast<std::uintptr_t>(p.*field); },
      [field](P& p, std::uintptr_t address) { p.*field = reinterpret_cast<Field>(address); });
}

template <class T>
void bind_problem(nb::module_& m, const char* name) {
  using P = Problem<T>;
  nb::class_<P> type(m, name, "One direction of one layer; arrays by address, 0 where absent.");
  type.def(nb::init<>())
      .def_prop_rw(
          "cell", [](const P& p) { return static_cast<int>(p.cell); },
          [](P& p, int cell) { p.cell = static_cast<lamina::Cell>(cell); })
      .def_rw("batch", &P::batch)
      .def_rw("time", &P::time)
      .def_rw("features", &P::features)
      .def_rw("hidden", &P::hidden)
      .def_rw("reverse", &P::reverse)
      .def_rw("training", &P::training)
      .def_rw("rate_h", &P::rate_h)
      .def_rw("rate_c", &P::rate_c)
      .def("set_extra", [](P& p, int i, std::uintptr_t at) { p.extra[i] = reinterpret_cast<const T*>(at); })
      .def("set_dextra", [](P& p, int i, std::uintptr_t at) { p.dextra[i] = reinterpret_cast<T*>(at); });
  bind_address(type, "lengths", &P::lengths);
  bind_address(type, "x", &P::x);
  bind_address(type, "w", &P::w);
  bind_address(type, "r", &P::r);
  bind_address(type, "b", &P::b);
  bind_address(type, "c", &P::c);
  bind_address(type, "h0", &P::h0);
  bind_address(type, "c0", &P::c0);
  bind_address(type, "recurrent_mask", &P::recurrent_mask);
  bind_address(type, "keep_h", &P::keep_h);
  bind_address(type, "keep_c", &P::keep_c);
  bind_address(type, "y", &P::y);
  bind_address(type, "hn", &P::hn);
  bind_address(type, "cn", &P::cn);
  bind_address(type, "saved", &P::saved);
  bind_address(type, "dy", &P::dy);
  bind_address(type, "dhn", &P::dhn);
  bind_address(type, "dcn", &P::dcn);
  bind_address(type, "dx", &P::dx);
  bind_address(type, "dw", &P::dw);
  bind_address(type, "dr", &P::dr);
  bind_address(type, "db", &P::db);
  bind_address(type, "dc", &P::dc);
  bind_address(type, "dh0", &P::dh0);
  bind_address(type, "dc0", &P::dc0);

  m.def("saved_width", &lamina::saved_width<T>);
  m.def("forward", &lamina::forward<T>, nb::call_guard<nb::gil_scoped_release>());
  m.def("backward", &lamina::backward<T>, nb::call_guard<nb::gil_scoped_release>());
}

}  // namespace

NB_MODULE(_native, m) {
  m.doc() = "Native parts of lamina.ops; private.";
  m.def("instruction_sets", &lamina::instruction_sets,
        "Instruction sets the kernels can use on this machine, as lower-case names.");
  m.def("runnable_units", &lamina::runnable_units,
        "Kernels that this machine can run, fastest first; 'wide' is for tests.");
  m.def("join_team", &lamina::join_team,
        "Use the OpenMP threads of the loaded library at a path; says whether it has any.");
  m.def("count_blocks", &lamina::count_blocks,
        "How many groups of rows a batch is cut into for a number of threads.");
  m.def("peak_gflops", &lamina::peak_gflops, nb::call_guard<nb::gil_scoped_release>(),
        "What a unit's multipliers reach in registers on a number of threads, float32.");
  bind_problem<float>(m, "ProblemFloat32");
  bind_problem<double>(m, "ProblemFloat64");
}
