// Implements the rounding of weights.
#include "lazuli/quantize.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <system_error>
#include <thread>
#include <vector>

#include "exec/team.h"
#include "lazuli/error.h"
#include "quant/round_weight.h"
#include "quant/unfilled.h"

namespace lazuli {

namespace {

constexpr std::array<std::string_view, 3> kNames = {"none", "int8", "int4"};

// A thread is not worth starting for less.
constexpr int64_t kNumbersOfAThread = 1 << 18;
// As f32 at a time, so that a large weight is not in memory twice.
constexpr int64_t kNumbersAtOnce = 4 << 20;

/// Calls body(first, last) for parts of the rows on several threads.
template <class Body>
void over_rows(int64_t rows, int64_t columns, const Body& body) {
  const int64_t most = std::max<int64_t>(rows * columns / kNumbersOfAThread, 1), parts = std::min<int64_t>(thread_count(), most);
  std::vector<std::thread> others;
  int64_t k = 1;
  try {
    for (; k < parts; ++k) others.emplace_back([&, k] { body(rows * k / parts, rows * (k + 1) / parts); });
  } catch (const std::system_error&) {
    body(rows * k / parts, rows);  // the system has no more threads
  }
  body(0, rows / parts);
  for (std::thread& t : others) t.join();
}

template <class Scale>
void refuse_odd(const Scale* scales, int64_t rows, int64_t in_row, int64_t start) {
  for (int64_t i = 0; i < rows * in_row; ++i) {
    if (std::isfinite(static_cast<float>(scales[i]))) continue;
    throw ValueError(fmt::format("[quantize] row {} has a number that is not finite{}", start + i / in_row,
                                 sizeof(Scale) == 2 ? ", or too large for a scale of f16" : ""));
  }
}

/// Rounds `from` (f32, contiguous) into the rows of `to` from `start` on.
void round_into(QuantizedWeight& to, const Tensor& from, int64_t start) {
  const int64_t rows = from.dim(0), columns = from.dim(1);
  const float* x = from.data<float>().data();
  if (to.bits == 8) {
    int8_t* values = to.values.mutable_data<int8_t>().data() + start * columns;
    float* scales = to.scales.mutable_data<float>().data() + start;
    over_rows(rows, columns, [&](int64_t first, int64_t last) {
      for (int64_t i = first; i < last; ++i) scales[i] = quant::round_row8(x + i * columns, columns, values + i * columns);
    });
    refuse_odd(scales, rows, 1, start);
    return;
  }
  const int64_t groups = columns / quant::kGroup, bytes = columns / 2;
  uint8_t* values = to.values.mutable_data<uint8_t>().data() + start * bytes;
  f16* scales = to.scales.mutable_data<f16>().data() + start * groups;
  over_rows(rows, columns, [&](int64_t first, int64_t last) {
    for (int64_t i = first; i < last; ++i) quant::round_row4(x + i * columns, columns, values + i * bytes, scales + i * groups);
  });
  refuse_odd(scales, rows, groups, start);
}

}  // namespace

Quantization parse_quantization(std::string_view name) {
  for (size_t k = 0; k < kNames.size(); ++k) {
    if (kNames[k] == name) return static_cast<Quantization>(k);
  }
  throw ValueError(fmt::format("[quantize] one of {} is expected, got '{}'", fmt::join(kNames, ", "), name));
}

std::string_view name_of(Quantization quantization) { return kNames[static_cast<size_t>(quantization)]; }

QuantizedWeight quant::unfilled_weight(int64_t rows, int64_t columns, int bits) {
  if (bits == 8) return {Tensor::empty(DType::i8, {rows, columns}), Tensor::empty(DType::f32, {rows, 1}), 8};
  return {Tensor::empty(DType::u8, {rows, columns / 2}), Tensor::empty(DType::f16, {rows, columns / kGroup}), 4};
}

QuantizedWeight quantize(const Tensor& weight, int bits) {
  return quant::round_weight(weight, bits, [](const Tensor&) {});
}

QuantizedWeight quant::round_weight(const Tensor& weight, int bits, const std::function<void(const Tensor& rows)>& done) {
  if (bits != 8 && bits != 4) throw ValueError(fmt::format("[quantize] 8 or 4 bits are expected, got {}", bits));
  if (weight.rank() != 2 || (bits == 4 && weight.dim(1) % quant::kGroup != 0)) {
    throw ShapeError(fmt::format("[quantize] a weight (rows, columns){} is expected, got {}",
                                 bits == 4 ? " with columns in groups of 32" : "", to_string(weight.shape())));
  }
  if (!is_float(weight.dtype())) throw DTypeError(fmt::format("[quantize] a float weight is expected, got {}", name_of(weight.dtype())));
  const int64_t rows = weight.dim(0), columns = weight.dim(1),
                at_once = std::max<int64_t>(kNumbersAtOnce / std::max<int64_t>(columns, 1), 1);
  QuantizedWeight to = quant::unfilled_weight(rows, columns, bits);
  for (int64_t first = 0; first < rows; first += at_once) {
    const size_t offset = weight.offset_bytes() + static_cast<size_t>(first * weight.strides()[0]) * size_of(weight.dtype());
    const Tensor part(weight.dtype(), {std::min(at_once, rows - first), columns}, weight.strides(), weight.buffer(), offset);
    round_into(to, part.to(DType::f32).contiguous(), first);
    done(part);
  }
  return to;
}

Tensor dequantized(const QuantizedWeight& weight) {
  const int64_t rows = weight.rows(), columns = weight.columns();
  Tensor out = Tensor::empty(DType::f32, {rows, columns});
  float* to = out.mutable_data<float>().data();
  const std::vector<float> scales = weight.scales.to_vector<float>();
  const int64_t group = columns / std::max<int64_t>(weight.scales.dim(1), 1);
  for (int64_t k = 0; k < rows * columns; ++k) {
    const float scale = scales[static_cast<size_t>(k / group)];
    if (weight.bits == 8) {
      to[k] = static_cast<float>(weight.values.data<int8_t>()[static_cast<size_t>(k)]) * scale;
    } else {
      const int both = weight.values.data<uint8_t>()[static_cast<size_t>(k / 2)];
      to[k] = static_cast<float>((k % 2 == 0 ? both & 15 : both >> 4) - 8) * scale;
    }
  }
  return out;
}

}  // namespace lazuli
