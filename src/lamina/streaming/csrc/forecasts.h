// Forecasts from the last rows of each key: the window that lamina/tasks/forecast_inputs.py describes.
#pragma once
#include <limits>
#include <string_view>
#include <vector>

#include "keys.h"
#include "model.h"

namespace lamina {
namespace streaming {

constexpr std::int64_t kNoTime = std::numeric_limits<std::int64_t>::min();

// Columns of a kind of covariate: their scaler, and which of them may be missing.
struct Columns {
  std::vector<double> mean, scale;
  std::vector<Size> gaps;
  Size count() const { return static_cast<Size>(mean.size()); }
};

struct ForecastForm {
  Size horizon = 1, input_size = 1, segment = 1, levels = 1, season = 1, calendar = 0;
  bool gaps = false;               // whether steps say what was observed, and when last
  Columns past, future, fixed;     // fixed: of a series
  std::vector<double> calibration;  // (horizon, levels)
};

// What a key keeps, apart from the rows of its window.
struct WindowHead {
  std::int64_t rows;       // all rows so far, inserted ones included
  std::int64_t time;       // of the last row; kNoTime where rows have none
};

class Forecasts {
 public:
  Forecasts(Model& model, Size most_keys, ForecastForm form);

  // Maps beside the recurrence; absent: Given{}.
  void set_head(Given w, Given b);
  void set_highway(Given w, Given b);
  void set_known(Given state_w, Given state_b, Given future_w, Given future_b, Given out_w, Given out_b);

  const ForecastForm& form() const { return form_; }
  KeyedStates& keys() { return keys_; }
  const Model& model() const { return model_; }

  // Numbers of a row: the target, then past and future covariates, then those of the series.
  Size row_size() const { return 1 + columns() + form_.fixed.count(); }
  // The first of a row's numbers that is too large for the network, or -1; the target is never.
  Size first_fault(const double* row) const;
  // The same of what is known ahead, (rows, future).
  Size first_fault_ahead(const float* known, Size rows) const;
  // Append a row, NaN where missing. `skipped` rows of which nothing is known come before it.
  void push(std::string_view key, const double* row, Size skipped, std::int64_t time);
  // Rows of a key so far, and the time of the last one; false where the key is new.
  bool head(std::string_view key, WindowHead* out) const;
  // Whether the window can be forecast from: full, or allowed to begin before its series, and not all missing.
  bool ready(std::string_view key) const;
  // Quantiles of the next steps, (horizon, levels) ascending. known: (horizon, future), calendar: (horizon, calendar).
  void forecast(std::string_view key, const float* known, const float* calendar, double* out);

 private:
  Size columns() const { return form_.past.count() + form_.future.count(); }
  Size slot(std::int64_t row) const { return row % form_.input_size; }
  double* values(char* state) const;       // (input_size) target
  float* covariates(char* state) const;    // (input_size, columns), standardised
  float* fixed(char* state) const;         // standardised
  void write_steps(const char* state, double offset, double scale);
  void scale_window(double* offset, double* scale) const;
  double anchor(Size step) const;

  Model& model_;
  ForecastForm form_;
  KeyedStates keys_;
  Size step_features_, vector_size_;
  bool has_highway_ = false, has_known_ = false;
  Products head_, highway_, known_state_, known_future_, known_out_;
  std::vector<double> window_;         // the target in order, NaN where missing
  std::vector<float> steps_, past_;    // (input_size, 1 + step features), (input_size)
  std::vector<float> nothing_;         // covariates of a row before the series
  std::vector<float> vector_, out_, straight_, joint_, known_, ahead_, meeting_, levels_;
  std::vector<double> reader_state_;
};

}  // namespace streaming
}  // namespace lamina
