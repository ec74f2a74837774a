#include "streamer.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

namespace lamina {
namespace streaming {

Streamer::Streamer(Model& model, Size most_keys, Standardise standardise)
    : model_(model),
      standardise_(std::move(standardise)),
      inputs_(standardise_.mean.empty() ? model.network().inputs : static_cast<Size>(standardise_.mean.size())),
      may_miss_(static_cast<std::size_t>(inputs_), 0),
      keys_(model.network().state_bytes, most_keys) {
  for (const Size column : standardise_.gaps) may_miss_[static_cast<std::size_t>(column)] = 1;
}

template <class T>
Size Streamer::first_fault(const T* x, Size count) const {
  for (Size i = 0; i < count; ++i)
    if (!(std::fabs(standardised(i % inputs_, x[i])) <= kLargest) && !(std::isnan(x[i]) && may_miss_[static_cast<std::size_t>(i % inputs_)]))
      return i;
  return -1;
}

float Streamer::standardised(Size column, double given) const {
  const float value = static_cast<float>(given);  // the offline network reads float32 tables
  if (standardise_.mean.empty()) return value;
  const std::size_t at = static_cast<std::size_t>(column);
  return static_cast<float>((static_cast<double>(value) - standardise_.mean[at]) / standardise_.scale[at]);
}

template <class T>
void Streamer::read(const T* row, float* to) const {
  if (standardise_.mean.empty()) {
    for (Size i = 0; i < inputs_; ++i) to[i] = static_cast<float>(row[i]);
  } else {
    for (Size i = 0; i < inputs_; ++i) to[i] = std::isnan(row[i]) ? 0.0f : standardised(i, row[i]);
    for (std::size_t j = 0; j < standardise_.gaps.size(); ++j)
      to[inputs_ + static_cast<Size>(j)] = std::isnan(row[standardise_.gaps[j]]) ? 0.0f : 1.0f;
  }
  for (Size i = model_.network().inputs; i % 4 != 0; ++i) to[i] = 0.0f;
}

template <class T>
void Streamer::step(const T* x, Size rows, const std::string_view* keys, float* out) {
  const Network& net = model_.network();
  const StepUnit& unit = model_.unit();
  const Frame frame = model_.frame();
  char* states[kRows];
  Size numbers[kRows];
  for (Size row = 0, taken; row < rows; row += taken) {
    // as many rows of different keys as go side by side, and no more than can be kept at once
    const Size most = std::min({kRows, rows - row, keys_.most_keys()});
    for (taken = 0; taken < most; ++taken) {
      states[taken] = keys_.touch(keys[row + taken], &numbers[taken]);
      if (std::find(numbers, numbers + taken, numbers[taken]) != numbers + taken) break;
      read(x + (row + taken) * inputs_, frame.below + taken * net.widest);
    }
    unit.advance(net, frame, taken, states);
    unit.answer(net, frame, taken, states, out + row * net.outputs, net.outputs);
  }
}

template <class T>
void Streamer::peek(const T* x, std::string_view key, float* out) {
  const Network& net = model_.network();
  const Frame frame = model_.frame();
  const std::size_t bytes = static_cast<std::size_t>(net.state_bytes);
  std::vector<char> room(bytes + kStateAlign, 0);
  char* state = room.data();
  state += (kStateAlign - reinterpret_cast<std::uintptr_t>(state) % kStateAlign) % kStateAlign;
  if (const char* const known = keys_.find(key)) std::memcpy(state, known, bytes);
  read(x, frame.below);
  model_.unit().advance(net, frame, 1, &state);
  model_.unit().answer(net, frame, 1, &state, out, net.outputs);
}

template Size Streamer::first_fault<float>(const float*, Size) const;
template Size Streamer::first_fault<double>(const double*, Size) const;
template void Streamer::step<float>(const float*, Size, const std::string_view*, float*);
template void Streamer::step<double>(const double*, Size, const std::string_view*, float*);
template void Streamer::peek<float>(const float*, std::string_view, float*);
template void Streamer::peek<double>(const double*, std::string_view, float*);

}  // namespace streaming
}  // namespace lamina
