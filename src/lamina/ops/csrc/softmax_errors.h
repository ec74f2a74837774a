// The gradient of cross-entropy, where the scores stand.
#pragma once
#include <string>

#include "problem.h"

namespace lamina {

// Turn rows of scores into the gradient of their cross-entropy, see Scores, and put its sum over rows into `to_bias`,
// (tokens). Returns the sum of -log(softmax) at the targets.
template <class S>
double softmax_errors(const Scores<S>& scores, Compute<S>* to_bias, const std::string& unit, int threads);

}  // namespace lamina
