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
#include "tensor/quant_reader.h"

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
  if (to.format == QuantFormatId::int8) {
    int8_t* values = to.parts[0].mutable_data<int8_t>().data() + start * columns;
    float* scales = to.parts[1].mutable_data<float>().data() + start;
    over_rows(rows, columns, [&](int64_t first, int64_t last) {
      for (int64_t i = first; i < last; ++i) scales[i] = quant::round_row8(x + i * columns, columns, values + i * columns);
    });
    refuse_odd(scales, rows, 1, start);
    return;
  }
  const int64_t groups = columns / quant::kGroup, bytes = columns / 2;
  uint8_t* values = to.parts[0].mutable_data<uint8_t>().data() + start * bytes;
  f16* scales = to.parts[1].mutable_data<f16>().data() + start * groups;
  over_rows(rows, columns, [&](int64_t first, int64_t last) {
    for (int64_t i = first; i < last; ++i) quant::round_row4(x + i * columns, columns, values + i * bytes, scales + i * groups);
  });
  refuse_odd(scales, rows, groups, start);
}

/// How many inputs share a scale, where the format leaves it open and the scales say it.
int64_t group_of(const QuantizedWeight& weight) {
  const QuantFormat& f = quant_format(weight.format);
  if (f.scale.group != 0 || weight.parts.size() < 2 || !weight.parts[1].defined() || weight.parts[1].rank() != 2) return 0;
  const int64_t groups = weight.parts[1].dim(f.order == QuantOrder::rows ? 1 : 0);
  return groups > 0 && weight.columns % groups == 0 ? weight.columns / groups : 0;
}

/// The parts on the host and contiguous; throws where they are not those of the format.
std::vector<Tensor> checked_parts(const QuantizedWeight& weight, int64_t group) {
  const QuantFormat& f = quant_format(weight.format);
  const QuantParts expected = parts_of(f, weight.rows, weight.columns, group);
  std::vector<Tensor> parts;
  for (const QuantPart& part : expected) {
    const size_t k = parts.size();
    const bool there = k < weight.parts.size() && weight.parts[k].defined();
    if (!there && !part.optional) throw ShapeError(fmt::format("[dequantized] {} needs a tensor of {}", f.name, part.name));
    parts.push_back(there ? weight.parts[k].to(Device{}).contiguous() : Tensor());
    if (!there) continue;
    if (parts[k].shape() != part.shape) {
      throw ShapeError(fmt::format("[dequantized] {}: {} of shape {} are expected, got {}", f.name, part.name, to_string(part.shape),
                                   to_string(parts[k].shape())));
    }
    if (!part.takes(parts[k].dtype())) {
      throw DTypeError(fmt::format("[dequantized] {}: {} cannot have the dtype {}", f.name, part.name, name_of(parts[k].dtype())));
    }
  }
  if (f.permuted && parts[3].defined()) {
    const int64_t groups = parts[1].dim(0);
    for (const int32_t g : parts[3].data<int32_t>()) {
      if (g < 0 || g >= groups) throw ValueError(fmt::format("[dequantized] {}: group {} is out of range for {}", f.name, g, groups));
    }
  }
  return parts;
}

}  // namespace

Quantization parse_quantization(std::string_view name) {
  for (size_t k = 0; k < kNames.size(); ++k) {
    if (kNames[k] == name) return static_cast<Quantization>(k);
  }
  throw ValueError(fmt::format("[quantize] one of {} is expected, got '{}'", fmt::join(kNames, ", "), name));
}

std::string_view name_of(Quantization quantization) { return kNames[static_cast<size_t>(quantization)]; }

QuantizedWeight quant::unfilled_weight(int64_t rows, int64_t columns, QuantFormatId format) {
  QuantizedWeight weight{format, rows, columns, {}};
  for (const QuantPart& part : parts_of(quant_format(format), rows, columns)) {
    // Rounding to 8 bits leaves the scales in f32, to fewer in f16.
    const bool wide = part.takes(DType::f32) && format == QuantFormatId::int8;
    const DType real = wide ? DType::f32 : DType::f16;
    weight.parts.push_back(Tensor::empty(part.takes(real) ? real : part.takes(DType::i8) ? DType::i8 : DType::u8, part.shape));
  }
  return weight;
}

QuantizedWeight quantize(const Tensor& weight, QuantFormatId format) {
  return quant::round_weight(weight, format, [](const Tensor&) {});
}

QuantizedWeight quant::round_weight(const Tensor& weight, QuantFormatId format, const std::function<void(const Tensor& rows)>& done) {
  if (format != QuantFormatId::int8 && format != QuantFormatId::int4) {
    throw ValueError(fmt::format("[quantize] weights are rounded to int8 or int4, not to {}", name_of(format)));
  }
  const int block = quant_format(format).block;
  if (weight.rank() != 2 || weight.dim(1) % block != 0) {
    throw ShapeError(fmt::format("[quantize] a weight (rows, columns){} is expected, got {}",
                                 block > 1 ? fmt::format(" with columns in groups of {}", block) : "", to_string(weight.shape())));
  }
  if (!is_float(weight.dtype())) throw DTypeError(fmt::format("[quantize] a float weight is expected, got {}", name_of(weight.dtype())));
  const int64_t rows = weight.dim(0), columns = weight.dim(1),
                at_once = std::max<int64_t>(kNumbersAtOnce / std::max<int64_t>(columns, 1), 1);
  QuantizedWeight to = quant::unfilled_weight(rows, columns, format);
  for (int64_t first = 0; first < rows; first += at_once) {
    const size_t offset = weight.offset_bytes() + static_cast<size_t>(first * weight.strides()[0]) * size_of(weight.dtype());
    const Tensor part(weight.dtype(), {std::min(at_once, rows - first), columns}, weight.strides(), weight.buffer(), offset);
    round_into(to, part.to(DType::f32).contiguous(), first);
    done(part);
  }
  return to;
}

Tensor dequantized(const QuantizedWeight& weight) {
  const int64_t group = group_of(weight);
  const std::vector<Tensor> parts = checked_parts(weight, group);
  std::vector<QuantData> data;
  data.reserve(parts.size());
  for (const Tensor& part : parts) data.push_back(part.defined() ? QuantData{part.raw(), part.dtype()} : QuantData{});
  const QuantReader reader(quant_format(weight.format), weight.rows, weight.columns, group, data);
  Tensor out = Tensor::empty(DType::f32, {weight.rows, weight.columns});
  float* to = out.mutable_data<float>().data();
  for (int64_t i = 0; i < weight.rows; ++i) {
    for (int64_t j = 0; j < weight.columns; ++j) *to++ = reader.at(i, j);
  }
  return out;
}

}  // namespace lazuli
