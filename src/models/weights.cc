// Implements WeightReader.
#include "models/weights.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/pages.h"
#include "lazuli/error.h"
#include "lazuli/lazy_tensor.h"
#include "lazuli/memory.h"
#include "quant/round_rows.h"
#include "quant/unfilled.h"
#include "tensor/device_memory.h"
#include "tensor/load.h"

namespace lazuli {

namespace {
thread_local bool without_values = false;
}

WithoutValues::WithoutValues() : before_(std::exchange(without_values, true)) {}
WithoutValues::~WithoutValues() { without_values = before_; }

WeightReader::WeightReader(const std::string& folder, DType dtype, Quantization quantization)
    : checkpoint_(Checkpoint::open(folder)), folder_(folder), dtype_(dtype), quantization_(quantization) {
  if (!is_float(dtype)) throw ValueError(fmt::format("[load_model] a float dtype is expected, got {}", name_of(dtype)));
  require_room();
}

namespace {

/// Of a tensor that is rounded if it is a matrix.
size_t rounded_bytes(const TensorInfo& info, const std::string& name, Quantization quantization) {
  const auto numbers = static_cast<size_t>(info.shape.numel());
  const bool halves = quantization == Quantization::int4 && name.find("embed") == std::string::npos;
  return halves ? numbers / 2 + numbers / 16 : numbers;
}

}  // namespace

// Tensors that have the dtype stay in their mapped files, unless a device copies them all.
void WeightReader::require_room() const {
  MemoryNeed need;
  for (const std::string& name : checkpoint_.names()) {
    const TensorInfo& info = checkpoint_.info(name);
    const bool converted = info.dtype && is_float(*info.dtype) && (*info.dtype != dtype_ || !on_host(default_device()));
    if (quantization_ != Quantization::none && info.shape.rank() == 2) {
      need.weights += allocated_bytes(rounded_bytes(info, name, quantization_));
      continue;
    }
    // A head beside tied embeddings is not loaded.
    if (converted && !name.ends_with("lm_head.weight"))
      need.weights += allocated_bytes(static_cast<size_t>(info.shape.numel()) * size_of(dtype_));
  }
  require_memory(fmt::format("{}: to load the weights in {}", folder_, name_of(dtype_)), need, default_device());
}

const std::string& WeightReader::file_of(std::string_view name) const {
  for (const SafetensorsFile& file : checkpoint_.files()) {
    if (file.contains(name)) return file.path();
  }
  return folder_;
}

Tensor WeightReader::stored(const std::string& name, const Shape& shape, std::string_view meaning) {
  if (!checkpoint_.contains(name)) {
    const std::string& where = checkpoint_.files().size() == 1 ? checkpoint_.files()[0].path() : folder_;
    throw FormatError(fmt::format("{}: tensor '{}' of shape {} ({}) is missing", where, name, to_string(shape), meaning));
  }
  const TensorInfo& info = checkpoint_.info(name);
  if (info.shape != shape) {
    throw FormatError(fmt::format("{}: tensor '{}': shape {} ({}) expected from config.json, got {}", file_of(name), name, to_string(shape),
                                  meaning, to_string(info.shape)));
  }
  if (!info.dtype || !is_float(*info.dtype)) {
    throw FormatError(fmt::format("{}: tensor '{}': a float dtype expected, got {}", file_of(name), name, info.dtype_name));
  }
  taken_.insert(name);
  count_ += shape.numel();
  return checkpoint_.tensor(name);
}

Tensor WeightReader::take(const std::string& name, const Shape& shape, std::string_view meaning) {
  return load_tensor(stored(name, shape, meaning), dtype_, default_device());
}

Tensor WeightReader::matrix(const std::string& name, const Shape& shape, std::string_view meaning) {
  const Tensor in_file = stored(name, shape, meaning);
  const Tensor w = load_tensor(in_file, dtype_, default_device());
  return keep_packed(w, w.raw() == in_file.raw());
}

QuantizedWeight WeightReader::rounded(const std::string& name, const Shape& shape, std::string_view meaning, int bits) {
  const Tensor weight = stored(name, shape, meaning);
  const int possible = shape[1] % quant::kGroup == 0 ? bits : 8;
  if (without_values) return quant::unfilled_weight(shape[0], shape[1], possible);
  // Pages of the checkpoint's file leave memory as they are read for the last time; those that two parts share leave at the end.
  QuantizedWeight w = quant::round_weight(weight, possible, [](const Tensor& rows) { drop_pages(rows.raw(), rows.nbytes()); });
  drop_pages(weight.raw(), weight.nbytes());
  w.values = w.values.to(default_device());
  w.scales = w.scales.to(default_device());
  return w;
}

Linear WeightReader::linear(const std::string& weight, const std::string& bias, int64_t out, int64_t in, std::string_view meaning,
                            bool sensitive) {
  if (quantization_ == Quantization::none) {
    Tensor w = matrix(weight, {out, in}, meaning);
    return Linear(std::move(w), bias.empty() ? Tensor() : take(bias, {out}, meaning));
  }
  QuantizedWeight w = rounded(weight, {out, in}, meaning, quantization_ == Quantization::int4 && !sensitive ? 4 : 8);
  return Linear(std::move(w), bias.empty() ? Tensor() : take(bias, {out}, meaning));
}

Embedding WeightReader::embedding(const std::string& name, const Shape& shape, std::string_view meaning, Linear* output) {
  if (quantization_ == Quantization::none) {
    if (output == nullptr) return Embedding(take(name, shape, meaning));
    Tensor table = matrix(name, shape, meaning);
    *output = Linear(table);
    return Embedding(std::move(table));
  }
  QuantizedWeight table = rounded(name, shape, meaning, 8);
  if (output != nullptr) *output = Linear(table);
  return Embedding(std::move(table), dtype_);
}

Linear WeightReader::output(const std::string& name, const Shape& shape, std::string_view meaning) {
  if (quantization_ == Quantization::none) return Linear(matrix(name, shape, meaning));
  return Linear(rounded(name, shape, meaning, 8));
}

void WeightReader::finish(std::initializer_list<std::string_view> ignored) const {
  for (const std::string& name : checkpoint_.names()) {
    const bool known =
        taken_.contains(name) || std::any_of(ignored.begin(), ignored.end(), [&](std::string_view end) { return name.ends_with(end); });
    if (!known) throw FormatError(fmt::format("{}: tensor '{}' is not one that config.json calls for", file_of(name), name));
  }
}

}  // namespace lazuli
