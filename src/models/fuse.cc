// Implements fuse_adapter.
#include "models/fuse.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>
#include <vector>

#include "base/atomic_folder.h"
#include "base/file.h"
#include "lazuli/adapter.h"
#include "lazuli/error.h"
#include "lazuli/model.h"
#include "lazuli/ops.h"
#include "lazuli/safetensors.h"

namespace lazuli {

namespace fs = std::filesystem;

namespace {

using PairsByWeight = std::map<std::string, const Adapter::Pair*>;

/// The dtype of most of the weights; models mapped in it take no memory of their own.
DType stored_dtype(const Checkpoint& checkpoint) {
  std::map<DType, size_t> bytes;
  for (const std::string& name : checkpoint.names()) {
    const TensorInfo& info = checkpoint.info(name);
    if (info.dtype && (*info.dtype == DType::f32 || *info.dtype == DType::bf16 || *info.dtype == DType::f16)) {
      bytes[*info.dtype] += info.nbytes;
    }
  }
  const auto most = std::max_element(bytes.begin(), bytes.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  return most == bytes.end() ? DType::f32 : most->first;
}

Tensor fused(const Tensor& weight, const Adapter::Pair& pair, double scale) {
  const LazyTensor change = mul_scalar(matmul(LazyTensor::from_tensor(pair.b), LazyTensor::from_tensor(pair.a)), scale);
  return add(LazyTensor::from_tensor(weight.to(DType::f32)), change).eval().to(weight.dtype());
}

/// Whether a file beside the weights belongs to the model: configuration, tokenizer and templates.
bool belongs_to_model(const fs::directory_entry& entry) {
  static constexpr std::array kEndings = {".json", ".txt", ".model", ".jinja"};
  std::error_code ignored;
  if (!entry.is_regular_file(ignored)) return false;
  const std::string ending = entry.path().extension().string();
  const std::string name = entry.path().filename().string();
  return std::any_of(kEndings.begin(), kEndings.end(), [&](const char* known) { return ending == known; }) &&
         !name.starts_with("pytorch_model") && !name.starts_with("adapter_");
}

void copy_other_files(const std::string& model, const AtomicFolder& folder) {
  constexpr size_t kLimit = size_t{1} << 30;
  for (const auto& entry : fs::directory_iterator(model)) {
    if (belongs_to_model(entry)) write_file(folder.file(entry.path().filename().string()), read_file(entry.path().string(), kLimit));
  }
}

}  // namespace

FuseReport fuse_adapter(const std::string& model_folder, const std::string& adapter_folder, const std::string& save_path,
                        const FuseProgress& progress) {
  const Checkpoint checkpoint = Checkpoint::open(model_folder);
  const auto model = load_model(model_folder, stored_dtype(checkpoint));
  const Adapter adapter = Adapter::load(adapter_folder, model->linears());
  PairsByWeight pairs;
  for (const Adapter::Pair& pair : adapter.pairs()) pairs[pair.path + ".weight"] = &pair;
  AtomicFolder folder(save_path);
  FuseReport report;
  const auto total = static_cast<int64_t>(pairs.size());
  for (const SafetensorsFile& file : checkpoint.files()) {
    std::map<std::string, Tensor> tensors;
    for (const std::string& name : file.names()) {
      Tensor tensor = file.tensor(name);
      if (const auto pair = pairs.find(name); pair != pairs.end()) {
        tensor = fused(tensor, *pair->second, adapter.config().scale());
        ++report.layers;
      }
      report.bytes += tensor.nbytes();
      ++report.tensors;
      tensors.emplace(name, std::move(tensor));
      if (progress && !progress(report.layers, total)) throw ValueError(fmt::format("{}: not written, the work was ended", save_path));
    }
    const fs::path target = folder.file(fs::path(file.path()).lexically_relative(model_folder).string());
    fs::create_directories(target.parent_path());
    save_safetensors(target.string(), tensors, file.metadata());
  }
  if (report.layers != total) {
    throw FormatError(fmt::format("{}: {} layers of the adapter expected among the weights, found {}", model_folder, total, report.layers));
  }
  copy_other_files(model_folder, folder);
  folder.commit();
  return report;
}

}  // namespace lazuli
