// Implements fuse_adapter.
#include "models/fuse.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>
#include <span>
#include <vector>

#include "base/atomic_folder.h"
#include "base/file.h"
#include "lazuli/adapter.h"
#include "lazuli/encoder.h"
#include "lazuli/error.h"
#include "lazuli/model.h"
#include "lazuli/ops.h"
#include "lazuli/safetensors.h"
#include "models/module_list.h"
#include "models/registry.h"
#include "models/weights.h"

namespace lazuli {

namespace fs = std::filesystem;

namespace {

/// The factors of a layer, and the row of the stored weight at which the layer's begins.
struct Part {
  const Adapter::Pair* pair;
  int64_t row;
};
using PartsByWeight = std::multimap<std::string, Part>;

Tensor fused(const Tensor& weight, const Part& part, double scale) {
  const Adapter::Pair& pair = *part.pair;
  const LazyTensor change = mul_scalar(matmul(LazyTensor::from_tensor(pair.b), LazyTensor::from_tensor(pair.a)), scale);
  const LazyTensor whole = LazyTensor::from_tensor(weight.to(DType::f32));
  const LazyTensor own = add(slice(whole, 0, part.row, part.row + change.dim(0)), change);
  const int64_t starts[] = {part.row, 0};
  return slice_update(whole, own, starts).eval().to(weight.dtype());
}

/// Whether a file belongs to the model: configuration, tokenizer and templates, and the weights of the modules after a transformer.
bool belongs_to_model(const fs::directory_entry& entry, bool with_weights) {
  static constexpr std::array kEndings = {".json", ".txt", ".model", ".jinja"};
  std::error_code ignored;
  if (!entry.is_regular_file(ignored)) return false;
  const std::string ending = entry.path().extension().string();
  const std::string name = entry.path().filename().string();
  if (ending == ".safetensors") return with_weights;
  return std::any_of(kEndings.begin(), kEndings.end(), [&](const char* known) { return ending == known; }) &&
         !name.starts_with("pytorch_model") && !name.starts_with("adapter_");
}

/// Copies what belongs to the model and is not a transformer's weights: files beside them, and the modules after them as they are.
void copy_other_files(ModelFolder& model, const AtomicFolder& target) {
  constexpr size_t kLimit = size_t{1} << 30;
  std::map<std::string, bool> folders = {{"", false}};  // by path: whether weights are copied too
  const auto templates = [](const std::string& path) { return (fs::path(path) / "additional_chat_templates").string(); };
  folders.try_emplace(templates(""), false);
  for (const ModuleEntry& module : read_module_list(model)) {
    folders[module.path] |= module.kind != "Transformer" && !module.path.empty();
    folders.try_emplace(templates(module.path), false);
  }
  for (const auto& [path, with_weights] : folders) {
    const fs::path source = fs::path(model.path()) / path;
    std::error_code ignored;
    if (!fs::is_directory(source, ignored)) continue;  // modules without settings may come without a folder
    for (const auto& entry : fs::directory_iterator(source)) {
      const fs::path copy = target.file((fs::path(path) / entry.path().filename()).string());
      if (!belongs_to_model(entry, with_weights) || fs::exists(copy)) continue;
      fs::create_directories(copy.parent_path());
      write_file(copy.string(), read_file(entry.path().string(), kLimit));
    }
  }
}

/// An adapter with what its layers' weights are called in the model's files.
struct NamedAdapter {
  Adapter adapter;
  std::vector<LinearInfo> layers;

  /// The factors by the names of their weights; layers that the files do not have are left out.
  PartsByWeight parts() const {
    PartsByWeight found;
    for (const auto* list : {&adapter.pairs(), &adapter.unused_pairs()}) {
      for (const Adapter::Pair& pair : *list) {
        const LinearInfo& layer = layers[pair.layer];
        if (!layer.weight.empty()) found.emplace(layer.weight, Part{&pair, layer.row});
      }
    }
    return found;
  }
};

NamedAdapter load_adapter_of(ModelFolder& model, const std::string& adapter) {
  ModelFolder& folder = transformer_folder(model);
  const DType dtype = stored_dtype(*folder.weights());
  const auto named = [&](std::span<const LinearInfo> layers) {
    NamedAdapter named_adapter{Adapter::load(adapter, layers), {layers.begin(), layers.end()}};
    if (named_adapter.adapter.left_out() > 0) {
      throw FormatError(fmt::format(
          "{}: an adapter of the language model alone expected: its changes to parts that read images or sound would be lost", adapter));
    }
    return named_adapter;
  };
  if (holds_encoder(model)) return named(load_encoder(folder, dtype, Quantization::none)->linears());
  return named(load_language_model(folder, dtype, Quantization::none).model->linears());
}

/// A file to write, with the tensors that belong there.
struct StoredFile {
  std::string path;
  std::vector<std::string> names;
  std::map<std::string, std::string> metadata;
};

/// The safetensors files as they are; the tensors of pickled ones go into one.
std::vector<StoredFile> files_of(const WeightSource& weights, const std::string& single) {
  const auto* checkpoint = dynamic_cast<const Checkpoint*>(&weights);
  if (checkpoint == nullptr) return {{single, weights.names(), {{"format", "pt"}}}};
  std::vector<StoredFile> files;
  for (const SafetensorsFile& file : checkpoint->files()) files.push_back({file.path(), file.names(), file.metadata()});
  return files;
}

}  // namespace

FuseReport fuse_adapter(const std::string& model_folder, const std::string& adapter_folder, const std::string& save_path,
                        const FuseProgress& progress) {
  ModelFolder model(model_folder);
  ModelFolder& transformer = transformer_folder(model);
  const auto weights = transformer.weights();
  const NamedAdapter named = load_adapter_of(model, adapter_folder);
  const PartsByWeight parts = named.parts();
  const size_t total = parts.size();
  AtomicFolder folder(save_path);
  FuseReport report;
  for (const StoredFile& file : files_of(*weights, transformer.path_of("model.safetensors"))) {
    std::map<std::string, Tensor> tensors;
    for (const std::string& name : file.names) {
      Tensor tensor = weights->tensor(name);
      for (auto [part, end] = parts.equal_range(name); part != end; ++part) {
        tensor = fused(tensor, part->second, named.adapter.scale(*part->second.pair));
        ++report.layers;
      }
      report.bytes += tensor.nbytes();
      ++report.tensors;
      tensors.emplace(name, std::move(tensor));
      if (progress && !progress(report.layers, static_cast<int64_t>(total))) {
        report.cancelled = true;
        return report;
      }
    }
    const fs::path target = folder.file(fs::path(file.path).lexically_relative(model.path()).string());
    fs::create_directories(target.parent_path());
    save_safetensors(target.string(), tensors, file.metadata);
  }
  copy_other_files(model, folder);
  folder.commit();
  return report;
}

}  // namespace lazuli
