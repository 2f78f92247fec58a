// Implements require_model_file.
#include "io/model_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <optional>
#include <set>
#include <vector>

#include "base/file.h"
#include "base/json.h"
#include "io/hub_cache.h"
#include "lazuli/error.h"

namespace lazuli {

namespace {

namespace fs = std::filesystem;

constexpr size_t kConfigLimit = size_t{16} << 20;
constexpr size_t kMostNamed = 3;

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}
bool is_folder(const fs::path& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}

/// The names in a folder, sorted; none where it cannot be read.
std::vector<std::string> names_in(const fs::path& folder) {
  std::set<std::string> names;
  std::error_code error;
  fs::directory_iterator it(folder, error);
  for (const fs::directory_iterator end; !error && it != end; it.increment(error)) names.insert(it->path().filename().string());
  return {names.begin(), names.end()};
}

/// The value of a text in a JSON file; empty where there is none.
std::string text_in(const fs::path& file, std::string_view key) {
  try {
    const JsonDocument document = JsonDocument::read(file.string(), kConfigLimit);
    return document.root().is_object() ? document.root().string_or(key, "") : "";
  } catch (const Error&) {
    return "";  // The file is only looked at for a hint.
  }
}

bool holds_model(const fs::path& folder) {
  return is_there(folder / "modules.json") || (is_there(folder / "config.json") && !text_in(folder / "config.json", "model_type").empty());
}
bool holds_adapter(const fs::path& folder) { return is_there(folder / "adapter_config.json"); }

std::string no_such_folder(const std::string& path, bool adapter) {
  if (path.starts_with('~')) return "no such folder; '~' stands for the home folder only where the shell reads it, outside quotes";
  const size_t slash = path.find('/');
  if (!is_hub_name(path) || (adapter && slash == std::string::npos)) return "no such folder";
  const std::string model = path.substr(0, path.find('@'));
  const std::string name = model.substr(model.find('/') + 1);  // the whole of it without a slash
  if (adapter) {
    return fmt::format(
        "no such folder; adapters are not downloaded from the Hugging Face hub by their names: 'hf download {} --local-dir {}' does that, "
        "then give the folder {}",
        model, name, name);
  }
  return fmt::format(
      "no such folder, and {}; models are not downloaded from the Hugging Face hub by their names: 'hf download {}' puts this one into the "
      "cache, and 'hf download {} --local-dir {}' into the folder {}",
      why_not_cached(path), model, model, name, name);
}

constexpr std::string_view kGguf =
    "GGUF, which is not read: take the model's folder with config.json, tokenizer.json and safetensors that it was made from";

std::string file_in_place(const fs::path& file) {
  if (file.extension() == ".gguf" || read_start(file.string(), 4) == "GGUF")
    return fmt::format("a folder expected, got a file of {}", kGguf);
  const fs::path parent = file.has_parent_path() ? file.parent_path() : fs::path(".");
  if (holds_model(parent) || holds_adapter(parent)) {
    return fmt::format("a folder expected, got a file; give the folder that it is in, {}", parent.string());
  }
  return "a folder expected, got a file";
}

/// models--owner--name of the hub's cache has the files in snapshots/REVISION.
std::optional<std::string> cache_folder(const fs::path& folder) {
  const fs::path snapshots = folder.filename() == "snapshots" ? folder : folder / "snapshots";
  if (!is_folder(snapshots)) return std::nullopt;
  std::string revision;
  if (is_there(folder / "refs" / "main")) revision = read_start((folder / "refs" / "main").string(), 64);
  while (!revision.empty() && std::isspace(static_cast<unsigned char>(revision.back())) != 0) revision.pop_back();
  const std::vector<std::string> names = names_in(snapshots);
  if (revision.empty() && !names.empty()) revision = names.back();
  if (revision.empty() || !is_folder(snapshots / revision)) {
    return "a folder of the hub's cache without a snapshot: its download was not finished; download it again";
  }
  return fmt::format("a folder of the hub's cache; its files are in {}", (snapshots / revision).string());
}

bool is_unfinished(const fs::path& folder) {
  for (const fs::path& place : {folder, folder / ".cache" / "huggingface" / "download", folder / ".." / ".." / "blobs"}) {
    for (const std::string& name : names_in(place)) {
      if (name.ends_with(".incomplete") || name.ends_with(".part") || name.ends_with(".crdownload") || name.ends_with(".aria2"))
        return true;
    }
  }
  return false;
}

std::optional<std::string> unfinished_download(const fs::path& folder, std::string_view name) {
  std::error_code ignored;
  if (fs::is_symlink(fs::symlink_status(folder / name, ignored))) {
    return fmt::format("{} is a link to a file that is not there; download the model again", name);
  }
  if (is_unfinished(folder)) return fmt::format("no {}, and a download that was not finished; download the model again", name);
  return std::nullopt;
}

std::optional<std::string> adapter_or_model(const fs::path& folder, std::string_view name) {
  const bool wants_adapter = name.starts_with("adapter_");
  if (wants_adapter && !holds_adapter(folder) && holds_model(folder)) {
    return fmt::format("no {}: the folder holds a model and no adapter, so --model takes it", name);
  }
  if (wants_adapter || !holds_adapter(folder) || is_there(folder / "config.json")) return std::nullopt;
  const std::string base = text_in(folder / "adapter_config.json", "base_model_name_or_path");
  return fmt::format("no {}: the folder holds an adapter, so --adapter-path takes it, and --model the model that it belongs to{}", name,
                     base.empty() ? "" : fmt::format(" ({})", base));
}

/// Whether a folder is one that the file of that name may be expected in.
bool fits(const fs::path& folder, std::string_view name) {
  return is_folder(folder) && (name.starts_with("adapter_") ? holds_adapter(folder) : holds_model(folder));
}
std::string_view kind_with(std::string_view name) { return name.starts_with("adapter_") ? "an adapter" : "a model"; }

std::optional<std::string> folder_below(const fs::path& folder, std::string_view name) {
  if (fits(folder, name)) return std::nullopt;
  std::vector<std::string> found;
  for (const std::string& child : names_in(folder)) {
    if (fits(folder / child, name)) found.push_back((folder / child).string());
    for (const std::string& below : is_folder(folder / child) ? names_in(folder / child) : std::vector<std::string>()) {
      if (fits(folder / child / below, name)) found.push_back((folder / child / below).string());
    }
    if (found.size() >= kMostNamed) break;
  }
  if (found.empty()) return std::nullopt;
  return fmt::format("no {}; {} is below, in {}", name, kind_with(name), fmt::join(found, ", "));
}

std::optional<std::string> folder_above(const fs::path& folder, std::string_view name) {
  if (fits(folder, name)) return std::nullopt;
  std::error_code ignored;
  const fs::path whole = fs::absolute(folder, ignored).lexically_normal();
  const fs::path parent = whole.has_filename() ? whole.parent_path() : whole.parent_path().parent_path();
  if (!fits(parent, name)) return std::nullopt;
  return fmt::format("no {}; {} is one folder above, in {}", name, kind_with(name), parent.string());
}

/// Files of other programs that hold what `name` would, by the ends of their names, and what to do with them.
struct Other {
  std::string_view wanted;
  std::string_view end;
  std::string_view hint;
};
constexpr std::string_view kPickled =
    "pickled weights, which are not read: with Python, transformers' AutoModelForCausalLM (AutoModel for encoders) "
    ".from_pretrained(FOLDER).save_pretrained(FOLDER) converts them to safetensors";
constexpr std::string_view kPickledName =
    "pickled weights, which are expected under the name pytorch_model.bin, or under those of pytorch_model.bin.index.json";
constexpr std::string_view kSlowTokenizer =
    "a tokenizer that is not read: with Python, transformers' AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER) converts it to "
    "tokenizer.json";
constexpr Other kOthers[] = {
    {"model.safetensors", ".bin", kPickledName},
    {"model.safetensors", ".pt", kPickled},
    {"model.safetensors", ".pth", kPickled},
    {"model.safetensors", ".ckpt", kPickled},
    {"", ".gguf", kGguf},
    {"model.safetensors", ".onnx", "ONNX, which is not read: take the model's safetensors"},
    {"model.safetensors", "onnx", "ONNX, which is not read: take the model's safetensors"},
    {"model.safetensors", "openvino", "OpenVINO, which is not read: take the model's safetensors"},
    {"model.safetensors", ".h5", "TensorFlow's weights, which are not read: transformers 4 converts them with from_tf=True"},
    {"model.safetensors", ".msgpack", "Flax's weights, which are not read: transformers 4 converts them with from_flax=True"},
    {"model.safetensors", "consolidated.safetensors", "the weights in Mistral's own layout: take model.safetensors of the same model"},
    {"tokenizer.json", "spiece.model", kSlowTokenizer},
    {"tokenizer.json", "tekken.json", kSlowTokenizer},
    {"tokenizer.json", ".tiktoken", kSlowTokenizer},
    {"config.json", "params.json", "a model in the layout of its authors: take the folder with config.json in the layout of transformers"},
    {"config.json", "model_index.json", "a pipeline of diffusers, which is not read"},
};

std::optional<std::string> other_kinds(const std::vector<std::string>& names, std::string_view wanted) {
  for (const Other& other : kOthers) {
    if (!other.wanted.empty() && other.wanted != wanted) continue;
    if (other.wanted.empty() && wanted.starts_with("adapter_")) continue;
    for (const std::string& name : names) {
      if (name.ends_with(other.end)) return fmt::format("no {}, but {}: {}", wanted, name, other.hint);
    }
  }
  if (wanted != "model.safetensors") return std::nullopt;
  for (const std::string& name : names) {
    if (!name.ends_with(".safetensors")) continue;
    if (name.find("-of-") != std::string::npos) {
      return fmt::format("no {} but its part {}, and no model.safetensors.index.json that lists the parts; download that file too", wanted,
                         name);
    }
    return fmt::format("no {}, but {}; the weights are expected under the name {}", wanted, name, wanted);
  }
  return std::nullopt;
}

std::string what_is_there(const fs::path& folder, std::string_view name) {
  const std::vector<std::string> names = names_in(folder);
  if (names.empty()) return fmt::format("no {}: the folder is empty", name);
  if (auto hint = cache_folder(folder)) return *hint;
  if (auto hint = unfinished_download(folder, name)) return *hint;
  if (auto hint = adapter_or_model(folder, name)) return *hint;
  if (auto hint = folder_below(folder, name)) return *hint;
  if (auto hint = other_kinds(names, name)) return *hint;
  if (auto hint = folder_above(folder, name)) return *hint;
  if (name == "tokenizer.json") return "no such file tokenizer.json; the one of the model that this one was made from belongs there";
  return fmt::format("no such file {}", name);
}

}  // namespace

std::string require_model_file(const std::string& folder, std::string_view name) {
  const fs::path path = fs::path(folder) / name;
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  // A folder that may not be searched says so where the file is opened.
  if (fs::exists(status) || (error && error != std::errc::no_such_file_or_directory && error != std::errc::not_a_directory)) {
    return path.string();
  }
  if (is_folder(folder)) throw IoError(fmt::format("{}: {}", folder, what_is_there(folder, name)));
  throw IoError(
      fmt::format("{}: {}", folder, is_there(folder) ? file_in_place(folder) : no_such_folder(folder, name.starts_with("adapter_"))));
}

}  // namespace lazuli
