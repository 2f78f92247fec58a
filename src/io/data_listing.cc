#include "io/data_listing.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "lazuli/error.h"

namespace lazuli {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view kAdapterFiles[] = {"adapter_config.json", "adapter_model.safetensors", "training_state.safetensors",
                                              "metrics.jsonl", "loss.svg"};
constexpr std::string_view kModelFiles[] = {"config.json",
                                            "generation_config.json",
                                            "tokenizer.json",
                                            "tokenizer_config.json",
                                            "special_tokens_map.json",
                                            "added_tokens.json",
                                            "vocab.json",
                                            "vocab.txt",
                                            "merges.txt",
                                            "modules.json",
                                            "sentence_bert_config.json",
                                            "config_sentence_transformers.json",
                                            "model.safetensors.index.json",
                                            "chat_template.jinja"};

bool is_file(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored);
}

template <size_t N>
bool among(const std::string_view (&names)[N], std::string_view name) {
  return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

bool is_weights(const fs::path& path) {
  const std::string extension = path.extension().string();
  return extension == ".safetensors" || extension == ".gguf" || (extension == ".bin" && path.filename().string().starts_with("pytorch_"));
}

bool has_weights(const fs::path& folder) {
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    if (is_weights(it->path())) return true;
  }
  return false;
}

bool is_adapter(const fs::path& folder) { return is_file(folder / "adapter_config.json"); }
bool is_model(const fs::path& folder) {
  if (is_file(folder / "modules.json") && is_file(folder / "config_sentence_transformers.json")) return true;
  return is_file(folder / "config.json") && has_weights(folder);
}

/// Names under which AtomicFile writes: `NAME.PROCESS-COUNT.tmp`.
bool is_unfinished(std::string_view name) {
  if (!name.ends_with(".tmp")) return false;
  name.remove_suffix(4);
  const size_t dot = name.rfind('.');
  if (dot == std::string_view::npos) return false;
  const std::string_view numbers = name.substr(dot + 1);
  return numbers.find('-') != std::string_view::npos && numbers.find_first_not_of("0123456789-") == std::string_view::npos;
}

class Listing {
 public:
  Listing(const fs::path& root, std::span<const std::string> excluded, DataReport& report)
      : root_(root), excluded_(excluded), report_(report), adapter_(is_adapter(root)), model_(is_model(root)) {}

  std::set<std::string> run() {
    walk(root_, true);
    return std::move(names_);
  }

 private:
  void walk(const fs::path& folder, bool top) {
    std::set<fs::path> paths;
    std::error_code error;
    fs::directory_iterator it(folder, error);
    for (const fs::directory_iterator end; !error && it != end; it.increment(error)) paths.insert(it->path());
    if (error) throw IoError(fmt::format("cannot read folder {}: {}", folder.string(), error.message()));
    for (const fs::path& path : paths) entry(path, top);
  }

  void entry(const fs::path& path, bool top) {
    const std::string name = path.lexically_relative(root_).generic_string(), last = path.filename().string();
    std::error_code error;
    const fs::file_status status = fs::status(path, error), own = fs::symlink_status(path, error);
    if (last.starts_with('.')) {
      report_.leave_out("hidden files and folders", name);
    } else if (status.type() == fs::file_type::directory) {
      folder(path, name, own.type() == fs::file_type::symlink);
    } else if (status.type() != fs::file_type::regular) {
      report_.leave_out(own.type() == fs::file_type::symlink ? "broken links" : "pipes, devices and the like", name);
    } else if (const auto written = own_output(path, last, top); !written.empty()) {
      report_.leave_out(written, name);
    } else {
      names_.insert(name);
    }
  }

  void folder(const fs::path& path, const std::string& name, bool link) {
    std::error_code error;
    if (is_excluded(path) && fs::is_empty(path, error)) return;  // it has just been made for what is to be written
    if (link) {
      report_.leave_out("links to folders", name);
    } else if (is_excluded(path) || is_adapter(path)) {
      report_.leave_out("folders of adapters", name);
    } else if (is_model(path)) {
      report_.leave_out("folders of models", name);
    } else {
      walk(path, false);
    }
  }

  /// What a file is that belongs to an adapter or a model, or was left unfinished; empty where it is none.
  std::string_view own_output(const fs::path& path, const std::string& last, bool top) const {
    if (is_unfinished(last)) return "unfinished files";
    if (top && adapter_ && among(kAdapterFiles, last)) return "files of an adapter";
    if (top && model_ && (among(kModelFiles, last) || is_weights(path))) return "files of a model";
    return {};
  }

  bool is_excluded(const fs::path& path) const {
    return std::any_of(excluded_.begin(), excluded_.end(), [&](const std::string& e) {
      std::error_code error;
      return fs::equivalent(path, e, error) && !error;
    });
  }

  const fs::path& root_;
  std::span<const std::string> excluded_;
  DataReport& report_;
  bool adapter_, model_;
  std::set<std::string> names_;
};

}  // namespace

std::set<std::string> list_data_files(const fs::path& folder, std::span<const std::string> excluded, DataReport& report) {
  return Listing(folder, excluded, report).run();
}

}  // namespace lazuli
