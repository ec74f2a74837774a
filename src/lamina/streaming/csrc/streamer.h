// Steps of a model for rows with keys: each key's state is found, advanced and kept.
#pragma once
#include <string_view>
#include <vector>

#include "keys.h"
#include "model.h"

namespace lamina {
namespace streaming {

// How a row becomes what the network reads: standardised, 0 where missing, then a mask for each column that
// may be missing; see ClassifyInputs in lamina/tasks/classify.py. Empty: a row is read as it is.
struct Standardise {
  std::vector<double> mean, scale;
  std::vector<Size> gaps;
};

class Streamer {
 public:
  Streamer(Model& model, Size most_keys, Standardise standardise);

  Size inputs() const { return inputs_; }
  Size outputs() const { return model_.network().outputs; }
  KeyedStates& keys() { return keys_; }
  const Model& model() const { return model_; }

  // The first number that may not stand where it does (too large or not finite; NaN where never missing), or -1.
  template <class T>
  Size first_fault(const T* x, Size count) const;
  // One step of each row; a key that stands twice is stepped twice, in order. out: (rows, outputs).
  template <class T>
  void step(const T* x, Size rows, const std::string_view* keys, float* out);
  // What a step of one row would answer; no key changes.
  template <class T>
  void peek(const T* x, std::string_view key, float* out);

 private:
  template <class T>
  void read(const T* row, float* to) const;
  float standardised(Size column, double value) const;

  Model& model_;
  Standardise standardise_;
  Size inputs_;
  std::vector<char> may_miss_;
  KeyedStates keys_;
};

}  // namespace streaming
}  // namespace lamina
