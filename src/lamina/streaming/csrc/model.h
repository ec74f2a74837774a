// Packs a network's weights and owns them.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "network.h"

namespace lamina {
namespace streaming {

// A matrix or vector that comes in: row-major float32. Absent: null.
struct Given {
  const float* data = nullptr;
  Size rows = 0, columns = 0;
};

struct GivenLayer {
  Cell cell = Cell::lstm;
  Given w, r, b, c;
  std::vector<Given> extra;
  float zoneout = 0;
  Given norm_gain, norm_shift;
  Joint joint = Joint::replace;
  Given project, gate;
};

class Model {
 public:
  Model(Storage storage, const std::string& unit);  // unit "": the fastest this processor can run
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;

  void embed(Given w, Given b);
  void layer(const GivenLayer& given);
  void final_norm(Given gain, Given shift);
  void read(Pool pool, Given key, Given key_bias, Given query);  // one vector for all steps so far
  void head(Given w, Given b);
  void finish(Size inputs);

  const Network& network() const { return network_; }
  const StepUnit& unit() const { return *unit_; }
  Frame frame();       // of this model's own; one thread at a time
  Size weight_bytes() const { return weight_bytes_; }
  Size multiplications() const { return multiplications_; }  // of one step

  Products linear(Given w, Given b);  // float32, in this model's memory

 private:
  float* floats(Size count);
  void* bytes(Size count);
  Panels pack(Given w, Size units, const std::vector<int>& order, Storage storage, std::vector<float>* scales);
  Products products(Given w, Given r, Size units, int gates, int recurrent_first, const std::vector<int>& w_order,
                    const std::vector<int>& r_order, Storage storage);
  void note(const Products& products);
  Norm norm(Given gain, Given shift);

  Storage storage_;
  const StepUnit* unit_;
  Network network_;
  std::vector<Layer> layers_;
  struct Free {
    void operator()(void* memory) const;
  };
  std::vector<std::unique_ptr<void, Free>> memory_;
  Size weight_bytes_ = 0, multiplications_ = 0, widest_ = 0, most_blocks_ = 0, numbers_ = 0;
  Frame frame_{};
};

std::vector<std::string> runnable_step_units();  // fastest first

}  // namespace streaming
}  // namespace lamina
