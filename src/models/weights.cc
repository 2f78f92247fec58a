// Implements WeightReader.
#include "models/weights.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <utility>

#include "base/pages.h"
#include "lazuli/error.h"
#include "lazuli/lazy_tensor.h"
#include "lazuli/memory.h"
#include "lazuli/notice.h"
#include "lazuli/weights.h"
#include "quant/round_weight.h"
#include "quant/unfilled.h"
#include "tensor/device_memory.h"
#include "tensor/load.h"
#include "tensor/same_bytes.h"

namespace lazuli {

namespace {
thread_local bool without_values = false;
}

WithoutValues::WithoutValues() : before_(std::exchange(without_values, true)) {}
WithoutValues::~WithoutValues() { without_values = before_; }

WeightReader::WeightReader(std::shared_ptr<const WeightSource> source, DType dtype, Quantization quantization)
    : source_(std::move(source)), dtype_(dtype), policy_(quantization) {
  if (!is_float(dtype)) throw ValueError(fmt::format("[load_model] a float dtype is expected, got {}", name_of(dtype)));
  require_room();
}

namespace {

/// What is known of a weight before its model takes it.
WeightRole role_by_name(const std::string& name) {
  return name.find("embed") == std::string::npos ? WeightRole::layer : WeightRole::embedding;
}

size_t bytes_in(QuantFormatId format, const Shape& shape) {
  size_t bytes = 0;
  for (const QuantPart& part : parts_of(quant_format(format), shape[0], shape[1])) {
    bytes += static_cast<size_t>(part.shape.numel()) * (part.takes(DType::f16) ? 2 : 1);
  }
  return bytes;
}

}  // namespace

// Tensors that have the dtype stay in their mapped files, unless a device copies them all.
void WeightReader::require_room() const {
  MemoryNeed need;
  for (const std::string& name : source_->names()) {
    const TensorInfo& info = source_->info(name);
    const bool copied = !on_host(default_device());
    if (info.format != QuantFormatId::none) {
      if (copied) need.weights += allocated_bytes(info.nbytes);
      continue;
    }
    const bool expert = name.find(".experts.") != std::string::npos;
    const QuantFormatId format =
        info.shape.rank() == 2 && !expert ? policy_.format_of(role_by_name(name), info.shape[1]) : QuantFormatId::none;
    if (info.dtype == DType::u8 && expert) {
      need.weights += allocated_bytes(2 * info.nbytes * size_of(dtype_));  // two numbers of 4 bits, which become floats
    } else if (format != QuantFormatId::none) {
      need.weights += allocated_bytes(bytes_in(format, info.shape));
    } else if (info.dtype && is_float(*info.dtype) && (copied || *info.dtype != dtype_ || (expert && info.shape.rank() == 2))) {
      need.weights += allocated_bytes(static_cast<size_t>(info.shape.numel()) * size_of(dtype_));
    }
  }
  require_memory(fmt::format("{}: to load the weights in {}", place(), name_of(dtype_)), need, default_device());
}

bool WeightReader::contains(std::string_view name) const {
  const auto renamed = renamed_.find(name);
  return source_->contains(renamed == renamed_.end() ? name : renamed->second.name);
}

const StoredPart& WeightReader::origin(const std::string& name) const {
  static const StoredPart none;
  const auto renamed = renamed_.find(name);
  return renamed == renamed_.end() ? none : renamed->second;
}

const TensorInfo& WeightReader::checked(const std::string& asked, const Shape& asked_shape, std::string_view meaning) {
  const StoredPart& part = origin(asked);
  const std::string& name = part.name.empty() ? asked : part.name;
  Shape shape = asked_shape;
  if (part.rows > 0) shape[0] = part.rows;
  if (!source_->contains(name)) {
    throw FormatError(fmt::format("{}: tensor '{}' of shape {} ({}) is missing", place(), stored_name(name), to_string(shape), meaning));
  }
  const TensorInfo& info = source_->info(name);
  if (info.shape != shape) {
    throw FormatError(fmt::format("{}: tensor '{}': shape {} ({}) expected from config.json, got {}", source_->file_of(name),
                                  stored_name(name), to_string(shape), meaning, to_string(info.shape)));
  }
  taken_.insert(name);
  count_ += asked_shape.numel();
  return info;
}

Tensor WeightReader::stored(const std::string& asked, const Shape& shape, std::string_view meaning) {
  const TensorInfo& info = checked(asked, shape, meaning);
  const StoredPart& part = origin(asked);
  const std::string& name = part.name.empty() ? asked : part.name;
  if (!info.dtype || !is_float(*info.dtype)) {
    throw FormatError(
        fmt::format("{}: tensor '{}': a float dtype expected, got {}", source_->file_of(name), stored_name(name), info.dtype_name));
  }
  const Tensor whole = source_->tensor(name);
  if (part.rows == 0) return whole;
  const size_t before = whole.nbytes() / static_cast<size_t>(part.rows) * static_cast<size_t>(part.row);
  return {whole.dtype(), shape, whole.buffer(), whole.offset_bytes() + before};
}

std::string WeightReader::module_path(const std::string& path) const {
  constexpr std::string_view own = "model.";
  return module_head_.empty() || !path.starts_with(own) ? path : module_head_ + path.substr(own.size());
}

Tensor WeightReader::take(const std::string& name, const Shape& shape, std::string_view meaning) {
  return load_tensor(stored(name, shape, meaning), dtype_, default_device());
}

Tensor WeightReader::matrix(const std::string& name, const Shape& shape, std::string_view meaning) {
  const Tensor in_file = stored(name, shape, meaning);
  const Tensor w = load_tensor(in_file, dtype_, default_device());
  return keep_packed(w, w.raw() == in_file.raw());
}

bool WeightReader::is_quantized(const std::string& name, WeightRole role) const {
  if (policy_.wanted(role) != QuantFormatId::none) return true;
  return source_->contains(name) && source_->info(name).format != QuantFormatId::none;
}

QuantizedWeight WeightReader::quantized(const std::string& name, const Shape& shape, std::string_view meaning, WeightRole role) {
  QuantizedWeight w;
  if (source_->contains(name) && source_->info(name).format != QuantFormatId::none) {
    checked(name, shape, meaning);
    w = source_->quantized(name);
    if (!quant_format(w.format).has_kernels()) {
      throw FormatError(
          fmt::format("{}: tensor '{}': there are no kernels for the format {}", source_->file_of(name), name, name_of(w.format)));
    }
  } else {
    const Tensor weight = stored(name, shape, meaning);
    const QuantFormatId format = policy_.format_of(role, shape[1]);
    if (format != policy_.wanted(role)) eight_bits_.push_back(name);
    if (without_values) return quant::unfilled_weight(shape[0], shape[1], format);
    // Pages of the file leave memory as they are read for the last time; those that two parts share leave at the end.
    try {
      w = quant::round_weight(weight, format, [](const Tensor& rows) { drop_pages(rows.raw(), rows.nbytes()); });
    } catch (const ValueError& e) {
      throw FormatError(fmt::format("{}: tensor '{}': {}", source_->file_of(name), name, e.what()));
    }
    drop_pages(weight.raw(), weight.nbytes());
  }
  for (Tensor& part : w.parts) part = part.to(default_device());
  return w;
}

Linear WeightReader::linear(const std::string& weight, const std::string& bias, int64_t out, int64_t in, std::string_view meaning,
                            WeightRole role) {
  if (!is_quantized(weight, role)) {
    Tensor w = matrix(weight, {out, in}, meaning);
    return Linear(std::move(w), bias.empty() ? Tensor() : take(bias, {out}, meaning));
  }
  QuantizedWeight w = quantized(weight, {out, in}, meaning, role);
  return Linear(std::move(w), bias.empty() ? Tensor() : take(bias, {out}, meaning));
}

Embedding WeightReader::embedding(const std::string& name, const Shape& shape, std::string_view meaning, Linear* output) {
  if (!is_quantized(name, WeightRole::embedding)) {
    if (output == nullptr) return Embedding(take(name, shape, meaning));
    Tensor table = matrix(name, shape, meaning);
    *output = Linear(table);
    return Embedding(std::move(table));
  }
  QuantizedWeight table = quantized(name, shape, meaning, WeightRole::embedding);
  if (output != nullptr) *output = Linear(table);
  return Embedding(std::move(table), dtype_);
}

Linear WeightReader::output(const std::string& name, const Shape& shape, std::string_view meaning) {
  if (!is_quantized(name, WeightRole::output)) return Linear(matrix(name, shape, meaning));
  return Linear(quantized(name, shape, meaning, WeightRole::output));
}

void WeightReader::keep_floats(const std::string& name) {
  if (policy_.asked() != Quantization::none) floats_.push_back(name);
}

Tensor WeightReader::in_file(const std::string& name, const Shape& shape, std::string_view meaning, bool bytes) {
  if (!bytes) return stored(name, shape, meaning);
  const TensorInfo& info = checked(name, shape, meaning);
  if (info.dtype == DType::u8) return source_->tensor(name);
  throw FormatError(fmt::format("{}: tensor '{}': U8 expected, got {}", source_->file_of(name), name, info.dtype_name));
}

Tensor WeightReader::in_f32(const std::string& name, const Shape& shape, std::string_view meaning) {
  return load_tensor(stored(name, shape, meaning), DType::f32, default_device());
}

Tensor WeightReader::experts(const std::string& stacked, const Shape& shape, std::string_view meaning) {
  keep_floats(stacked);
  return take(stacked, shape, meaning);
}

Tensor WeightReader::experts(const std::vector<std::string>& names, const Shape& each, std::string_view meaning) {
  // Every name is looked up before memory is taken for all of them.
  for (const std::string& name : names) checked(name, each, meaning);
  count_ -= each.numel() * static_cast<int64_t>(names.size());
  std::vector<int64_t> sizes{static_cast<int64_t>(names.size())};
  sizes.insert(sizes.end(), each.begin(), each.end());
  Tensor all = Tensor::empty(dtype_, Shape(sizes));
  const size_t bytes = static_cast<size_t>(each.numel()) * size_of(dtype_);
  auto* to = static_cast<std::byte*>(all.raw());
  for (const std::string& name : names) {
    const Tensor one = stored(name, each, meaning).contiguous();
    convert_elements(dtype_, to, one.dtype(), one.raw(), one.numel());
    drop_pages(one.raw(), one.nbytes());
    to += bytes;
    keep_floats(name);
  }
  return all.to(default_device());
}

bool WeightReader::same(const std::string& one, const std::string& other) const {
  if (!source_->contains(one) || !source_->contains(other)) return false;
  const TensorInfo &a = source_->info(one), &b = source_->info(other);
  if (a.dtype_name != b.dtype_name || a.shape != b.shape || !a.dtype) return false;
  const Tensor x = source_->tensor(one), y = source_->tensor(other);
  return same_bytes(x, y);
}

namespace {

bool begins_with_any(std::string_view name, const std::vector<std::string>& starts) {
  return std::any_of(starts.begin(), starts.end(), [&](const std::string& start) { return name.starts_with(start); });
}

bool ends_with_any(std::string_view name, const std::vector<std::string>& ends) {
  return std::any_of(ends.begin(), ends.end(), [&](const std::string& end) { return name.ends_with(end); });
}

/// Whether a name is that of a layer after the model's last one.
bool is_later_layer(std::string_view name, const SpareTensors& spare) {
  if (spare.layers.empty() || !name.starts_with(spare.layers)) return false;
  const std::string_view rest = name.substr(spare.layers.size());
  int64_t number = 0;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), number);
  return error == std::errc() && end != rest.data() + rest.size() && *end == '.' && number >= spare.layer_count;
}

std::string counted(const std::vector<std::string>& names) {
  return fmt::format("{} tensor{}", names.size(), names.size() == 1 ? "" : "s");
}

std::string some_of(const std::vector<std::string>& names) {
  constexpr size_t kShown = 3;
  const std::vector<std::string> shown(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(std::min(names.size(), kShown)));
  const std::string more = names.size() > kShown ? fmt::format("' and {} more", names.size() - kShown) : "'";
  return fmt::format("'{}{}", fmt::join(shown, "', '"), more);
}

}  // namespace

std::vector<std::string> WeightReader::names_outside(const std::vector<std::string>& parts, size_t most) const {
  std::vector<std::string> found;
  for (const std::string& name : source_->names()) {
    if (found.size() < most && !begins_with_any(name, parts)) found.push_back(name);
  }
  return found;
}

void WeightReader::finish(const SpareTensors& spare) const {
  std::vector<std::string> outside, later;
  for (const std::string& name : source_->names()) {
    if (taken_.contains(name) || ends_with_any(name, spare.silent)) continue;
    if (is_later_layer(name, spare)) {
      later.push_back(name);
    } else if (begins_with_any(name, spare.parts)) {
      throw FormatError(fmt::format("{}: tensor '{}' is not one that config.json calls for", source_->file_of(name), stored_name(name)));
    } else {
      outside.push_back(name);
    }
  }
  if (!later.empty()) {
    notice(fmt::format("{}: left out: {} of layers beyond num_hidden_layers = {} ({})", place(), counted(later), spare.layer_count,
                       some_of(later)));
  }
  if (!eight_bits_.empty()) {
    notice(fmt::format("{}: {} kept 8 bits, because the rows are no multiple of {} numbers ({})", place(), counted(eight_bits_),
                       quant_format(policy_.wanted(WeightRole::layer)).block, some_of(eight_bits_)));
  }
  if (!floats_.empty()) {
    notice(fmt::format("{}: {} of experts kept as floats, which are multiplied as they are ({})", place(), counted(floats_),
                       some_of(floats_)));
  }
  if (!outside.empty()) {
    notice(fmt::format("{}: left out: {} that no part of the model needs ({})", place(), counted(outside), some_of(outside)));
  }
}

DType stored_dtype(const WeightSource& source) {
  std::map<DType, size_t> bytes;
  for (const std::string& name : source.names()) {
    const TensorInfo& info = source.info(name);
    if (info.dtype && is_float(*info.dtype) && *info.dtype != DType::f64) bytes[*info.dtype] += info.nbytes;
  }
  const auto most = std::max_element(bytes.begin(), bytes.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  return most == bytes.end() ? DType::f32 : most->first;
}

}  // namespace lazuli
