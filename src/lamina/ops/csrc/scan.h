// Runs a whole problem: splits its rows among threads, packs the weights, sums the gradients.
#pragma once
#include <string>

#include "problem.h"

namespace lamina {

// Into how many blocks of rows a batch is cut for a number of threads. Backward must be given the
// number that forward had, since the saved steps are packed block by block.
int count_blocks(Size batch, int threads);

// Numbers that forward saves for each valid step when training.
template <class S>
Size saved_width(const Problem<S>& problem, const std::string& unit);

template <class S>
void forward(const Problem<S>& problem, const std::string& unit, int threads, int blocks);

// The most float32 operations a second that `threads` threads reach in registers, in thousand millions.
double peak_gflops(const std::string& unit, int threads);

template <class S>
void backward(const Problem<S>& problem, const std::string& unit, int threads, int blocks);

}  // namespace lamina
