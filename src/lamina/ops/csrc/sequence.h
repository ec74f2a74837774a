// The entry points of one instruction set over numbers stored as S: what a unit's file instantiates.
#pragma once
#include "backward.h"
#include "forward.h"
#include "noise.h"
#include "softmax.h"
#include "weights.h"

namespace lamina {
namespace {

template <class S, class Dot, int MaxRows>
constexpr Kernels<S> sequence() {
  using M = Matmul<Dot, MaxRows>;
  using Weights = Packing<S, Dot, MaxRows>;
  return {M::columns,
          View<S, Dot, MaxRows>::saved_width,
          Forward<S, Dot, MaxRows>::scratch_size,
          Backward<S, Dot, MaxRows>::scratch_size,
          Weights::forward,
          Weights::backward,
          Forward<S, Dot, MaxRows>::run,
          Backward<S, Dot, MaxRows>::run,
          Noise<S, Dot::bytes>::drop,
          Softmax<S, Dot::bytes>::errors,
          M::exercise,
          2 * MaxRows * M::columns};
}

}  // namespace
}  // namespace lamina
