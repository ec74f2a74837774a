#include "dropout.h"

#include "team.h"
#include "units.h"

namespace lamina {

template <class S>
void drop(const Dropped<S>& problem, const std::string& name, int threads) {
  const Kernels<S>& unit = kernels<S>(name);
  run_team(threads, [&](int member, int team) { unit.drop(problem, member, team); });
}

template void drop(const Dropped<float>&, const std::string&, int);
template void drop(const Dropped<double>&, const std::string&, int);
template void drop(const Dropped<Bf16>&, const std::string&, int);

}  // namespace lamina
