// One step of a network, as a template over the width of a vector; each instruction set includes it once.
#pragma once
#include <initializer_list>

#include "../../ops/csrc/layer_norm.h"
#include "network.h"

namespace lamina {
namespace {

namespace st = lamina::streaming;

template <int Bytes, int TileRows>
struct Steps {
  using L = Lanes<float, Bytes>;
  using V = typename L::Vector;
  typedef std::uint32_t Bits __attribute__((vector_size(Bytes)));
  typedef std::int32_t Whole __attribute__((vector_size(Bytes)));
  static constexpr Size lanes = L::count;

  static Bits load_bits(const void* from) {
    Bits bits;
    __builtin_memcpy(&bits, from, sizeof bits);
    return bits;
  }

  // How weights are read: `per` of depth from one vector, number `i` of them as float32.
  struct Float32 {
    static constexpr int per = 1;
    template <int>
    static V get(Bits bits) {
      return reinterpret_cast<V>(bits);
    }
  };
  // Widened by a shift and a mask. The processor's products of pairs (AVX512_BF16), with each number of a row as
  // the sum of two bfloat16 so that it stays as exact, were tried: 6.2 us a step at (64, 128, 2) both ways (Zen 4),
  // for reading the weights is the limit.
  struct Bfloat16 {
    static constexpr int per = 2;
    template <int I>
    static V get(Bits bits) {
      return reinterpret_cast<V>(I == 0 ? bits << 16 : bits & 0xffff0000u);
    }
  };
  struct Int8 {  // the byte stays in the highest place: 2^24 times its value, which the scale takes back
    static constexpr int per = 4;
    template <int I>
    static V get(Bits bits) {
      const Bits high = I == 3 ? bits & 0xff000000u : I == 0 ? bits << 24 : (bits << (24 - 8 * I)) & 0xff000000u;
      return __builtin_convertvector(reinterpret_cast<Whole>(high), V);
    }
  };

  template <class S, int I, int G, int P, int R, int B, int First>
  static inline __attribute__((always_inline)) void multiply_add(const char* panel, Size panel_bytes, const float* const* x,
                                                                 Size k, V (&sums)[R][P][B]) {
    V value[R];
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) value[r] = L::fill(x[r][k + I]);
#pragma GCC unroll 8
    for (int p = 0; p < P; ++p) {
#pragma GCC unroll 8
      for (int g = 0; g < G; ++g) {
        const V weight = S::template get<I>(load_bits(panel + p * panel_bytes + g * Bytes));
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) sums[r][p][First + g] += weight * value[r];
      }
    }
  }

  // The next S::per of depth.
  template <class S, int G, int P, int R, int B, int First>
  static inline __attribute__((always_inline)) void multiply_group(const char* panel, Size panel_bytes, const float* const* x,
                                                                   Size k, V (&sums)[R][P][B]) {
    multiply_add<S, 0, G, P, R, B, First>(panel, panel_bytes, x, k, sums);
    if constexpr (S::per > 1) multiply_add<S, 1, G, P, R, B, First>(panel, panel_bytes, x, k, sums);
    if constexpr (S::per > 2) {
      multiply_add<S, 2, G, P, R, B, First>(panel, panel_bytes, x, k, sums);
      multiply_add<S, 3, G, P, R, B, First>(panel, panel_bytes, x, k, sums);
    }
  }

  // Depth goes to each of the Chains sums in turn, so that no addition waits for the one before it.
  template <class S, int G, int P, int R, int B, int First, int Chains>
  static inline __attribute__((always_inline)) void product(const st::Panels& panels, Size panel, const float* const* x,
                                                            V (&sums)[Chains][R][P][B]) {
    constexpr Size bytes = G * Bytes;  // of a group
    const char* at = static_cast<const char*>(panels.data) + panel * panels.panel_bytes;
    Size k = 0;
    for (; k + (Chains - 1) * S::per < panels.depth; k += Chains * S::per, at += Chains * bytes)
#pragma GCC unroll 8
      for (int chain = 0; chain < Chains; ++chain)
        multiply_group<S, G, P, R, B, First>(at + chain * bytes, panels.panel_bytes, x, k + chain * S::per, sums[chain]);
    if constexpr (Chains > 1)
      for (; k < panels.depth; k += S::per, at += bytes) multiply_group<S, G, P, R, B, First>(at, panels.panel_bytes, x, k, sums[0]);
  }

  // P panels for R rows, from first to last sum. Never inlined, so that the sums stay in registers.
  template <class S, int G, int First, int B, bool Recurrent, int P, int R, int Chains = 1>
  static __attribute__((noinline)) void tile(const st::Products& m, Size panel, const float* const* x, const float* const* h,
                                             float* const* out) {
    V sums[Chains][R][P][B];
    const float* const bias = m.bias + panel * lanes;
#pragma GCC unroll 8
    for (int chain = 0; chain < Chains; ++chain)
#pragma GCC unroll 8
      for (int p = 0; p < P; ++p)
#pragma GCC unroll 8
        for (int b = 0; b < B; ++b)
#pragma GCC unroll 8
          for (int r = 0; r < R; ++r)
            sums[chain][r][p][b] = S::per == 4 || chain > 0 ? V{} : L::load(bias + b * m.padded + p * lanes);
    product<S, G, P, R, B, 0, Chains>(m.input, panel, x, sums);
    if constexpr (Recurrent) {
      if constexpr (S::per == 4)
        for (int chain = 0; chain < Chains; ++chain)
          for (int p = 0; p < P; ++p)
            for (int b = 0; b < B; ++b)
              for (int r = 0; r < R; ++r) sums[chain][r][p][b] *= L::load(m.ratio + b * m.padded + (panel + p) * lanes);
      product<S, G, P, R, B, First, Chains>(m.recurrent, panel, h, sums);
    }
#pragma GCC unroll 8
    for (int p = 0; p < P; ++p)
#pragma GCC unroll 8
      for (int b = 0; b < B; ++b)
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) {
          const Size at = b * m.padded + (panel + p) * lanes;
          V sum = sums[0][r][p][b];
#pragma GCC unroll 8
          for (int chain = 1; chain < Chains; ++chain) sum += sums[chain][r][p][b];
          if constexpr (S::per == 4) sum = sum * L::load(m.scale + at) + L::load(m.bias + at);
          L::store(out[r] + at, sum);
        }
  }

  template <class S, int G, int First, int B, bool Recurrent>
  static void multiply(const st::Products& m, Size rows, const float* const* x, const float* const* h, float* const* out) {
    constexpr int wide = B == 1 ? 8 : 2;      // panels at a time, for enough sums in flight on one row
    constexpr int wide_tile = B == 1 ? 4 : 1;  // the same for a tile of rows
    const Size panels = m.padded / lanes;
    Size row = 0;
    if (rows >= TileRows) {
      const Size whole = rows - rows % TileRows;
      Size p = 0;
      for (; p + wide_tile <= panels; p += wide_tile)
        for (row = 0; row < whole; row += TileRows)
          tile<S, G, First, B, Recurrent, wide_tile, TileRows>(m, p, x + row, Recurrent ? h + row : nullptr, out + row);
      for (; p < panels; ++p)
        for (row = 0; row < whole; row += TileRows)
          tile<S, G, First, B, Recurrent, 1, TileRows>(m, p, x + row, Recurrent ? h + row : nullptr, out + row);
      row = whole;
    }
    for (; row < rows; ++row) {
      const float* const* const own = Recurrent ? h + row : nullptr;
      Size p = 0;
      for (; p + wide <= panels; p += wide) tile<S, G, First, B, Recurrent, wide, 1>(m, p, x + row, own, out + row);
      if constexpr (B == 1) {
        for (; p + 2 <= panels; p += 2) tile<S, G, First, B, Recurrent, 2, 1, wide / 2>(m, p, x + row, own, out + row);
        if (p < panels) tile<S, G, First, B, Recurrent, 1, 1, wide>(m, p, x + row, own, out + row);
      } else {
        for (; p < panels; ++p) tile<S, G, First, B, Recurrent, 1, 1>(m, p, x + row, own, out + row);
      }
    }
  }

  template <class S>
  static void multiply_as(const st::Products& m, Size rows, const float* const* x, const float* const* h, float* const* out) {
    const Size gates = m.input.gates;
    if (m.recurrent.data != nullptr) {
      if (gates == 4) return multiply<S, 4, 0, 4, true>(m, rows, x, h, out);
      if (gates == 3) return multiply<S, 3, 1, 4, true>(m, rows, x, h, out);
      return multiply<S, 1, 0, 1, true>(m, rows, x, h, out);
    }
    if (gates == 4) return multiply<S, 4, 0, 4, false>(m, rows, x, h, out);
    if (gates == 3) return multiply<S, 3, 0, 3, false>(m, rows, x, h, out);
    return multiply<S, 1, 0, 1, false>(m, rows, x, h, out);
  }

  static void multiply_any(const st::Products& m, Size rows, const float* const* x, const float* const* h, float* const* out) {
    if (m.input.storage == st::Storage::float32) return multiply_as<Float32>(m, rows, x, h, out);
    if (m.input.storage == st::Storage::bfloat16) return multiply_as<Bfloat16>(m, rows, x, h, out);
    return multiply_as<Int8>(m, rows, x, h, out);
  }

  // Rows are read up to a multiple of four, whatever stood behind them.
  static void clear_padding(float* row, Size size) {
    for (Size i = size; i % 4 != 0; ++i) row[i] = 0.0f;
  }

  static void normalise(const st::Norm& norm, const float* from, float* to) {
    const Size n = norm.size;
    V total{};
    for (Size i = 0; i < n; i += lanes) total += L::load_some(from + i, n - i);
    const float mean = L::sum(total) / static_cast<float>(n);
    V squares{};
    for (Size i = 0; i < n; i += lanes) {
      V away = L::load_some(from + i, n - i) - mean;
      if (n - i < lanes)
        for (Size j = n - i; j < lanes; ++j) away[j] = 0.0f;
      squares += away * away;
    }
    const float scale = 1.0f / __builtin_sqrtf(L::sum(squares) / static_cast<float>(n) + 1e-5f);
    for (Size i = 0; i < n; i += lanes) {
      const V value = (L::load_some(from + i, n - i) - mean) * scale;
      L::store_some(to + i, value * L::load_some(norm.gain + i, n - i) + L::load_some(norm.shift + i, n - i), n - i);
    }
    clear_padding(to, n);
  }

  static void cell(const st::Layer& layer, float* blocks, float* state, float* y, float* temporary) {
    ForwardStep<float> s{};
    s.hidden = layer.hidden;
    s.padded = layer.products.padded;
    s.first = 0;
    s.last = s.padded;
    s.blocks = blocks;
    s.h_old = s.h_new = state + layer.h;
    s.c_old = s.c_new = layer.c < 0 ? nullptr : state + layer.c;
    s.keep_h = s.keep_c = layer.keep;
    s.y = y;
    s.extra = layer.extra;
    s.valid = layer.valid;
    s.temporary = temporary;
    using G = Gates<float, Bytes>;
    using N = NormalisedGates<float, Bytes>;
    switch (layer.cell) {
      case Cell::tanh: G::template simple<false>(s); break;
      case Cell::relu: G::template simple<true>(s); break;
      case Cell::lstm: G::lstm(s); break;
      case Cell::gru: G::gru(s); break;
      case Cell::layer_norm_lstm: N::lstm(s); break;
      case Cell::layer_norm_gru: N::gru(s); break;
    }
    clear_padding(y, layer.hidden);
  }

  // Pointers to the rows of an array.
  struct Rows {
    float* at[st::kRows];
    Rows(float* base, Size stride, Size rows) : at{} {
      for (Size r = 0; r < rows; ++r) at[r] = base + r * stride;
    }
  };

  static void advance(const st::Network& net, const st::Frame& frame, Size rows, char* const* states) {
    float* numbers[st::kRows];
    for (Size r = 0; r < rows; ++r) numbers[r] = reinterpret_cast<float*>(states[r]);
    Rows below(frame.below, net.widest, rows), normed(frame.normed, net.widest, rows);
    Rows y(frame.y, net.widest, rows), other(frame.other, net.widest, rows), blocks(frame.blocks, net.most_blocks, rows);
    if (net.embeds) {
      multiply_any(net.embed, rows, below.at, nullptr, other.at);
      move(rows, other.at, below.at, net.embed.input.units);
    }
    for (Size number = 0; number < net.count; ++number) {
      const st::Layer& layer = net.layers[number];
      const bool norms = layer.norm.gain != nullptr;
      if (norms)
        for (Size r = 0; r < rows; ++r) normalise(layer.norm, below.at[r], normed.at[r]);
      const float* h[st::kRows];
      for (Size r = 0; r < rows; ++r) h[r] = numbers[r] + layer.h;
      multiply_any(layer.products, rows, norms ? normed.at : below.at, h, blocks.at);
      if (layer.recurrent.input.data != nullptr) {
        float* behind[st::kRows];
        for (Size r = 0; r < rows; ++r) behind[r] = blocks.at[r] + layer.products.blocks * layer.products.padded;
        multiply_any(layer.recurrent, rows, h, nullptr, behind);
      }
      for (Size r = 0; r < rows; ++r) cell(layer, blocks.at[r], numbers[r], y.at[r], frame.temporary);
      join(net, layer, rows, below.at, y.at, other.at);
    }
    if (net.final_norm.gain != nullptr)
      for (Size r = 0; r < rows; ++r) normalise(net.final_norm, below.at[r], below.at[r]);
    for (Size r = 0; r < rows; ++r) remember(net, below.at[r], states[r]);
    if (net.attends) attend(net, rows, below.at, other.at, states);
  }

  static void move(Size rows, float* const* from, float* const* to, Size size) {
    for (Size r = 0; r < rows; ++r) {
      __builtin_memcpy(to[r], from[r], static_cast<std::size_t>(size) * sizeof(float));
      clear_padding(to[r], size);
    }
  }

  static void join(const st::Network&, const st::Layer& layer, Size rows, float* const* below, float* const* y,
                   float* const* other) {
    if (layer.joint == st::Joint::replace) return move(rows, y, below, layer.hidden);
    for (Size r = 0; r < rows; ++r) {
      if (layer.joint == st::Joint::concatenate) {
        __builtin_memcpy(below[r] + layer.inputs, y[r], static_cast<std::size_t>(layer.hidden) * sizeof(float));
        clear_padding(below[r], layer.outputs);
      }
    }
    if (layer.joint == st::Joint::concatenate) return;
    const bool projects = layer.project.input.data != nullptr;
    if (projects) multiply_any(layer.project, rows, below, nullptr, other);
    for (Size r = 0; r < rows; ++r) {
      const float* const read = projects ? other[r] : below[r];
      for (Size i = 0; i < layer.hidden; ++i) below[r][i] = read[i] + (layer.gate == nullptr ? y[r][i] : layer.gate[i] * y[r][i]);
      clear_padding(below[r], layer.hidden);
    }
  }

  // What a pool needs of the outputs so far. Sums are float64: they may run over millions of steps.
  static void remember(const st::Network& net, const float* y, char* state) {
    if (net.steps < 0) return;
    std::int64_t* const steps = reinterpret_cast<std::int64_t*>(state + net.steps);
    if (net.pool == st::Pool::mean) {
      double* const sum = reinterpret_cast<double*>(state + net.pooled);
      for (Size i = 0; i < net.body; ++i) sum[i] += y[i];
    } else {
      float* const kept = reinterpret_cast<float*>(state + net.pooled);
      const bool largest = net.pool == st::Pool::max && *steps > 0;
      for (Size i = 0; i < net.body; ++i) kept[i] = largest && kept[i] > y[i] ? kept[i] : y[i];
    }
    ++*steps;
  }

  // A softmax over all steps so far, kept as its largest score, and its sums relative to that.
  static void attend(const st::Network& net, Size rows, float* const* y, float* const* other, char* const* states) {
    multiply_any(net.key, rows, y, nullptr, other);
    for (Size r = 0; r < rows; ++r) {
      for (Size i = 0; i < net.key.padded; i += lanes)
        L::store(other[r] + i, hyperbolic_tangent<Bytes>(L::load(other[r] + i)));
      float score[st::kPad];
      float* out = score;
      const float* in = other[r];
      multiply_any(net.query, 1, &in, nullptr, &out);
      double* const kept = reinterpret_cast<double*>(states[r] + net.attention);  // largest, sum, weighted sums
      const bool first = kept[1] == 0.0;
      const double largest = first || score[0] > kept[0] ? static_cast<double>(score[0]) : kept[0];
      const double fade = first ? 0.0 : __builtin_exp(kept[0] - largest), weight = __builtin_exp(score[0] - largest);
      kept[0] = largest;
      kept[1] = kept[1] * fade + weight;
      for (Size i = 0; i < net.body; ++i) kept[2 + i] = kept[2 + i] * fade + weight * y[r][i];
    }
  }

  static void answer(const st::Network& net, const st::Frame& frame, Size rows, char* const* states, float* out, Size stride) {
    Rows below(frame.below, net.widest, rows), other(frame.other, net.widest, rows);
    for (Size r = 0; r < rows; ++r) {
      if (net.steps >= 0) recall(net, states[r], below.at[r]);
    }
    if (net.answers) multiply_any(net.head, rows, below.at, nullptr, other.at);
    for (Size r = 0; r < rows; ++r)
      __builtin_memcpy(out + r * stride, net.answers ? other.at[r] : below.at[r],
                       static_cast<std::size_t>(net.outputs) * sizeof(float));
  }

  static void recall(const st::Network& net, const char* state, float* to) {
    const std::int64_t steps = *reinterpret_cast<const std::int64_t*>(state + net.steps);
    if (net.pool == st::Pool::mean) {
      const double* const sum = reinterpret_cast<const double*>(state + net.pooled);
      for (Size i = 0; i < net.body; ++i) to[i] = static_cast<float>(sum[i] / static_cast<double>(steps));
    } else {
      __builtin_memcpy(to, state + net.pooled, static_cast<std::size_t>(net.body) * sizeof(float));
    }
    Size size = net.body;
    if (net.attends) {
      const double* const kept = reinterpret_cast<const double*>(state + net.attention);
      for (Size i = 0; i < net.body; ++i) to[size + i] = static_cast<float>(kept[2 + i] / kept[1]);
      size += net.body;
    }
    clear_padding(to, size);
  }

  static void linear(const st::Products& m, const float* x, float* out) {
    multiply_any(m, 1, &x, nullptr, &out);
  }

  // erf as x P(x^2) / Q(x^2), P and Q of degree 5, fitted by us with reweighted least squares on |x| <= 4,
  // beyond which float32 rounds erf to 1. The fit's error is 2.1e-8; with float32 arithmetic it is 3.5e-7.
  static V error_function(V x) {
    const V limit = L::fill(4.0f);
    x = x > limit ? limit : x;
    x = x < -limit ? -limit : x;
    const V z = x * x;
    const V p = ((((1.9748272e-06f * z + 2.8804175e-04f) * z + 4.0036603e-03f) * z + 5.3467523e-02f) * z + 1.9624932e-01f) * z + 1.128379f;
    const V q = ((((3.7480851e-05f * z + 1.2163634e-03f) * z + 1.5444451e-02f) * z + 1.1647657e-01f) * z + 5.0725257e-01f) * z + 1.0f;
    return x * p / q;
  }

  // to = gelu(to + from), torch's without approximation; up to a whole vector.
  static void add_gelu(const float* from, float* to, Size size) {
    for (Size i = 0; i < size; i += lanes) {
      const V x = L::load(to + i) + L::load(from + i);
      L::store(to + i, 0.5f * x * (1.0f + error_function(x * 0.70710678f)));
    }
  }

  static float read(const st::Network& net) {
    V sums[8] = {};
    for (Size number = 0; number < net.count; ++number) {
      const st::Layer& layer = net.layers[number];
      for (const st::Panels* m : {&layer.products.input, &layer.products.recurrent, &layer.recurrent.input}) {
        const char* const data = static_cast<const char*>(m->data);
        const Size bytes = data == nullptr ? 0 : (m->units + lanes - 1) / lanes * m->panel_bytes;
        for (Size at = 0; at + 8 * Bytes <= bytes; at += 8 * Bytes)
#pragma GCC unroll 8
          for (int i = 0; i < 8; ++i) sums[i] += reinterpret_cast<V>(load_bits(data + at + i * Bytes));
      }
    }
    return L::sum(((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7])));
  }

  static constexpr st::StepUnit unit(const char* name) { return {name, lanes, &advance, &answer, &linear, &add_gelu, &read}; }
};

}  // namespace
}  // namespace lamina
