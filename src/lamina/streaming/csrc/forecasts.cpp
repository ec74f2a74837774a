#include "forecasts.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace lamina {
namespace streaming {

namespace {

constexpr Size kHead = 64;

Size window_bytes(const ForecastForm& form) {
  const Size columns = form.past.count() + form.future.count();
  const Size bytes = kHead + form.input_size * 8 + (form.input_size * columns + form.fixed.count()) * 4;
  return (bytes + kStateAlign - 1) / kStateAlign * kStateAlign;
}

std::size_t at(Size index) { return static_cast<std::size_t>(index); }

std::vector<float> room(Size numbers) { return std::vector<float>(at(numbers + 2 * kPad), 0.0f); }

// A value of a column as a network reads it; a missing one stays missing. Offline tables are float32.
float standardised(const Columns& columns, Size column, double value) {
  return static_cast<float>((static_cast<double>(static_cast<float>(value)) - columns.mean[at(column)]) / columns.scale[at(column)]);
}

template <class T>
float* standardise(const Columns& columns, const T* row, float* to) {
  for (Size i = 0; i < columns.count(); ++i) *to++ = standardised(columns, i, row[i]);
  return to;
}

// The first number that is too large once standardised, or -1.
template <class T>
Size first_too_large(const Columns& columns, const T* row) {
  for (Size i = 0; i < columns.count(); ++i)
    if (std::fabs(standardised(columns, i, row[i])) > kLargest) return i;
  return -1;
}

// Standardised columns, 0 where missing, then a mask for each column that may be missing.
float* write_columns(const Columns& columns, const float* row, float* to) {
  for (Size i = 0; i < columns.count(); ++i) *to++ = std::isnan(row[i]) ? 0.0f : row[i];
  for (const Size column : columns.gaps) *to++ = std::isnan(row[column]) ? 0.0f : 1.0f;
  return to;
}

// Nearly always in order already.
void put_in_order(double* first, double* last) {
  if (!std::is_sorted(first, last)) std::sort(first, last);
}

Size width(const Columns& columns) { return columns.count() + static_cast<Size>(columns.gaps.size()); }

}  // namespace

Forecasts::Forecasts(Model& model, Size most_keys, ForecastForm form)
    : model_(model), form_(std::move(form)), keys_(window_bytes(form_), most_keys) {
  step_features_ = (form_.gaps ? 2 : 0) + width(form_.past) + width(form_.future);
  vector_size_ = model.network().outputs + form_.fixed.count();
  window_.resize(at(form_.input_size));
  steps_ = room(form_.input_size * (1 + step_features_));
  past_ = room(form_.input_size);
  nothing_.assign(at(columns()), std::nanf(""));
  vector_ = room(vector_size_);
  out_ = room(form_.horizon * form_.levels);
  straight_ = room(form_.horizon);
  known_ = room(form_.future.count());
  ahead_ = room(width(form_.future) + form_.calendar);
  levels_ = room(form_.levels);
  reader_state_.resize(at(model.network().state_bytes / 8 + kStateAlign / 8));
}

void Forecasts::set_head(Given w, Given b) { head_ = model_.linear(w, b); }

void Forecasts::set_highway(Given w, Given b) {
  highway_ = model_.linear(w, b);
  has_highway_ = true;
}

void Forecasts::set_known(Given state_w, Given state_b, Given future_w, Given future_b, Given out_w, Given out_b) {
  known_state_ = model_.linear(state_w, state_b);
  known_future_ = model_.linear(future_w, future_b);
  known_out_ = model_.linear(out_w, out_b);
  joint_ = room(state_w.rows);
  meeting_ = room(state_w.rows);
  has_known_ = true;
}

double* Forecasts::values(char* state) const { return reinterpret_cast<double*>(state + kHead); }
float* Forecasts::covariates(char* state) const { return reinterpret_cast<float*>(state + kHead + form_.input_size * 8); }
float* Forecasts::fixed(char* state) const { return covariates(state) + form_.input_size * columns(); }

Size Forecasts::first_fault(const double* row) const {
  Size begin = 1;  // after the target
  for (const Columns* part : {&form_.past, &form_.future, &form_.fixed}) {
    const Size fault = first_too_large(*part, row + begin);
    if (fault >= 0) return begin + fault;
    begin += part->count();
  }
  return -1;
}

Size Forecasts::first_fault_ahead(const float* known, Size rows) const {
  for (Size row = 0; row < rows; ++row) {
    const Size fault = first_too_large(form_.future, known + row * form_.future.count());
    if (fault >= 0) return row * form_.future.count() + fault;
  }
  return -1;
}

void Forecasts::push(std::string_view key, const double* row, Size skipped, std::int64_t time) {
  Size number;
  char* const state = keys_.touch(key, &number);
  WindowHead* const head = reinterpret_cast<WindowHead*>(state);
  const Size inserted = std::min(skipped, form_.input_size);
  for (Size i = skipped - inserted; i < skipped; ++i) {
    const Size place = slot(head->rows + i);
    values(state)[place] = std::nan("");
    std::fill_n(covariates(state) + place * columns(), columns(), std::nanf(""));
  }
  head->rows += skipped;
  const Size place = slot(head->rows);
  values(state)[place] = *row++;
  float* const future = standardise(form_.past, row, covariates(state) + place * columns());
  standardise(form_.future, row + form_.past.count(), future);
  standardise(form_.fixed, row + columns(), fixed(state));
  ++head->rows;
  head->time = time;
}

bool Forecasts::head(std::string_view key, WindowHead* out) const {
  const char* const state = keys_.find(key);
  if (state == nullptr) return false;
  std::memcpy(out, state, sizeof *out);
  return true;
}

bool Forecasts::ready(std::string_view key) const {
  const char* const state = keys_.find(key);
  if (state == nullptr) return false;
  WindowHead head;
  std::memcpy(&head, state, sizeof head);
  const double* const y = values(const_cast<char*>(state));
  const Size kept = std::min<Size>(head.rows, form_.input_size);
  return (form_.gaps || kept == form_.input_size) && std::any_of(y, y + kept, [](double value) { return !std::isnan(value); });
}

// Offset and scale of the window; window_scale in lamina/tasks/forecast_inputs.py.
void Forecasts::scale_window(double* offset, double* scale) const {
  double sum = 0, magnitude = 0, recent = 0, squares = 0;
  Size count = 0, newest = 0;
  for (auto y = window_.rbegin(); y != window_.rend(); ++y) {
    if (std::isnan(*y)) continue;
    sum += *y;
    magnitude += std::fabs(*y);
    ++count;
    if (newest < form_.season) {
      recent += *y;
      ++newest;
    }
  }
  const double n = static_cast<double>(std::max<Size>(count, 1)), mean = sum / n;
  for (const double y : window_)
    if (!std::isnan(y)) squares += (y - mean) * (y - mean);
  *offset = recent / static_cast<double>(std::max<Size>(newest, 1));
  *scale = std::max(std::sqrt(squares / n), 1e-3 * magnitude / n + 1e-8);
}

// The newest observed value of the same phase as a step ahead; NaN where there is none.
double Forecasts::anchor(Size step) const {
  Size column = form_.input_size + step - form_.season * (step / form_.season + 1);
  for (; column >= 0; column -= form_.season)
    if (column < form_.input_size && !std::isnan(window_[at(column)])) return window_[at(column)];
  return std::nan("");
}

// The window as the network reads it, one row of numbers a step.
void Forecasts::write_steps(const char* state, double offset, double scale) {
  char* const own = const_cast<char*>(state);
  WindowHead head;
  std::memcpy(&head, state, sizeof head);
  float* to = steps_.data();
  Size last = -1;
  for (Size i = 0; i < form_.input_size; ++i) {
    const bool observed = !std::isnan(window_[at(i)]);
    if (observed) last = i;
    const float value = observed ? static_cast<float>((window_[at(i)] - offset) / scale) : 0.0f;
    past_[at(i)] = *to++ = value;
    if (form_.gaps) {
      *to++ = observed ? 1.0f : 0.0f;
      *to++ = static_cast<float>(std::log1p(static_cast<double>(std::min(i - last, form_.input_size))));
    }
    const std::int64_t row = head.rows - form_.input_size + i;
    const float* const given = row < 0 ? nothing_.data() : covariates(own) + slot(row) * columns();
    to = write_columns(form_.past, given, to);
    to = write_columns(form_.future, given + form_.past.count(), to);
  }
}

void Forecasts::forecast(std::string_view key, const float* known, const float* calendar, double* out) {
  const char* const state = keys_.find(key);
  WindowHead head;
  std::memcpy(&head, state, sizeof head);
  for (Size i = 0; i < form_.input_size; ++i) {
    const std::int64_t row = head.rows - form_.input_size + i;
    window_[at(i)] = row < 0 ? std::nan("") : values(const_cast<char*>(state))[slot(row)];
  }
  double offset, scale;
  scale_window(&offset, &scale);
  write_steps(state, offset, scale);

  const Network& net = model_.network();
  const StepUnit& unit = model_.unit();
  const Frame frame = model_.frame();
  std::fill(reader_state_.begin(), reader_state_.end(), 0.0);
  char* reader = reinterpret_cast<char*>(reader_state_.data());
  reader += (kStateAlign - reinterpret_cast<std::uintptr_t>(reader) % kStateAlign) % kStateAlign;
  const Size segment = form_.segment * (1 + step_features_);
  for (Size begin = 0; begin < form_.input_size * (1 + step_features_); begin += segment) {
    std::copy_n(steps_.data() + begin, segment, frame.below);
    for (Size i = segment; i % 4 != 0; ++i) frame.below[i] = 0.0f;
    unit.advance(net, frame, 1, &reader);
  }
  unit.answer(net, frame, 1, &reader, vector_.data(), net.outputs);
  const float* const of_series = fixed(const_cast<char*>(state));
  write_columns(form_.fixed, of_series, vector_.data() + net.outputs);
  unit.linear(head_, vector_.data(), out_.data());
  if (has_highway_) unit.linear(highway_, past_.data(), straight_.data());
  if (has_known_) unit.linear(known_state_, vector_.data(), joint_.data());
  for (Size step = 0; step < form_.horizon; ++step) {
    const double found = anchor(step);
    const float shared = std::isnan(found) ? 0.0f : static_cast<float>((found - offset) / scale);
    if (has_known_) {
      standardise(form_.future, known + step * form_.future.count(), known_.data());
      float* const tail = write_columns(form_.future, known_.data(), ahead_.data());
      std::copy_n(calendar + step * form_.calendar, form_.calendar, tail);
      unit.linear(known_future_, ahead_.data(), meeting_.data());
      unit.add_gelu(joint_.data(), meeting_.data(), known_state_.input.units);
      unit.linear(known_out_, meeting_.data(), levels_.data());
    }
    double* const quantiles = out + step * form_.levels;
    for (Size level = 0; level < form_.levels; ++level) {
      float value = out_[at(step * form_.levels + level)] + shared;
      if (has_highway_) value += straight_[at(step)];
      if (has_known_) value += levels_[at(level)];
      quantiles[level] = static_cast<double>(value) * scale + offset;
    }
    put_in_order(quantiles, quantiles + form_.levels);
    for (Size level = 0; level < form_.levels; ++level)
      quantiles[level] += form_.calibration[at(step * form_.levels + level)] * scale;
    put_in_order(quantiles, quantiles + form_.levels);
  }
}

}  // namespace streaming
}  // namespace lamina
