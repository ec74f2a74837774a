#include "softmax_errors.h"

#include <numeric>
#include <stdexcept>
#include <vector>

#include "buffer.h"
#include "team.h"
#include "units.h"

namespace lamina {

template <class S>
double softmax_errors(const Scores<S>& scores, Compute<S>* to_bias, const std::string& name, int threads) {
  using T = Compute<S>;
  const Kernels<S>& unit = kernels<S>(name);
  for (Size row = 0; row < scores.rows; ++row)
    if (scores.targets[row] < 0 || scores.targets[row] >= scores.tokens)
      throw std::out_of_range("target " + std::to_string(scores.targets[row]) + " is none of " +
                              std::to_string(scores.tokens) + " entries");
  const Size room = round_up(scores.tokens, unit.columns);
  const Buffer<T> powers(threads * room), sums(threads * room);
  std::vector<double> nats(threads, 0.0);
  std::vector<T*> parts(1, sums.get());
  run_team(threads, [&](int member, int team) {
    nats[member] = unit.softmax_errors(scores, sums.get() + member * room, powers.get() + member * room, member, team);
    if (member != 0) return;
    for (int other = 1; other < team; ++other) parts.push_back(sums.get() + other * room);
  });
  put_sum(parts, 0, scores.tokens, to_bias);
  return std::accumulate(nats.begin(), nats.end(), 0.0);
}

template double softmax_errors(const Scores<float>&, float*, const std::string&, int);
template double softmax_errors(const Scores<double>&, double*, const std::string&, int);
template double softmax_errors(const Scores<Bf16>&, float*, const std::string&, int);

}  // namespace lamina
