// The gradient of cross-entropy, where the scores stand.
#pragma once
#include <string>

#include "problem.h"

namespace lamina {

// Turn rows of scores into the gradient of their cross-entropy; see Scores, of which `to_bias` is (tokens) here
// and the temporary memory is not needed. Returns the sum of -log(softmax) at the targets.
template <class S>
double softmax_errors(Scores<S> scores, const std::string& unit, int threads);

}  // namespace lamina
