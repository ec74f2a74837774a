// What a product of matrices multiplies at one depth: a number, or a pair of bfloat16 numbers.
#pragma once
#include "vector.h"

namespace lamina {
namespace {

// One number; bfloat16 is widened when it is packed.
template <class T, int Bytes>
struct Single {
  using Sum = T;
  using Number = T;                 // what a row of the left matrix holds
  using Unit = T;                   // what is taken of it at one depth
  static constexpr Size group = 1;  // numbers in a unit
  static constexpr int bytes = Bytes;
  using L = Lanes<T, Bytes>;
  using V = typename L::Vector;
  using Panel = V;

  static Panel load(const Unit* from) { return L::load(from); }
  static V multiply_add(V sum, Unit value, Panel panel) { return sum + value * panel; }
  // The unit that starts at `from`, of which `have` numbers exist, `stride` apart.
  template <class S>
  static Unit unit(const S* from, Size stride, Size have) {
    (void)stride, (void)have;
    return widened(*from);
  }
  // Units side by side, each of one lane of `group` rows.
  static void store_units(Unit* to, const V* rows) { L::store(to, rows[0]); }
  // Units side by side from the first and the last of `group` rows, as they are.
  template <int Count>
  static void join_units(const Number* first, const Number*, Unit* to) {
    __builtin_memcpy(to, first, Count * sizeof(Unit));
  }
};

// Two bfloat16 numbers, whose products are added to one float sum. `Multiply` is the processor's
// instruction for it, or Emulated.
template <int Bytes, class Multiply>
struct Paired {
  using Sum = float;
  using Number = Bf16;
  typedef std::uint32_t Unit __attribute__((may_alias));  // the first number in the lower half
  static constexpr Size group = 2;
  static constexpr int bytes = Bytes;
  using L = Lanes<float, Bytes>;
  using V = typename L::Vector;
  using Bits = FloatBits<Bytes>;
  using Panel = typename Bits::Wide;

  static Panel load(const Unit* from) {
    Panel panel;
    __builtin_memcpy(&panel, from, sizeof panel);
    return panel;
  }
  static V multiply_add(V sum, Unit value, Panel panel) { return Multiply::template add<Bytes>(sum, value, panel); }

  static Unit unit(const Bf16* from, Size stride, Size have) {
    return from[0].bits | (have > 1 ? static_cast<Unit>(from[stride].bits) << 16 : 0);
  }
  static void store_units(Unit* to, const V* rows) {
    const Panel units = (Bits::rounded(rows[0]) >> 16) | (Bits::rounded(rows[1]) & 0xffff0000u);
    __builtin_memcpy(to, &units, sizeof units);
  }
  // Four at a time.
  template <int Count>
  static void join_units(const Bf16* first, const Bf16* second, Unit* to) {
    static_assert(Count % 4 == 0);
    typedef std::uint16_t Halves __attribute__((vector_size(8)));
    typedef std::uint32_t Four __attribute__((vector_size(16)));
#pragma GCC unroll 16
    for (int i = 0; i < Count; i += 4) {
      Halves low, high;
      __builtin_memcpy(&low, first + i, sizeof low);
      __builtin_memcpy(&high, second + i, sizeof high);
      const Four units = __builtin_convertvector(low, Four) | (__builtin_convertvector(high, Four) << 16);
      __builtin_memcpy(to + i, &units, sizeof units);
    }
  }
};

// The product of pairs from shifts and float arithmetic: it tests the layout where there is no instruction.
struct Emulated {
  template <int Bytes>
  static typename FloatBits<Bytes>::Vector add(typename FloatBits<Bytes>::Vector sum, std::uint32_t value,
                                               typename FloatBits<Bytes>::Wide panel) {
    using V = typename FloatBits<Bytes>::Vector;
    const Bf16 first{static_cast<std::uint16_t>(value)}, second{static_cast<std::uint16_t>(value >> 16)};
    sum += widened(first) * reinterpret_cast<V>(panel << 16);
    return sum + widened(second) * reinterpret_cast<V>(panel & 0xffff0000u);
  }
};

}  // namespace
}  // namespace lamina
