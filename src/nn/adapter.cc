// Implements adapters and their files.
#include "lazuli/adapter.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <utility>

#include "base/file.h"
#include "io/model_files.h"
#include "io/torch_checkpoint.h"
#include "lazuli/error.h"
#include "lazuli/notice.h"
#include "lazuli/safetensors.h"
#include "nn/adapter_config.h"
#include "nn/adapter_names.h"
#include "nn/adapter_targets.h"

namespace lazuli {

namespace {

constexpr std::string_view kPrefix = "base_model.model.";

std::string file_name(const std::string& folder, const char* name) { return (std::filesystem::path(folder) / name).string(); }
std::string key_of(const std::string& path, const char* factor) { return fmt::format("{}{}.lora_{}.weight", kPrefix, path, factor); }

/// What the file has instead of a tensor that is missing.
std::string names_instead(const WeightSource& file, const std::string& key) {
  const std::string prefix = std::string(kPrefix);
  const std::string inside = key.substr(prefix.size());
  const std::string last = inside.substr(0, inside.find(".lora_"));
  for (const std::string& name : file.names()) {
    if (name != key && name.find(last) != std::string::npos) return fmt::format("; the file has '{}'", name);
  }
  return "";
}

Tensor read_factor(const WeightSource& file, const std::string& key, const Shape& shape, std::set<std::string>& used) {
  if (!file.contains(key)) {
    throw FormatError(
        fmt::format("{}: tensor '{}' of shape {} is missing{}", file.place(), key, to_string(shape), names_instead(file, key)));
  }
  const TensorInfo& info = file.info(key);
  if (info.shape != shape) {
    throw FormatError(
        fmt::format("{}: tensor '{}': shape {} expected, got {}", file.place(), key, to_string(shape), to_string(info.shape)));
  }
  if (!info.dtype || !is_float(*info.dtype)) {
    throw FormatError(fmt::format("{}: tensor '{}': a float dtype expected, got {}", file.place(), key, info.dtype_name));
  }
  used.insert(key);
  return file.tensor(key).to(DType::f32);
}

Adapter::Pair read_pair(const WeightSource& file, const LoRAConfig& config, const LinearInfo& layer, size_t index,
                        std::set<std::string>& used) {
  const int64_t rank = by_pattern(config.rank_pattern, layer.path, config.rank);
  Adapter::Pair pair{index, layer.path, read_factor(file, key_of(layer.path, "A"), {rank, layer.in}, used),
                     read_factor(file, key_of(layer.path, "B"), {layer.out, rank}, used), 0};
  pair.alpha = by_pattern(config.alpha_pattern, layer.path, config.alpha);
  return pair;
}

bool is_of_module(std::string_view name, std::string_view module) {
  return name.size() > module.size() && name.starts_with(module) && name[module.size()] == '.';
}

/// PEFT names the heads of all its models, of which one has its own only; a module without a tensor in the file is such a name.
std::vector<WholeTensor> read_whole(const WeightSource& file, const std::string& config_path, const LoRAConfig& config,
                                    std::span<const WholeTensor> whole, std::set<std::string>& used) {
  std::vector<WholeTensor> out;
  for (const std::string& module : config.modules_to_save) {
    bool known = false;
    for (const WholeTensor& own : whole) {
      if (!is_of_module(own.name, module)) continue;
      known = true;
      out.push_back({own.name, read_factor(file, std::string(kPrefix) + own.name, own.value.shape(), used)});
    }
    const std::vector<std::string> names = file.names();
    const bool stored = std::any_of(names.begin(), names.end(), [&](const std::string& name) {
      return name.starts_with(kPrefix) && is_of_module(std::string_view(name).substr(kPrefix.size()), module);
    });
    if (!known && stored) {
      throw FormatError(fmt::format("{}: $.modules_to_save: 'classifier' expected, the only module that can be replaced here, got '{}'",
                                    config_path, module));
    }
  }
  return out;
}

/// Of both files that PEFT may have written, the safetensors one comes first, as there.
std::shared_ptr<const WeightSource> open_factors(const std::string& folder) {
  constexpr const char* kName = "adapter_model.safetensors";
  const std::string pickled = file_name(folder, "adapter_model.bin");
  std::error_code ignored;
  if (!std::filesystem::exists(file_name(folder, kName), ignored) && std::filesystem::exists(pickled, ignored)) {
    return std::make_shared<const TorchCheckpoint>(TorchCheckpoint::open(pickled));
  }
  return std::make_shared<const Checkpoint>(Checkpoint::open(require_model_file(folder, kName)));
}

/// The names of layers in a file.
std::vector<std::string> paths_in(const WeightSource& file) {
  std::vector<std::string> paths;
  for (const std::string& name : file.names()) {
    if (name.starts_with(kPrefix)) paths.push_back(name.substr(kPrefix.size()));
  }
  return paths;
}

/// Tensors for parts that read images or sound have no effect on text; returns how many there are.
size_t refuse_spare(const WeightSource& file, const std::set<std::string>& used) {
  size_t outside = 0;
  std::string first;
  for (const std::string& name : file.names()) {
    if (used.contains(name)) continue;
    if (is_outside_text(name)) {
      if (outside++ == 0) first = name;
      continue;
    }
    const bool table = name.find("embed") != std::string::npos || name.find("lm_head") != std::string::npos;
    throw FormatError(fmt::format("{}: tensor '{}' belongs to no layer that target_modules names{}", file.place(), name,
                                  table ? "; adapters of embeddings and output layers are not supported" : ""));
  }
  if (outside > 0) {
    notice(fmt::format("{}: left out: {} tensors for parts that read images or sound, which have no effect on text ('{}' and so on)",
                       file.place(), outside, first));
  }
  return outside;
}

ChosenLayers chosen_in_file(const std::string& config_path, const LoRAConfig& config, std::span<const LinearInfo> layers) {
  ChosenLayers chosen;
  try {
    chosen = choose_layers(config, layers);
  } catch (const ValueError& e) {
    throw FormatError(fmt::format("{}: $.target_modules: {}", config_path, e.what()));
  }
  if (chosen.layers.empty()) {
    const std::string names =
        config.target_pattern.empty() ? fmt::format("{}", fmt::join(config.target_modules, ", ")) : config.target_pattern;
    throw FormatError(fmt::format("{}: $.target_modules: '{}' with the other settings chooses no layer of the model; its layers are {}",
                                  config_path, names, known_names(layers)));
  }
  for (const std::string& name : chosen.absent) {
    notice(fmt::format("{}: $.target_modules: '{}' names no layer of the model that takes an adapter", config_path, name));
  }
  return chosen;
}

}  // namespace

template <class First, class Second>
Adapter Adapter::with_factors(std::span<const LinearInfo> layers, LoRAConfig config, const First& a, const Second& b) {
  config.check();
  Adapter adapter;
  adapter.config_ = std::move(config);
  adapter.layer_count_ = layers.size();
  const std::vector<size_t> chosen = select_targets(adapter.config_, layers);
  adapter.saved_targets_ = targets_to_save(layers, chosen);
  for (size_t k : chosen) {
    const LinearInfo& layer = layers[k];
    const int64_t rank = by_pattern(adapter.config_.rank_pattern, layer.path, adapter.config_.rank);
    adapter.pairs_.push_back({k, layer.path, a(k, rank, layer.in), b(layer.out, rank),
                              by_pattern(adapter.config_.alpha_pattern, layer.path, adapter.config_.alpha)});
  }
  return adapter;
}

Adapter Adapter::create(std::span<const LinearInfo> layers, LoRAConfig config, uint64_t seed) {
  return with_factors(
      layers, std::move(config), [seed](size_t k, int64_t rank, int64_t in) { return new_lora_a(rank, in, seed, k); },
      [](int64_t out, int64_t rank) {
        return Tensor::zeros(DType::f32, {out, rank});
      });
}

Adapter Adapter::of_zeros(std::span<const LinearInfo> layers, LoRAConfig config) {
  const Tensor zero = Tensor::zeros(DType::f32, {1});
  const auto repeated = [&zero](int64_t rows, int64_t columns) { return Tensor(DType::f32, {rows, columns}, {0, 0}, zero.buffer(), 0); };
  return with_factors(
      layers, std::move(config), [&](size_t /*k*/, int64_t rank, int64_t in) { return repeated(rank, in); }, repeated);
}

Adapter Adapter::load(const std::string& folder, std::span<const LinearInfo> layers, std::span<const WholeTensor> whole) {
  Adapter adapter;
  const std::string config_path = require_model_file(folder, "adapter_config.json");
  adapter.config_ = read_adapter_config(config_path, !whole.empty());
  adapter.layer_count_ = layers.size();
  const auto opened = open_factors(folder);
  const WeightSource& file = *opened;
  const NamesInFile names = names_in_file(layers, paths_in(file), file.place());
  const ChosenLayers chosen = chosen_in_file(config_path, adapter.config_, names.layers);
  std::set<std::string> used;
  std::vector<size_t> saved;
  for (size_t k : chosen.layers) {
    const LinearInfo& layer = names.layers[k];
    // Adapters that were made without such a layer choose it by accident.
    if (!layer.used && !file.contains(key_of(layer.path, "A"))) continue;
    saved.push_back(k);
    (layer.used ? adapter.pairs_ : adapter.unused_pairs_).push_back(read_pair(file, adapter.config_, layer, k, used));
  }
  const size_t factors = used.size();
  adapter.whole_ = read_whole(file, config_path, adapter.config_, whole, used);
  adapter.left_out_ = refuse_spare(file, used);
  if (names.head != names.own_head) {
    // Each layer has two factors, and none of the file's is left.
    notice(fmt::format("{}: {} of {} layers bound by the ends of their names: they begin with '{}' there and with '{}' in the model",
                       file.place(), saved.size(), factors / 2, names.head, names.own_head));
    for (auto* list : {&adapter.pairs_, &adapter.unused_pairs_}) {
      for (Pair& pair : *list) pair.path = layers[pair.layer].path;
    }
  }
  adapter.saved_targets_ = targets_to_save(layers, saved);
  for (const Pair& pair : adapter.unused_pairs_) {
    notice(fmt::format("{}: the adapter's part for '{}' is without effect: results are made without that layer", file.place(), pair.path));
  }
  return adapter;
}

int64_t Adapter::stored_labels(const std::string& folder) {
  const auto file = open_factors(folder);
  for (const char* last : {"classifier.weight", "classifier.out_proj.weight"}) {
    const std::string name = std::string(kPrefix) + last;
    if (file->contains(name) && file->info(name).shape.rank() == 2) return file->info(name).shape[0];
  }
  return 0;
}

void Adapter::save(const std::string& folder) const {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) throw IoError(fmt::format("cannot create folder {}: {}", folder, error.message()));
  std::map<std::string, Tensor> tensors;
  std::vector<Pair> all = pairs_;
  all.insert(all.end(), unused_pairs_.begin(), unused_pairs_.end());
  for (const Pair& pair : all) {
    tensors[key_of(pair.path, "A")] = pair.a;
    tensors[key_of(pair.path, "B")] = pair.b;
  }
  for (const WholeTensor& own : whole_) tensors[std::string(kPrefix) + own.name] = own.value;
  save_safetensors(file_name(folder, "adapter_model.safetensors"), tensors, {{"format", "pt"}});
  write_file(file_name(folder, "adapter_config.json"), write_adapter_config(config_, saved_targets_, all));
}

std::vector<Tensor> Adapter::parameters() const {
  std::vector<Tensor> out;
  out.reserve(parameter_tensors());
  for (const Pair& pair : pairs_) {
    out.push_back(pair.a);
    out.push_back(pair.b);
  }
  for (const WholeTensor& own : whole_) out.push_back(own.value);
  return out;
}

std::string Adapter::parameter_name(size_t index) const {
  if (index >= 2 * pairs_.size()) return whole_.at(index - 2 * pairs_.size()).name;
  return fmt::format("{}.lora_{}", pairs_[index / 2].path, index % 2 == 0 ? "A" : "B");
}

void Adapter::train_whole(std::span<const WholeTensor> tensors, std::vector<std::string> modules) {
  for (const WholeTensor& own : tensors) {
    if (std::none_of(modules.begin(), modules.end(), [&](const std::string& module) { return is_of_module(own.name, module); })) {
      throw ValueError(fmt::format("[lora] '{}' is a tensor of none of the modules {}", own.name, fmt::join(modules, ", ")));
    }
    whole_.push_back({own.name, own.value.to(Device{}).to(DType::f32)});
  }
  config_.modules_to_save = std::move(modules);
}

void Adapter::set_parameters(std::span<const Tensor> parameters) {
  if (parameters.size() != parameter_tensors()) {
    throw ShapeError(fmt::format("[lora] {} parameters are expected, got {}", parameter_tensors(), parameters.size()));
  }
  for (size_t k = 0; k < parameters.size(); ++k) {
    Tensor& own = k >= 2 * pairs_.size() ? whole_[k - 2 * pairs_.size()].value : k % 2 == 0 ? pairs_[k / 2].a : pairs_[k / 2].b;
    if (parameters[k].shape() != own.shape()) {
      const bool factor = k < 2 * pairs_.size();
      throw ShapeError(fmt::format("[lora] parameter {}'{}': shape {} is expected, got {}",
                                   !factor      ? ""
                                   : k % 2 == 0 ? "a of "
                                                : "b of ",
                                   factor ? pairs_[k / 2].path : parameter_name(k), to_string(own.shape()),
                                   to_string(parameters[k].shape())));
    }
    own = parameters[k];
  }
}

int64_t Adapter::parameter_count() const {
  int64_t n = 0;
  for (const Pair& pair : pairs_) n += pair.a.numel() + pair.b.numel();
  for (const WholeTensor& own : whole_) n += own.value.numel();
  return n;
}

AdapterContext::AdapterContext(const Adapter& adapter, std::span<const LazyTensor> parameters, const LazyTensor& dropout_seed)
    : slot_(adapter.layer_count(), -1) {
  const auto& pairs = adapter.pairs();
  if (parameters.size() != adapter.parameter_tensors()) {
    throw ShapeError(fmt::format("[lora] {} parameters are expected, got {}", adapter.parameter_tensors(), parameters.size()));
  }
  for (size_t k = 0; k < adapter.whole().size(); ++k) whole_.emplace_back(adapter.whole()[k].name, parameters[2 * pairs.size() + k]);
  LazyTensor seeds;
  if (dropout_seed.defined() && adapter.config().dropout > 0) seeds = random_bits({static_cast<int64_t>(pairs.size())}, dropout_seed);
  for (size_t k = 0; k < pairs.size(); ++k) {
    LowRank part{parameters[2 * k], parameters[2 * k + 1], adapter.scale(pairs[k]), adapter.config().dropout, {}};
    const auto at = static_cast<int64_t>(k);
    if (seeds.defined()) part.seed = reshape(slice(seeds, 0, at, at + 1), Shape{});
    slot_[pairs[k].layer] = static_cast<int32_t>(k);
    pairs_.push_back(std::move(part));
  }
}

namespace {

std::vector<LazyTensor> as_leaves(const Adapter& adapter) {
  std::vector<LazyTensor> out;
  for (Tensor& t : adapter.parameters()) out.push_back(LazyTensor::from_tensor(std::move(t)));
  return out;
}

}  // namespace

AdapterContext::AdapterContext(const Adapter& adapter) : AdapterContext(adapter, as_leaves(adapter)) {}

}  // namespace lazuli
