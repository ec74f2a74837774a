// Runs one call on a unit, for tests/ops/test_neon.py: `calls UNIT < call > results`.
//
// In: cell, batch, time, features, hidden, outputs, reverse, projected as 64-bit integers; the lengths; then
// float32 numbers: x, h0, c0, w, r, b, c, the projection, the extra parameters, dy, dhn, dcn. Out, float32: y, hn,
// cn, then the gradients of everything from x to the extra parameters. A cell without a memory has no c0.
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "scan.h"

using lamina::Size;
using Numbers = std::vector<float>;

template <class T>
std::vector<T> take(Size n) {
  std::vector<T> found(n);
  if (std::fread(found.data(), sizeof(T), n, stdin) != static_cast<std::size_t>(n)) std::exit(2);
  return found;
}

int main(int, char** arguments) {
  const auto head = take<Size>(8);
  lamina::Problem<float> p;
  p.cell = static_cast<lamina::Cell>(head[0]);
  p.batch = head[1], p.time = head[2], p.features = head[3], p.hidden = head[4], p.outputs = head[5];
  p.reverse = head[6] != 0;
  p.training = true;
  const bool lstm = p.cell == lamina::Cell::lstm || p.cell == lamina::Cell::layer_norm_lstm;
  const bool normalised = p.cell >= lamina::Cell::layer_norm_lstm;
  const Size gates = lstm ? 4 : p.cell >= lamina::Cell::gru ? 3 : 1, rows = gates * p.hidden;
  const auto lengths = take<Size>(p.batch);
  Size steps = 0;
  for (Size length : lengths) steps += length;

  const Size state = p.batch * p.outputs, memory = lstm ? p.batch * p.hidden : 0;
  std::vector<Size> sizes{p.batch * p.time * p.features, state, memory, rows * p.features, rows * p.outputs, rows, rows,
                          head[7] != 0 ? p.outputs * p.hidden : 0};
  for (Size i = 0; i < (normalised ? (lstm ? 5 : 3) : 0); ++i) sizes.push_back(i < 3 ? rows : p.hidden);
  std::vector<Numbers> in, out;
  for (Size size : sizes) in.push_back(take<float>(size)), out.emplace_back(size);
  const auto dy = take<float>(p.batch * p.time * p.outputs), dhn = take<float>(state), dcn = take<float>(memory);
  Numbers y(dy.size()), hn(state), cn(memory);

  const auto given = [](Numbers& numbers) { return numbers.empty() ? nullptr : numbers.data(); };
  p.lengths = lengths.data();
  p.x = in[0].data(), p.h0 = in[1].data(), p.c0 = given(in[2]), p.w = in[3].data(), p.r = in[4].data();
  p.b = in[5].data(), p.c = in[6].data(), p.projection = given(in[7]);
  p.dx = out[0].data(), p.dh0 = out[1].data(), p.dc0 = given(out[2]), p.dw = out[3].data(), p.dr = out[4].data();
  p.db = out[5].data(), p.dc = out[6].data(), p.dprojection = given(out[7]);
  for (std::size_t i = 8; i < in.size(); ++i) p.extra[i - 8] = in[i].data(), p.dextra[i - 8] = out[i].data();
  p.y = y.data(), p.hn = hn.data(), p.cn = given(cn);
  p.dy = dy.data(), p.dhn = dhn.data(), p.dcn = lstm ? dcn.data() : nullptr;
  const std::string unit = arguments[1];
  Numbers saved(steps * lamina::saved_width(p, unit));
  p.saved = saved.data();

  lamina::forward(p, unit, 1, 1);
  lamina::backward(p, unit, 1, 1);
  for (const Numbers* numbers : {&y, &hn, &cn}) std::fwrite(numbers->data(), sizeof(float), numbers->size(), stdout);
  for (const Numbers& numbers : out) std::fwrite(numbers.data(), sizeof(float), numbers.size(), stdout);
}
