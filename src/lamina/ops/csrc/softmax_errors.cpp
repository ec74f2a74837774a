#include "softmax_errors.h"

#include <numeric>
#include <stdexcept>
#include <vector>

#include "buffer.h"
#include "team.h"
#include "units.h"

namespace lamina {

template <class S>
double softmax_errors(Scores<S> scores, const std::string& name, int threads) {
  using T = Compute<S>;
  const Kernels<S>& unit = kernels<S>(name);
  for (Size row = 0; row < scores.rows; ++row)
    if (scores.targets[row] < 0 || scores.targets[row] >= scores.tokens)
      throw std::out_of_range("target " + std::to_string(scores.targets[row]) + " is none of " +
                              std::to_string(scores.tokens) + " entries");
  T* const to_bias = scores.to_bias;
  scores.room = (scores.tokens + unit.columns - 1) / unit.columns * unit.columns;
  const Buffer<T> temporary(threads * scores.room), sums(threads * scores.tokens);
  scores.temporary = temporary.get();
  scores.to_bias = sums.get();
  std::vector<double> nats(threads, 0.0);
  int ran = 1;
  run_team(threads, [&](int member, int team) {
    nats[member] = unit.softmax_errors(scores, member, team);
    if (member == 0) ran = team;
  });
  for (Size i = 0; i < scores.tokens; ++i) {
    to_bias[i] = 0;
    for (int member = 0; member < ran; ++member) to_bias[i] += sums.get()[member * scores.tokens + i];
  }
  return std::accumulate(nats.begin(), nats.end(), 0.0);
}

template double softmax_errors(Scores<float>, const std::string&, int);
template double softmax_errors(Scores<double>, const std::string&, int);
template double softmax_errors(Scores<Bf16>, const std::string&, int);

}  // namespace lamina
