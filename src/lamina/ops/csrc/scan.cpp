#include "scan.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <new>
#include <numeric>
#include <stdexcept>

#include "processor.h"
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

template <class T>
std::vector<const Unit<T>*> units();
template <>
std::vector<const Unit<float>*> units() {
  return {avx512_float(), avx2_float(), generic_float(), wide_float()};
}
template <>
std::vector<const Unit<double>*> units() {
  return {avx512_double(), avx2_double(), generic_double(), wide_double()};
}

template <class T>
const Kernels<T>& kernels(const std::string& name) {
  for (const Unit<T>* unit : units<T>())
    if (unit != nullptr && name == unit->name) return unit->kernels;
  throw std::invalid_argument("no kernels are called '" + name + "'");
}

// Numbers on a cache line of their own, not set to anything.
template <class T>
class Buffer {
 public:
  explicit Buffer(Size n) : at_(static_cast<T*>(::operator new(std::max<Size>(n, 1) * sizeof(T), kLine))) {}
  ~Buffer() { ::operator delete(at_, kLine); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  T* get() const { return at_; }

 private:
  static constexpr std::align_val_t kLine{64};
  T* at_;
};

Size round_up(Size n, Size to) { return (n + to - 1) / to * to; }

// Rows sorted by length and dealt out like cards, so that every block gets long and short ones.
class Plan {
 public:
  template <class T>
  Plan(const Problem<T>& p, int count) : row_(p.batch), length_(p.batch) {
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
  Size padded, features, w, r, bias, extra;

  template <class T>
  Sizes(const Problem<T>& p, const CellShape& shape, Size columns)
      : padded(round_up(p.hidden, columns)),
        features(round_up(p.features, columns)),
        w(shape.gates * padded * features),
        r(shape.gates * padded * padded),
        bias(shape.blocks * padded),
        extra(std::accumulate(std::begin(shape.extra_rows), std::end(shape.extra_rows), 0) * padded) {}
};

// Whether several threads may share a block: not for a normalised cell, which needs whole rows, nor where
// one step is done in about the time that the threads need to meet (1 us is 30,000 products here).
template <class T>
bool shares_units(const Problem<T>& p, const CellShape& shape, const Block& block) {
  constexpr Size kProducts = 60000;
  return !shape.normalised && block.rows * shape.gates * p.hidden * p.hidden >= kProducts;
}

// Give each block to several members of a team, or several blocks to each member where blocks are more.
template <class F>
void share_out(const std::vector<Block>& blocks, int most_members, int member, int team, F run) {
  const int count = static_cast<int>(blocks.size());
  const int members = std::clamp(team / count, 1, most_members);
  if (member / count >= members) return;
  for (int k = member % count; k < count; k += std::max(1, std::min(team, count))) run(k, member / count, members);
}

template <class T>
struct Prepared {
  const CellShape& shape;
  const Kernels<T>& unit;
  Sizes sizes;
  Plan plan;
  Buffer<T> weights;
  Packed<T> packed;
  std::vector<Barrier> barriers;
  int most_members;

  Prepared(const Problem<T>& p, const std::string& name, int threads, int blocks)
      : shape(shape_of(p.cell)),
        unit(kernels<T>(name)),
        sizes(p, shape, unit.columns),
        plan(p, blocks),
        weights(sizes.w + sizes.r + sizes.bias + sizes.extra + sizes.padded),
        barriers(blocks),
        most_members(shares_units(p, shape, plan.blocks()[0]) ? threads : 1) {
    packed.w = weights.get();
    packed.r = packed.w + sizes.w;
    packed.bias = packed.r + sizes.r;
    packed.extra = packed.bias + sizes.bias;
    packed.valid = packed.extra + sizes.extra;
  }
};

constexpr Size kLineNumbers = 16;

// Sum what the blocks contribute to a matrix of gradients, without the padding.
template <class T>
void sum_rows(const std::vector<T*>& parts, Size padded, Size stride, int gates, const int* order, Size hidden,
              Size width, T* to, int member, int members) {
  if (to == nullptr) return;
  for (Size n = member; n < gates * hidden; n += members) {
    const Size gate = n / hidden, unit = n % hidden, at = (gate * padded + unit) * stride;
    T* row = to + (order[gate] * hidden + unit) * width;
    std::copy_n(parts[0] + at, width, row);
    for (std::size_t k = 1; k < parts.size(); ++k)
      for (Size i = 0; i < width; ++i) row[i] += parts[k][at + i];
  }
}

}  // namespace

std::vector<std::string> runnable_units() {
  const auto found = instruction_sets();
  const auto has = [&](const char* name) { return std::find(found.begin(), found.end(), name) != found.end(); };
  const bool avx2 = has("avx2") && has("fma");
  std::vector<std::string> names;
  if (avx512_float() != nullptr && avx2 && has("avx512f")) names.emplace_back("avx512");
  if (avx2_float() != nullptr && avx2) names.emplace_back("avx2");
  names.emplace_back("generic");
  if (wide_float() != nullptr && avx2) names.emplace_back("wide");
  return names;
}

int count_blocks(Size batch, int threads) {
  constexpr Size kRows = 4;  // fewer rows than this leave the multipliers waiting: then threads share units
  return static_cast<int>(std::clamp<Size>(batch / kRows, 1, threads));
}

template <class T>
Size saved_width(const Problem<T>& p, const std::string& name) {
  return kernels<T>(name).width(p, shape_of(p.cell));
}

template <class T>
void forward(const Problem<T>& p, const std::string& name, int threads, int blocks) {
  Prepared<T> all(p, name, threads, blocks);
  std::vector<Size> start;
  Size room = 0;
  for (const Block& block : all.plan.blocks()) {
    start.push_back(room);
    room += round_up(all.unit.forward_scratch(p, all.shape, block, all.most_members), kLineNumbers);
  }
  const Buffer<T> scratch(room);
  run_team(threads, [&](int member, int team) { all.unit.pack_forward(p, all.shape, all.packed, member, team); });
  run_team(threads, [&](int member, int team) {
    share_out(all.plan.blocks(), all.most_members, member, team, [&](int k, int part, int parts) {
      const Block& block = all.plan.blocks()[k];
      all.unit.forward({&p, &all.shape, &all.packed, &block, part, parts, &all.barriers[k],
                        scratch.get() + start[k], WeightGradients<T>{}});
    });
  });
}

template <class T>
void backward(const Problem<T>& p, const std::string& name, int threads, int blocks) {
  Prepared<T> all(p, name, threads, blocks);
  const Sizes& sizes = all.sizes;
  std::vector<Size> start;
  Size room = 0;
  for (const Block& block : all.plan.blocks()) {
    start.push_back(room);
    room += round_up(all.unit.backward_scratch(p, all.shape, block, all.most_members), kLineNumbers);
  }
  const Size part_size = round_up(sizes.w + sizes.r + sizes.bias + sizes.extra, kLineNumbers);
  const Buffer<T> scratch(room), sums(part_size * blocks);
  std::vector<T*> w, r, bias, extra;
  for (int k = 0; k < blocks; ++k) {
    w.push_back(sums.get() + k * part_size);
    r.push_back(w.back() + sizes.w);
    bias.push_back(r.back() + sizes.r);
    extra.push_back(bias.back() + sizes.bias);
  }
  run_team(threads, [&](int member, int team) { all.unit.pack_backward(p, all.shape, all.packed, member, team); });
  run_team(threads, [&](int member, int team) {
    share_out(all.plan.blocks(), all.most_members, member, team, [&](int k, int part, int parts) {
      const Block& block = all.plan.blocks()[k];
      all.unit.backward({&p, &all.shape, &all.packed, &block, part, parts, &all.barriers[k],
                         scratch.get() + start[k], {w[k], r[k], bias[k], extra[k]}});
    });
  });
  const CellShape& s = all.shape;
  const auto block_of = [&](std::vector<T*> parts, Size offset) {
    for (T*& part : parts) part += offset * sizes.padded;
    return parts;
  };
  run_team(threads, [&](int member, int team) {
    sum_rows(w, sizes.padded, sizes.features, s.gates, s.w_order, p.hidden, p.features, p.dw, member, team);
    sum_rows(r, sizes.padded, sizes.padded, s.gates, s.r_order, p.hidden, p.hidden, p.dr, member, team);
    if (member != 0) return;
    sum_rows(block_of(bias, s.w_first), sizes.padded, 1, s.gates, s.w_order, p.hidden, 1, p.db, 0, 1);
    sum_rows(block_of(bias, s.r_first), sizes.padded, 1, s.gates, s.r_order, p.hidden, 1, p.dc, 0, 1);
    static const int in_order[] = {0, 1, 2, 3};
    for (Size i = 0, row = 0; i < 5; row += s.extra_rows[i], ++i)
      sum_rows(block_of(extra, row), sizes.padded, 1, s.extra_rows[i], in_order, p.hidden, 1, p.dextra[i], 0, 1);
  });
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
template void forward(const Problem<float>&, const std::string&, int, int);
template void forward(const Problem<double>&, const std::string&, int, int);
template void backward(const Problem<float>&, const std::string&, int, int);
template void backward(const Problem<double>&, const std::string&, int, int);

}  // namespace lamina
