// Dropout: numbers set to zero at random, the others scaled so that the mean stays.
#pragma once
#include <string>

#include "problem.h"

namespace lamina {

// See Dropped. The draws are the same on any number of threads, and in every unit.
template <class S>
void drop(const Dropped<S>& problem, const std::string& unit, int threads);

}  // namespace lamina
