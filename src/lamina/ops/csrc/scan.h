// Runs a whole problem: splits its rows among threads, packs the weights, sums the gradients.
#pragma once
#include <string>
#include <vector>

#include "problem.h"

namespace lamina {

// Names of the units that this processor can run, fastest first; "wide" is last.
std::vector<std::string> runnable_units();

// Whether this processor has an instruction for products of bfloat16 pairs: the unit "avx512bf16".
bool multiplies_bfloat16();

// Into how many blocks of rows a batch is cut for a number of threads. Backward must be given the
// number that forward had, since the saved steps are packed block by block.
int count_blocks(Size batch, int threads);

// Numbers that forward saves for each valid step when training.
template <class S>
Size saved_width(const Problem<S>& problem, const std::string& unit);

template <class S>
void forward(const Problem<S>& problem, const std::string& unit, int threads, int blocks);

// Turn rows of scores into the gradient of their cross-entropy; see Scores, of which `to_bias` is (tokens) here
// and the temporary memory is not needed. Returns the sum of -log(softmax) at the targets.
template <class S>
double softmax_errors(Scores<S> scores, const std::string& unit, int threads);

// The most float32 operations a second that `threads` threads reach in registers, in thousand millions.
double peak_gflops(const std::string& unit, int threads);

template <class S>
void backward(const Problem<S>& problem, const std::string& unit, int threads, int blocks);

}  // namespace lamina
