// The private extension lamina.ops._native. Arrays come in as addresses: lamina/ops/backends/native.py, dropout.py and
// softmax.py own the tensors, check them and keep them alive during the call.
#include <nanobind/nanobind.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include "dropout.h"
#include "processor.h"
#include "scan.h"
#include "softmax_errors.h"
#include "team.h"
#include "units.h"

namespace nb = nanobind;

namespace {

using lamina::Problem;
using Address = std::uintptr_t;

// Takes addresses from a list in order; 0 is "absent".
class Addresses {
 public:
  explicit Addresses(const std::vector<Address>& list) : list_(list) {}
  template <class P>
  void into(P& pointer) {
    pointer = reinterpret_cast<P>(list_.at(next_++));
  }
  template <class P, std::size_t N>
  void rest_into(P (&pointers)[N]) {
    for (std::size_t i = 0; next_ < list_.size(); ++i) into(pointers[i < N ? i : throw std::out_of_range("extra")]);
  }

 private:
  const std::vector<Address>& list_;
  std::size_t next_ = 0;
};

// The orders of the lists are those of native.py.
template <class S>
Problem<S> describe(int cell, std::tuple<lamina::Size, lamina::Size, lamina::Size, lamina::Size, lamina::Size> sizes,
                    bool reverse, bool training, std::pair<double, double> rates, const std::vector<Address>& masks,
                    const std::vector<Address>& tensors) {
  Problem<S> p;
  p.cell = static_cast<lamina::Cell>(cell);
  std::tie(p.batch, p.time, p.features, p.hidden, p.outputs) = sizes;
  p.reverse = reverse;
  p.training = training;
  p.rate_h = static_cast<lamina::Compute<S>>(rates.first);
  p.rate_c = static_cast<lamina::Compute<S>>(rates.second);
  Addresses mask(masks), tensor(tensors);
  mask.into(p.lengths), mask.into(p.recurrent_mask), mask.into(p.keep_h), mask.into(p.keep_c);
  tensor.into(p.x), tensor.into(p.h0), tensor.into(p.c0), tensor.into(p.w), tensor.into(p.r);
  tensor.into(p.b), tensor.into(p.c), tensor.into(p.projection), tensor.rest_into(p.extra);
  return p;
}

// As much of a problem as saved_width looks at.
template <class S>
Problem<S> of_cell(int cell, lamina::Size hidden) {
  Problem<S> p;
  p.cell = static_cast<lamina::Cell>(cell);
  p.hidden = hidden;
  return p;
}

template <class S>
void give_outputs(Problem<S>& p, Address y, Address hn, Address cn, Address saved) {
  const std::vector<Address> list{y, hn, cn, saved};
  Addresses at(list);
  at.into(p.y), at.into(p.hn), at.into(p.cn), at.into(p.saved);
}

template <class S>
void give_gradients(Problem<S>& p, const std::vector<Address>& upstream, const std::vector<Address>& gradients) {
  Addresses in(upstream), out(gradients);
  in.into(p.dy), in.into(p.dhn), in.into(p.dcn);
  out.into(p.dx), out.into(p.dh0), out.into(p.dc0), out.into(p.dw), out.into(p.dr);
  out.into(p.db), out.into(p.dc), out.into(p.dprojection), out.rest_into(p.dextra);
}

template <class S>
void bind_problem(nb::module_& m, const char* name) {
  nb::class_<Problem<S>>(m, name, "One direction of one layer; arrays by address, 0 where absent.")
      .def_static("describe", &describe<S>)
      .def_static("of_cell", &of_cell<S>)
      .def("give_outputs", &give_outputs<S>)
      .def("give_gradients", &give_gradients<S>);
  m.def("saved_width", &lamina::saved_width<S>);
  m.def("forward", &lamina::forward<S>, nb::call_guard<nb::gil_scoped_release>());
  m.def("backward", &lamina::backward<S>, nb::call_guard<nb::gil_scoped_release>());
}

template <class S>
void drop(Address x, Address y, lamina::Size numbers, std::uint64_t seed, double rate, const std::string& unit,
          int threads) {
  lamina::drop<S>({reinterpret_cast<const S*>(x), reinterpret_cast<S*>(y), numbers, seed, rate}, unit, threads);
}

template <class S>
double softmax_errors(std::pair<lamina::Size, lamina::Size> shape, Address scores, Address targets, double scale,
                      Address to_bias, const std::string& unit, int threads) {
  lamina::Scores<S> s{};
  std::tie(s.rows, s.tokens) = shape;
  s.scores = reinterpret_cast<S*>(scores);
  s.targets = reinterpret_cast<const lamina::Size*>(targets);
  s.scale = static_cast<lamina::Compute<S>>(scale);
  return lamina::softmax_errors(s, reinterpret_cast<lamina::Compute<S>*>(to_bias), unit, threads);
}

}  // namespace

NB_MODULE(_native, m) {
  m.doc() = "Native parts of lamina.ops; private.";
  m.def("instruction_sets", &lamina::instruction_sets,
        "Instruction sets the kernels can use on this machine, as lower-case names.");
  m.def("runnable_units", &lamina::runnable_units,
        "Kernels that this machine can run, fastest first; 'wide' is for tests.");
  m.def("multiplies_bfloat16", &lamina::multiplies_bfloat16,
        "Whether the unit 'avx512bf16' runs here, which has an instruction for products of bfloat16.");
  m.def("join_team", &lamina::join_team,
        "Use the OpenMP threads of the loaded library at a path; says whether it has any.");
  m.def("count_blocks", &lamina::count_blocks,
        "How many groups of rows a batch is cut into for a number of threads.");
  m.def("peak_gflops", &lamina::peak_gflops, nb::call_guard<nb::gil_scoped_release>(),
        "What a unit's multipliers reach in registers on a number of threads, float32.");
  constexpr const char* of_drop = "Dropout of so many numbers from one address to another, by a seed.";
  m.def("drop_float32", &drop<float>, nb::call_guard<nb::gil_scoped_release>(), of_drop);
  m.def("drop_float64", &drop<double>, nb::call_guard<nb::gil_scoped_release>(), of_drop);
  m.def("drop_bfloat16", &drop<lamina::Bf16>, nb::call_guard<nb::gil_scoped_release>(), of_drop);
  constexpr const char* of_errors = "Scores to the gradient of their cross-entropy in place; returns its sum.";
  m.def("softmax_errors_float32", &softmax_errors<float>, nb::call_guard<nb::gil_scoped_release>(), of_errors);
  m.def("softmax_errors_float64", &softmax_errors<double>, nb::call_guard<nb::gil_scoped_release>(), of_errors);
  m.def("softmax_errors_bfloat16", &softmax_errors<lamina::Bf16>, nb::call_guard<nb::gil_scoped_release>(),
        of_errors);
  bind_problem<float>(m, "ProblemFloat32");
  bind_problem<double>(m, "ProblemFloat64");
  bind_problem<lamina::Bf16>(m, "ProblemBfloat16");
}
