#include "scan.h"

#include <algorithm>
#include <chrono>
#include <numeric>

#include "buffer.h"
#include "team.h"
#include "units.h"

namespace lamina {
namespace {

const CellShape& shape_of(Cell cell) {
  static const CellShape simple{1, 1, 0, 0, false, false, {0}, {0}, {}};
  static const CellShape lstm{4, 4, 0, 0, true, false, {0, 1, 2, 3}, {0, 1, 2, 3}, {}};
  static const CellShape gru{3, 4, 0, 1, false, false, {2, 0, 1}, {0, 1, 2}, {}};
  static const CellShape layer_norm_lstm{4, 8, 0, 4, true, true, {0, 1, 2, 3}, {0, 1, 2, 3}, {4, 4, 4, 1, 1}};
  static const CellShape layer_norm_gru{3, 6, 0, 3, false, true, {0, 1, 2}, {0, 1, 2}, {3, 3, 3}};
  switch (cell) {
    case Cell::lstm: return lstm;
    case Cell::gru: return gru;
    case Cell::layer_norm_lstm: return layer_norm_lstm;
    case Cell::layer_norm_gru: return layer_norm_gru;
    default: return simple;
  }
}

// Rows sorted by length and dealt out like cards, so that every block gets long and short ones.
class Plan {
 public:
  template <class S>
  Plan(const Problem<S>& p, int count) : row_(p.batch), length_(p.batch) {
    std::vector<Size> sorted(p.batch);
    std::iota(sorted.begin(), sorted.end(), Size{0});
    const auto length = [&](Size row) { return p.lengths == nullptr ? p.time : p.lengths[row]; };
    std::stable_sort(sorted.begin(), sorted.end(), [&](Size a, Size b) { return length(a) > length(b); });
    Size at = 0, valid = 0;
    offsets_.reserve(count);  // blocks point into it
    for (int k = 0; k < count; ++k) {
      const Size begin = at;
      for (Size i = k; i < p.batch; i += count, ++at) {
        row_[at] = sorted[i];
        length_[at] = length(sorted[i]);
      }
      const Size rows = at - begin, steps = rows == 0 ? 0 : length_[begin];
      std::vector<Size> offset(steps + 1, 0);
      Size running = rows;
      for (Size s = 0; s < steps; ++s) {
        while (running > 0 && length_[begin + running - 1] <= s) --running;
        offset[s + 1] = offset[s] + running;
      }
      offsets_.push_back(std::move(offset));
      blocks_.push_back({rows, steps, row_.data() + begin, length_.data() + begin, offsets_.back().data(), valid});
      valid += offsets_.back().back();
    }
  }
  const std::vector<Block>& blocks() const { return blocks_; }

 private:
  std::vector<Size> row_, length_;
  std::vector<std::vector<Size>> offsets_;
  std::vector<Block> blocks_;
};

struct Sizes {
  Size padded, features, outputs, w, r, projection, bias, extra;

  template <class S>
  Sizes(const Problem<S>& p, const CellShape& shape, Size columns)
      : padded(round_up(p.hidden, columns)),
        features(round_up(p.features, columns)),
        outputs(round_up(p.outputs, columns)),
        w(shape.gates * padded * features),
        r(shape.gates * padded * outputs),
        projection(p.projection == nullptr ? 0 : outputs * padded),
        bias(shape.blocks * padded),
        extra(std::accumulate(std::begin(shape.extra_rows), std::end(shape.extra_rows), 0) * padded) {}
};

// Whether several threads may share a block: not for a normalised cell, which needs whole rows, nor where
// one step is done in about the time that the threads need to meet (1 us is 30,000 products here).
template <class S>
bool shares_units(const Problem<S>& p, const CellShape& shape, const Block& block) {
  constexpr Size kProducts = 60000;
  return !shape.normalised && block.rows * shape.gates * p.hidden * p.outputs >= kProducts;
}

// Give each block to several members of a team, or several blocks to each member where blocks are more.
template <class F>
void share_out(const std::vector<Block>& blocks, int most_members, int member, int team, F run) {
  const int count = static_cast<int>(blocks.size());
  const int members = std::clamp(team / count, 1, most_members);
  if (member / count >= members) return;
  for (int k = member % count; k < count; k += std::max(1, std::min(team, count))) run(k, member / count, members);
}

template <class S>
struct Prepared {
  using T = Compute<S>;
  const CellShape& shape;
  const Kernels<S>& unit;
  Sizes sizes;
  Plan plan;
  Buffer<T> weights;
  Packed<T> packed;
  std::vector<Barrier> barriers;
  int most_members;
  int workers;  // more threads than this would find nothing to do

  Prepared(const Problem<S>& p, const std::string& name, int threads, int blocks)
      : shape(shape_of(p.cell)),
        unit(kernels<S>(name)),
        sizes(p, shape, unit.columns),
        plan(p, blocks),
        weights(sizes.w + sizes.r + sizes.projection + sizes.bias + sizes.extra + sizes.padded),
        barriers(blocks),
        most_members(shares_units(p, shape, plan.blocks()[0]) ? threads : 1),
        workers(std::min(threads, blocks * most_members)) {
    packed.w = weights.get();
    packed.r = packed.w + sizes.w;
    packed.projection = packed.r + sizes.r;
    packed.bias = packed.projection + sizes.projection;
    packed.extra = packed.bias + sizes.bias;
    packed.valid = packed.extra + sizes.extra;
  }
};

constexpr Size kLineNumbers = 16;

// Sum what the blocks contribute to a matrix of gradients, without the padding.
template <class S, class T = Compute<S>>
void sum_rows(const std::vector<T*>& parts, Size padded, Size stride, int gates, const int* order, Size hidden,
              Size width, S* to, int member, int members) {
  if (to == nullptr) return;
  for (Size n = member; n < gates * hidden; n += members) {
    const Size gate = n / hidden, unit = n % hidden;
    put_sum(parts, (gate * padded + unit) * stride, width, to + (order[gate] * hidden + unit) * width);
  }
}

}  // namespace

int count_blocks(Size batch, int threads) {
  constexpr Size kRows = 4;  // fewer rows than this leave the multipliers waiting: then threads share units
  return static_cast<int>(std::clamp<Size>(batch / kRows, 1, threads));
}

template <class S>
Size saved_width(const Problem<S>& p, const std::string& name) {
  return kernels<S>(name).width(p, shape_of(p.cell));
}

template <class S>
void forward(const Problem<S>& p, const std::string& name, int threads, int blocks) {
  using T = Compute<S>;
  Prepared<S> all(p, name, threads, blocks);
  std::vector<Size> start;
  Size room = 0;
  for (const Block& block : all.plan.blocks()) {
    start.push_back(room);
    room += round_up(all.unit.forward_scratch(p, all.shape, block, all.most_members), kLineNumbers);
  }
  const Buffer<T> scratch(room);
  run_team(all.workers, [&](int member, int team) { all.unit.pack_forward(p, all.shape, all.packed, member, team); });
  run_team(all.workers, [&](int member, int team) {
    share_out(all.plan.blocks(), all.most_members, member, team, [&](int k, int part, int parts) {
      const Block& block = all.plan.blocks()[k];
      all.unit.forward({&p, &all.shape, &all.packed, &block, part, parts, &all.barriers[k],
                        scratch.get() + start[k], WeightGradients<T>{}});
    });
  });
}

// The sums of one block's gradients of the weights, and those of all blocks.
template <class T>
class GradientSums {
 public:
  GradientSums(const Sizes& sizes, int blocks)
      : part_(round_up(sizes.w + sizes.r + sizes.projection + sizes.bias + sizes.extra, kLineNumbers)),
        buffer_(part_ * blocks) {
    for (int k = 0; k < blocks; ++k) {
      T* at = buffer_.get() + k * part_;
      for (auto [list, size] : {std::pair{&w, sizes.w}, {&r, sizes.r}, {&projection, sizes.projection},
                                {&bias, sizes.bias}, {&extra, sizes.extra}}) {
        list->push_back(at);
        at += size;
      }
    }
  }
  WeightGradients<T> of_block(int k) const { return {w[k], r[k], projection[k], bias[k], extra[k]}; }

  std::vector<T*> w, r, projection, bias, extra;

 private:
  Size part_;
  Buffer<T> buffer_;
};

template <class T>
std::vector<T*> moved(std::vector<T*> parts, Size offset) {
  for (T*& part : parts) part += offset;
  return parts;
}

template <class S>
void sum_gradients(const Problem<S>& p, const CellShape& s, const Sizes& sizes,
                   const GradientSums<Compute<S>>& sums, int member, int team) {
  static const int in_order[] = {0, 1, 2, 3};
  const Size padded = sizes.padded;
  sum_rows(sums.w, padded, sizes.features, s.gates, s.w_order, p.hidden, p.features, p.dw, member, team);
  sum_rows(sums.r, padded, sizes.outputs, s.gates, s.r_order, p.hidden, p.outputs, p.dr, member, team);
  sum_rows(sums.projection, sizes.outputs, padded, 1, in_order, p.outputs, p.hidden, p.dprojection, member, team);
  if (member != 0) return;
  sum_rows(moved(sums.bias, s.w_first * padded), padded, 1, s.gates, s.w_order, p.hidden, 1, p.db, 0, 1);
  sum_rows(moved(sums.bias, s.r_first * padded), padded, 1, s.gates, s.r_order, p.hidden, 1, p.dc, 0, 1);
  for (Size i = 0, row = 0; i < 5; row += s.extra_rows[i], ++i)
    sum_rows(moved(sums.extra, row * padded), padded, 1, s.extra_rows[i], in_order, p.hidden, 1, p.dextra[i], 0, 1);
}

template <class S>
void backward(const Problem<S>& p, const std::string& name, int threads, int blocks) {
  using T = Compute<S>;
  Prepared<S> all(p, name, threads, blocks);
  std::vector<Size> start;
  Size room = 0;
  for (const Block& block : all.plan.blocks()) {
    start.push_back(room);
    room += round_up(all.unit.backward_scratch(p, all.shape, block, all.most_members), kLineNumbers);
  }
  const Buffer<T> scratch(room);
  const GradientSums<T> sums(all.sizes, blocks);
  run_team(all.workers, [&](int member, int team) { all.unit.pack_backward(p, all.shape, all.packed, member, team); });
  run_team(all.workers, [&](int member, int team) {
    share_out(all.plan.blocks(), all.most_members, member, team, [&](int k, int part, int parts) {
      const Block& block = all.plan.blocks()[k];
      all.unit.backward({&p, &all.shape, &all.packed, &block, part, parts, &all.barriers[k],
                         scratch.get() + start[k], sums.of_block(k)});
    });
  });
  run_team(all.workers, [&](int member, int team) { sum_gradients(p, all.shape, all.sizes, sums, member, team); });
}

double peak_gflops(const std::string& name, int threads) {
  constexpr Size kRounds = 2000000;
  constexpr int kAttempts = 7;
  const Kernels<float>& unit = kernels<float>(name);
  double best = 0;
  std::vector<float> results(threads);  // kept, so that the work cannot be left out
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    int ran = 1;
    const auto begin = std::chrono::steady_clock::now();
    run_team(threads, [&](int member, int team) {
      results[member] = unit.exercise(kRounds);
      if (member == 0) ran = team;
    });
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    best = std::max(best, static_cast<double>(ran * kRounds * unit.operations_per_round) / took.count() / 1e9);
  }
  return best;
}

template Size saved_width(const Problem<float>&, const std::string&);
template Size saved_width(const Problem<double>&, const std::string&);
template Size saved_width(const Problem<Bf16>&, const std::string&);
template void forward(const Problem<float>&, const std::string&, int, int);
template void forward(const Problem<double>&, const std::string&, int, int);
template void forward(const Problem<Bf16>&, const std::string&, int, int);
template void backward(const Problem<float>&, const std::string&, int, int);
template void backward(const Problem<double>&, const std::string&, int, int);
template void backward(const Problem<Bf16>&, const std::string&, int, int);

}  // namespace lamina
