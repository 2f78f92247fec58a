// Implements the choice of the layers that an adapter changes, by PEFT's rules.
#define PCRE2_CODE_UNIT_WIDTH 8
#include <fmt/format.h>
#include <pcre2.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <set>
#include <string_view>

#include "lazuli/adapter.h"
#include "lazuli/error.h"

namespace lazuli {

namespace {

constexpr uint32_t kMatchLimit = 100000;

bool names_layer(std::string_view name, std::string_view path) {
  if (path == name) return true;
  return path.size() > name.size() + 1 && path.ends_with(name) && path[path.size() - name.size() - 1] == '.';
}

/// Last part of a path.
std::string_view leaf(std::string_view path) { return path.substr(path.rfind('.') + 1); }

std::string known_names(std::span<const LinearInfo> layers) {
  std::set<std::string_view> names;
  for (const LinearInfo& layer : layers) names.insert(leaf(layer.path));
  return fmt::format("{}", fmt::join(names, ", "));
}

struct FreeCode {
  void operator()(pcre2_code* p) const { pcre2_code_free(p); }
};
struct FreeData {
  void operator()(pcre2_match_data* p) const { pcre2_match_data_free(p); }
};
struct FreeContext {
  void operator()(pcre2_match_context* p) const { pcre2_match_context_free(p); }
};

/// An expression that must match a whole path, with a bound on its work.
class PathPattern {
 public:
  explicit PathPattern(const std::string& text) : text_(text) {
    int code = 0;
    PCRE2_SIZE at = 0;
    code_.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), PCRE2_UTF | PCRE2_ANCHORED | PCRE2_ENDANCHORED, &code,
                              &at, nullptr));
    if (!code_) throw ValueError(fmt::format("[lora] target_modules '{}' is not a regular expression: error at character {}", text, at));
    data_.reset(pcre2_match_data_create_from_pattern(code_.get(), nullptr));
    context_.reset(pcre2_match_context_create(nullptr));
    pcre2_set_match_limit(context_.get(), kMatchLimit);
  }
  bool matches(std::string_view path) const {
    const int found = pcre2_match(code_.get(), reinterpret_cast<PCRE2_SPTR>(path.data()), path.size(), 0, 0, data_.get(), context_.get());
    if (found < 0 && found != PCRE2_ERROR_NOMATCH) {
      throw ValueError(fmt::format("[lora] target_modules '{}' takes too long on '{}'", text_, path));
    }
    return found >= 0;
  }

 private:
  std::string text_;
  std::unique_ptr<pcre2_code, FreeCode> code_;
  std::unique_ptr<pcre2_match_data, FreeData> data_;
  std::unique_ptr<pcre2_match_context, FreeContext> context_;
};

std::vector<size_t> select_by_pattern(const std::string& text, std::span<const LinearInfo> layers) {
  const PathPattern pattern(text);
  std::vector<size_t> out;
  for (size_t k = 0; k < layers.size(); ++k) {
    if (pattern.matches(layers[k].path)) out.push_back(k);
  }
  if (out.empty()) throw ValueError(fmt::format("[lora] target_modules '{}' matches no layer of the model", text));
  return out;
}

}  // namespace

double LoRAConfig::scale() const {
  const auto r = static_cast<double>(rank);
  return alpha / (use_rslora ? std::sqrt(r) : r);
}

void LoRAConfig::check() const {
  if (rank < 1 || rank > 65536) throw ValueError(fmt::format("[lora] a rank from 1 to 65536 is expected, got {}", rank));
  if (!(alpha >= 0 && alpha <= 1e9)) throw ValueError(fmt::format("[lora] an alpha from 0 to 1e9 is expected, got {}", alpha));
  if (!(dropout >= 0 && dropout < 1)) throw ValueError(fmt::format("[lora] a dropout in [0, 1) is expected, got {}", dropout));
  if (target_modules.empty() && target_pattern.empty()) throw ValueError("[lora] at least one target module is expected");
}

std::vector<size_t> select_targets(const LoRAConfig& config, std::span<const LinearInfo> layers) {
  if (!config.target_pattern.empty()) return select_by_pattern(config.target_pattern, layers);
  std::vector<bool> chosen(layers.size());
  for (const std::string& name : config.target_modules) {
    bool any = false;
    for (size_t k = 0; k < layers.size(); ++k) {
      if (name != "all-linear" && !names_layer(name, layers[k].path)) continue;
      chosen[k] = any = true;
    }
    if (!any) {
      throw ValueError(fmt::format("[lora] target module '{}' names no layer of the model; its layers are {}", name, known_names(layers)));
    }
  }
  std::vector<size_t> out;
  for (size_t k = 0; k < layers.size(); ++k) {
    if (chosen[k]) out.push_back(k);
  }
  return out;
}

}  // namespace lazuli
