// Dropout: numbers set to zero at random, the others scaled so that the mean stays.
#pragma once
#include "problem.h"

namespace lamina {

// y = x / (1 - rate), or 0 with chance `rate`. Which numbers are dropped hangs on the seed and their place
// alone, so that the same call on a gradient gives the gradient, and no mask is kept.
template <class S>
void drop(const S* x, S* y, Size n, std::uint64_t seed, double rate, int threads);

}  // namespace lamina
