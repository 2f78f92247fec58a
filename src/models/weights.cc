// Implements WeightReader.
#include "models/weights.h"

#include <fmt/format.h>

#include <algorithm>

#include "lazuli/error.h"
#include "lazuli/lazy_tensor.h"
#include "lazuli/memory.h"
#include "tensor/device_memory.h"
#include "tensor/load.h"

namespace lazuli {

WeightReader::WeightReader(const std::string& folder, DType dtype) : checkpoint_(Checkpoint::open(folder)), folder_(folder), dtype_(dtype) {
  if (!is_float(dtype)) throw ValueError(fmt::format("[load_model] a float dtype is expected, got {}", name_of(dtype)));
  require_room();
}

// Tensors that have the dtype stay in their mapped files, unless a device copies them all.
void WeightReader::require_room() const {
  MemoryNeed need;
  for (const std::string& name : checkpoint_.names()) {
    const TensorInfo& info = checkpoint_.info(name);
    const bool converted = info.dtype && is_float(*info.dtype) && (*info.dtype != dtype_ || !on_host(default_device()));
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

Tensor WeightReader::take(const std::string& name, const Shape& shape, std::string_view meaning) {
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
  return load_tensor(checkpoint_.tensor(name), dtype_, default_device());
}

void WeightReader::finish(std::initializer_list<std::string_view> ignored) const {
  for (const std::string& name : checkpoint_.names()) {
    const bool known =
        taken_.contains(name) || std::any_of(ignored.begin(), ignored.end(), [&](std::string_view end) { return name.ends_with(end); });
    if (!known) throw FormatError(fmt::format("{}: tensor '{}' is not one that config.json calls for", file_of(name), name));
  }
}

}  // namespace lazuli
