// The arithmetic of online learning: one row at a time, in place, on arrays that Python owns.
//
// The equations are those of linear.py, inputs.py and adaptive_quantiles.py; tests hold these functions against
// NumPy.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

namespace nb = nanobind;

namespace {

using Size = std::ptrdiff_t;
template <int axes>
using Numbers = nb::ndarray<double, nb::ndim<axes>, nb::c_contig, nb::device::cpu>;

using Floats = nb::ndarray<float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Counts = nb::ndarray<std::int64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

constexpr double kLargestError = 3.0, kLeastCurvature = 0.02;

double cut(double value, double limit) { return std::min(std::max(value, -limit), limit); }

double dot(const double* a, const double* b, Size n) {
  double sums[4] = {0, 0, 0, 0};
  Size i = 0;
  for (; i + 4 <= n; i += 4)
    for (int lane = 0; lane < 4; ++lane) sums[lane] += a[i + lane] * b[i + lane];
  for (; i < n; ++i) sums[0] += a[i] * b[i];
  return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

void add_scaled(double* to, double scale, const double* from, Size n) {
  for (Size i = 0; i < n; ++i) to[i] += scale * from[i];
}

void to_probabilities(double* logits, Size n) {
  if (n == 0) return;
  const double largest = *std::max_element(logits, logits + n);
  double total = 0;
  for (Size k = 0; k < n; ++k) total += logits[k] = std::exp(logits[k] - largest);
  for (Size k = 0; k < n; ++k) logits[k] /= total;
}

// weights (experts, outputs, features), z (features) -> out (experts, outputs)
void say(Numbers<3> weights, Numbers<1> z, bool softmax, Numbers<2> out) {
  const Size experts = weights.shape(0), outputs = weights.shape(1), features = weights.shape(2);
  for (Size e = 0; e < experts; ++e) {
    double* const said = out.data() + e * outputs;
    for (Size k = 0; k < outputs; ++k) said[k] = dot(weights.data() + (e * outputs + k) * features, z.data(), features);
    if (softmax) to_probabilities(said, outputs);
  }
}

// weights (experts, outputs, features), biases (experts, outputs), z (experts, features) -> out (experts, outputs)
void say_each(Numbers<3> weights, Numbers<2> biases, Numbers<2> z, bool softmax, Numbers<2> out) {
  const Size experts = weights.shape(0), outputs = weights.shape(1), features = weights.shape(2);
  for (Size e = 0; e < experts; ++e) {
    for (Size k = 0; k < outputs; ++k)
      out(e, k) = biases(e, k) + dot(weights.data() + (e * outputs + k) * features, z.data() + e * features, features);
    if (softmax) to_probabilities(out.data() + e * outputs, outputs);
  }
}

// One second-order expert: weights (outputs, features), inverse (size, size) with size <= features.
void learn_second_order(double* weights, double* inverse, const double* z, const double* said, const double* truth,
                        Size outputs, Size features, Size size, double keep, double forget, bool softmax,
                        double* direction) {
  double spread = 0, curvature = 1;
  for (Size row = 0; row < size; ++row) direction[row] = dot(inverse + row * size, z, size);
  spread = dot(direction, z, size);
  if (softmax) {
    curvature = kLeastCurvature;
    for (Size k = 0; k < outputs; ++k) curvature = std::max(curvature, 2 * said[k] * (1 - said[k]));
  }
  const double gain = 1 / (keep + curvature * spread);
  for (Size k = 0; k < outputs; ++k)
    add_scaled(weights + k * features, gain * cut(truth[k] - said[k], kLargestError), direction, size);
  const double kept = 1 / forget;
  for (Size row = 0; row < size; ++row) {
    const double scale = gain * curvature * direction[row];
    double* const line = inverse + row * size;
    for (Size column = 0; column < size; ++column) line[column] = (line[column] - scale * direction[column]) * kept;
  }
}

// All experts: the first `keep.shape(0)` of the second order, the others of the first.
void learn(Numbers<3> weights, Numbers<3> inverse, Numbers<3> squares, Numbers<1> keep, Numbers<1> forget,
           Numbers<1> steps, Numbers<1> z, Numbers<2> said, Numbers<1> truth, bool softmax) {
  const Size second = keep.shape(0), first = steps.shape(0);
  const Size outputs = weights.shape(1), features = weights.shape(2), size = inverse.shape(1);
  std::vector<double> direction(static_cast<std::size_t>(size));
  for (Size e = 0; e < second; ++e)
    learn_second_order(weights.data() + e * outputs * features, inverse.data() + e * size * size, z.data(),
                       said.data() + e * outputs, truth.data(), outputs, features, size, keep(e), forget(e), softmax,
                       direction.data());
  for (Size e = 0; e < first; ++e) {
    for (Size k = 0; k < outputs; ++k) {
      const double error = truth(k) - said(second + e, k), slope = softmax ? error : cut(error, 1);
      double* const w = weights.data() + ((second + e) * outputs + k) * features;
      double* const g = squares.data() + (e * outputs + k) * features;
      for (Size i = 0; i < features; ++i) {
        const double gradient = slope * z(i);
        g[i] += gradient * gradient;
        w[i] += steps(e) * gradient / std::sqrt(g[i]);
      }
    }
  }
}

// raw (inputs), centers (inputs, columns), sharpness (inputs) -> out (inputs, columns)
void contexts(Numbers<1> raw, Numbers<2> centers, Numbers<1> sharpness, double limit, Numbers<2> out) {
  for (Size input = 0; input < Size(raw.shape(0)); ++input)
    for (Size column = 0; column < Size(centers.shape(1)); ++column) {
      const double scaled = (raw(input) - centers(input, column)) * sharpness(input);
      out(input, column) = std::isnan(scaled) ? 0.0 : cut(scaled, limit);
    }
}

// Moves running statistics towards a row; a missing value moves nothing. The first column is the mean.
void follow(Numbers<1> raw, Numbers<1> count, Numbers<2> centers, Numbers<1> variance, Numbers<1> sharpness,
            Numbers<1> slowest, double smallest) {
  for (Size input = 0; input < Size(raw.shape(0)); ++input) {
    if (std::isnan(raw(input))) continue;
    count(input) += 1;
    const double away = raw(input) - centers(input, 0);
    for (Size column = 0; column < Size(centers.shape(1)); ++column)
      centers(input, column) += std::max(1 / count(input), slowest(column)) * (raw(input) - centers(input, column));
    // Welford's update, forgetting: the distances are from the old mean and from the new one.
    const double spread = away * (raw(input) - centers(input, 0));
    variance(input) += std::max(1 / count(input), slowest(0)) * (spread - variance(input));
    sharpness(input) = 1 / std::sqrt(variance(input) + smallest);
  }
}

bool any_beyond(Numbers<1> raw, double limit) {
  return std::any_of(raw.data(), raw.data() + raw.shape(0), [=](double value) { return std::fabs(value) > limit; });
}

// Exponential weights by one row's losses, shared with all experts; in place.
void share_weights(Numbers<1> weights, Numbers<1> prior, Numbers<1> losses, double share) {
  const Size experts = weights.shape(0);
  const double least = *std::min_element(losses.data(), losses.data() + experts);
  double total = 0;
  for (Size e = 0; e < experts; ++e) total += weights(e) *= std::exp(least - losses(e));
  for (Size e = 0; e < experts; ++e) weights(e) = (1 - share) * weights(e) / total + share * prior(e);
}

// What follows without a model: after (classes, classes) and frequency (classes, spans) -> out (1 + spans, classes),
// how often each class came after the last one (-1 for none), and how frequent each was over each span.
void label_rules(Numbers<2> after, Numbers<2> frequency, Size last, double smoothing, Numbers<2> out) {
  const Size classes = after.shape(0), spans = frequency.shape(1);
  double total = 0;
  for (Size k = 0; k < classes; ++k) total += out(0, k) = 0.1 + (last < 0 ? 0 : after(last, k) + (k == last));
  for (Size k = 0; k < classes; ++k) out(0, k) /= total;
  for (Size span = 0; span < spans; ++span) {
    total = 0;
    for (Size k = 0; k < classes; ++k) total += out(1 + span, k) = frequency(k, span) + smoothing;
    for (Size k = 0; k < classes; ++k) out(1 + span, k) /= total;
  }
}

// Moves frequencies and transitions towards a label.
void follow_label(Numbers<2> after, Numbers<2> frequency, Size last, Size code, double rows, Numbers<1> rates,
                  double forget) {
  for (Size span = 0; span < Size(rates.shape(0)); ++span) {
    const double rate = std::max(1 / rows, rates(span));
    for (Size k = 0; k < Size(frequency.shape(0)); ++k) frequency(k, span) *= 1 - rate;
    frequency(code, span) += rate;
  }
  if (last < 0) return;
  for (Size k = 0; k < Size(after.shape(1)); ++k) after(last, k) *= forget;
  after(last, code) += 1;
}

// Puts a number into ascending ones, `known` of which are there, in place of another where `old` says so.
void exchange(float* ordered, Size known, const float* old, float fresh) {
  float* const end = ordered + known;
  float* const gap = old == nullptr ? end : std::lower_bound(ordered, end, *old);
  float* const place = std::lower_bound(ordered, end, fresh);
  if (place > gap) {
    std::move(gap + 1, place, gap);
    *(place - 1) = fresh;
  } else {
    std::move_backward(place, gap, gap + 1);
    *place = fresh;
  }
}

// Judges the forecasts of a value, made 1, 2, ... rows ago: moves each bound's level, and keeps each error. A value
// on a bound, to the precision of the errors, moves nothing. Where the outermost error is the middle one, distance
// cannot push a bound out, and the level stops one step beyond the errors.
// counts (horizon), errors and ordered (horizon, room), now (horizon, levels); medians and spreads (made, horizon)
// and bounds (made, horizon, levels), those of row r at r modulo horizon, NaN where no forecast was made.
void judge(double value, std::int64_t rows, Numbers<1> levels, Counts counts, Floats errors, Floats ordered, Numbers<2> now,
           Numbers<2> medians, Numbers<2> spreads, Numbers<3> bounds, double step, std::int64_t warm_up) {
  const Size horizon = counts.shape(0), room = errors.shape(1), number = levels.shape(0);
  for (Size s = 0; s < horizon; ++s) {
    const Size made = ((rows - 1 - s) % horizon + horizon) % horizon;
    if (std::isnan(medians(made, s))) continue;
    const float error = static_cast<float>((value - medians(made, s)) / spreads(made, s));
    if (counts(s) >= warm_up)
      for (Size q = 0; q < number; ++q) {
        const float bound = static_cast<float>((bounds(made, s, q) - medians(made, s)) / spreads(made, s));
        if (error != bound) now(s, q) += step * (levels(q) - (error < bound ? 1.0 : 0.0));
      }
    float& place = errors(s, counts(s) % room);
    exchange(ordered.data() + s * room, std::min<Size>(counts(s), room), counts(s) < room ? nullptr : &place, error);
    place = error;
    ++counts(s);
    const Size known = std::min<Size>(counts(s), room);
    const float* const sorted = ordered.data() + s * room;
    for (Size q = 0; q < number; ++q) {
      if (sorted[0] == sorted[known / 2]) now(s, q) = std::max(now(s, q), -step);
      if (sorted[known - 1] == sorted[known / 2]) now(s, q) = std::min(now(s, q), 1 + step);
    }
  }
}

// What quantiles at ascending levels say at another level, on lines between them.
double between(const double* levels, const double* quantiles, Size count, double level) {
  const Size after = std::upper_bound(levels, levels + count, level) - levels;
  if (after == 0) return quantiles[0];
  if (after == count) return quantiles[count - 1];
  const double slope = (quantiles[after] - quantiles[after - 1]) / (levels[after] - levels[after - 1]);
  return quantiles[after - 1] + slope * (level - levels[after - 1]);
}

// The error at a level of now, among `known` ascending ones; beyond them it grows by its distance from the middle.
double error_at(const float* ordered, Size known, double level, double now, double step) {
  if (known == 0) return 0.0;
  const double n = static_cast<double>(known), exact = now * (n + 1);
  const double rank = level < 0.5 ? std::floor(exact) : std::ceil(exact);
  const double chosen = ordered[static_cast<Size>(std::min(std::max(rank, 1.0), n)) - 1], middle = ordered[known / 2];
  const double beyond = std::max(1 / (n + 1) - now, 0.0) + std::max(now - n / (n + 1), 0.0);
  return chosen + (chosen - middle) * std::max(beyond - step, 0.0) / step;
}

// The bounds of a forecast: quantiles (horizon, given) -> medians, spreads (horizon) and bounds (horizon, levels).
void bound(Numbers<2> quantiles, Numbers<1> given, Numbers<1> levels, Size middle, Counts counts, Floats ordered,
           Numbers<2> now, Numbers<1> medians, Numbers<1> spreads, Numbers<2> bounds, double smallest, double step,
           std::int64_t warm_up) {
  const Size horizon = counts.shape(0), room = ordered.shape(1), number = levels.shape(0), count = given.shape(0);
  double largest = 1.0;
  for (Size s = 0; s < horizon; ++s) {
    for (Size q = 0; q < number; ++q) bounds(s, q) = between(given.data(), quantiles.data() + s * count, count, levels(q));
    medians(s) = bounds(s, middle);
    largest = std::max(largest, std::fabs(medians(s)));
  }
  for (Size s = 0; s < horizon; ++s) {
    double* const found = bounds.data() + s * number;
    spreads(s) = std::max(quantiles(s, count - 1) - quantiles(s, 0), smallest * largest);
    if (counts(s) >= warm_up)
      for (Size q = 0; q < number; ++q) {
        const Size known = std::min<Size>(counts(s), room);
        found[q] = medians(s) + spreads(s) * error_at(ordered.data() + s * room, known, levels(q), now(s, q), step);
      }
    // in order, but for the median, which stays the model's
    found[middle] = std::numeric_limits<double>::infinity();
    std::sort(found, found + number);
    std::move_backward(found + middle, found + number - 1, found + number);
    found[middle] = medians(s);
  }
}

}  // namespace

NB_MODULE(_learning, m) {
  m.doc() = "The arithmetic of online learning; private.";
  m.def("say", &say);
  m.def("say_each", &say_each);
  m.def("learn", &learn);
  m.def("contexts", &contexts);
  m.def("follow", &follow);
  m.def("any_beyond", &any_beyond);
  m.def("share_weights", &share_weights);
  m.def("label_rules", &label_rules);
  m.def("follow_label", &follow_label);
  m.def("judge", &judge);
  m.def("bound", &bound);
}
