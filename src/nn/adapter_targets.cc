// Implements the choice of the layers that an adapter changes.
#include "nn/adapter_targets.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <set>
#include <string_view>

#include "lazuli/error.h"
#include "nn/adapter_names.h"
#include "nn/path_pattern.h"

namespace lazuli {

namespace {

bool ends_in_name(std::string_view path, std::string_view name) {
  return path.size() > name.size() + 1 && path.ends_with(name) && path[path.size() - name.size() - 1] == '.';
}

bool names_layer(std::string_view name, std::string_view path) { return path == name || ends_in_name(path, name); }

/// Last part of a path.
std::string_view leaf(std::string_view path) { return path.substr(path.rfind('.') + 1); }

bool is_number(std::string_view part) {
  return !part.empty() && std::all_of(part.begin(), part.end(), [](char c) { return c >= '0' && c <= '9'; });
}

/// Which blocks of a list may be adapted.
class Blocks {
 public:
  explicit Blocks(const LoRAConfig& config) : numbers_(config.layers_to_transform) {
    if (numbers_.empty()) return;
    if (config.layers_pattern.empty()) patterns_.emplace_back("layers_pattern", R"(.*?\.[^.]*\.(\d+)\.)");
    for (const std::string& name : config.layers_pattern) {
      patterns_.emplace_back("layers_pattern", fmt::format(R"((?:^|.*?\.)(?:{})\.(\d+)\.)", name));
    }
  }
  bool has(std::string_view path) const {
    if (numbers_.empty()) return true;
    for (const PathPattern& pattern : patterns_) {
      const auto digits = pattern.first_group(path);
      if (!digits) continue;
      int64_t number = 0;
      const auto [end, error] = std::from_chars(digits->data(), digits->data() + digits->size(), number);
      return error == std::errc() && std::find(numbers_.begin(), numbers_.end(), number) != numbers_.end();
    }
    return false;
  }

 private:
  const std::vector<int64_t>& numbers_;
  std::vector<PathPattern> patterns_;
};

/// Layers that are left out whatever else names them.
class Excluded {
 public:
  explicit Excluded(const LoRAConfig& config) : names_(config.exclude_modules) {
    if (!config.exclude_pattern.empty()) pattern_.emplace("exclude_modules", config.exclude_pattern);
  }
  bool has(std::string_view path) const {
    if (pattern_) return pattern_->matches(path);
    return std::any_of(names_.begin(), names_.end(), [&](const std::string& name) { return names_layer(name, path); });
  }

 private:
  const std::vector<std::string>& names_;
  std::optional<PathPattern> pattern_;
};

std::vector<bool> chosen_by_names(const LoRAConfig& config, std::span<const LinearInfo> layers, std::vector<std::string>& absent) {
  const Blocks blocks(config);
  std::vector<bool> chosen(layers.size());
  for (const std::string& name : config.target_modules) {
    bool any = false;
    for (size_t k = 0; k < layers.size(); ++k) {
      const std::string& path = layers[k].path;
      const bool whole = name == "all-linear" || path == name;
      if (!whole && !ends_in_name(path, name)) continue;
      any = true;
      // A whole path names its layer in any block.
      if (whole || blocks.has(path)) chosen[k] = true;
    }
    if (!any) absent.push_back(name);
  }
  return chosen;
}

std::vector<bool> chosen_by_pattern(const std::string& text, std::span<const LinearInfo> layers) {
  const PathPattern pattern("target_modules", text);
  std::vector<bool> chosen(layers.size());
  for (size_t k = 0; k < layers.size(); ++k) chosen[k] = pattern.matches(layers[k].path);
  return chosen;
}

}  // namespace

double LoRAConfig::scale_of(int64_t layer_rank, double layer_alpha) const {
  const auto r = static_cast<double>(layer_rank);
  return layer_alpha / (use_rslora ? std::sqrt(r) : r);
}

void LoRAConfig::check() const {
  if (rank < 1 || rank > 65536) throw ValueError(fmt::format("[lora] a rank from 1 to 65536 is expected, got {}", rank));
  if (!(alpha >= 0 && alpha <= 1e9)) throw ValueError(fmt::format("[lora] an alpha from 0 to 1e9 is expected, got {}", alpha));
  if (!(dropout >= 0 && dropout < 1)) throw ValueError(fmt::format("[lora] a dropout in [0, 1) is expected, got {}", dropout));
  if (target_modules.empty() && target_pattern.empty()) throw ValueError("[lora] at least one target module is expected");
}

std::string known_names(std::span<const LinearInfo> layers) {
  std::set<std::string_view> names;
  for (const LinearInfo& layer : layers) {
    if (layer.used) names.insert(leaf(layer.path));
  }
  return fmt::format("{}", fmt::join(names, ", "));
}

ChosenLayers choose_layers(const LoRAConfig& config, std::span<const LinearInfo> layers) {
  ChosenLayers out;
  const bool by_name = config.target_pattern.empty();
  const std::vector<bool> named = by_name ? chosen_by_names(config, layers, out.absent) : chosen_by_pattern(config.target_pattern, layers);
  const Excluded excluded(config);
  for (size_t k = 0; k < layers.size(); ++k) {
    if (named[k] && !excluded.has(layers[k].path)) out.layers.push_back(k);
  }
  return out;
}

std::vector<size_t> select_targets(const LoRAConfig& config, std::span<const LinearInfo> layers) {
  ChosenLayers chosen = choose_layers(config, layers);
  std::vector<size_t> used;
  for (size_t k : chosen.layers) {
    if (layers[k].used) used.push_back(k);
  }
  const std::vector<std::string>& names = chosen.absent.empty() ? config.target_modules : chosen.absent;
  const std::string name = config.target_pattern.empty() && !names.empty() ? names[0] : config.target_pattern;
  if (!chosen.absent.empty() || (used.empty() && config.target_pattern.empty())) {
    throw ValueError(fmt::format("[lora] target module '{}' names no layer of the model; its layers are {}", name, known_names(layers)));
  }
  if (used.empty()) throw ValueError(fmt::format("[lora] target_modules '{}' matches no layer of the model", name));
  return used;
}

template <class T>
T by_pattern(const std::vector<std::pair<std::string, T>>& patterns, const std::string& path, T otherwise) {
  for (const auto& [text, value] : patterns) {
    if (PathPattern("rank_pattern or alpha_pattern", fmt::format(R"((?:.*\.)?(?:{}))", text)).matches(path)) return value;
  }
  return otherwise;
}
template int64_t by_pattern(const std::vector<std::pair<std::string, int64_t>>&, const std::string&, int64_t);
template double by_pattern(const std::vector<std::pair<std::string, double>>&, const std::string&, double);

std::vector<std::string> targets_to_save(std::span<const LinearInfo> layers, const std::vector<size_t>& chosen) {
  const auto chooses_only_these = [&](std::string_view name) {
    for (size_t k = 0; k < layers.size(); ++k) {
      if (names_layer(name, layers[k].path) && !std::binary_search(chosen.begin(), chosen.end(), k)) return false;
    }
    return true;
  };
  std::set<std::string, std::less<>> names;
  for (size_t k : chosen) {
    const std::string_view path = layers[k].path;
    // Shorter names would also choose layers of parts beside the language model, which the list does not have.
    size_t start = is_inside_wrapper(path) ? 0 : path.rfind('.') + 1;
    // Ends that begin with a block's number would not tell where it stands.
    while (start > 0 && names.find(path.substr(start)) == names.end() && !chooses_only_these(path.substr(start))) {
      start = start < 2 ? 0 : path.rfind('.', start - 2) + 1;
      if (is_number(path.substr(start, path.find('.', start) - start))) start = 0;
    }
    names.emplace(path.substr(start));
  }
  return {names.begin(), names.end()};
}

}  // namespace lazuli
