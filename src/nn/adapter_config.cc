// Implements adapter_config.json in PEFT's layout.
#include "nn/adapter_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <string_view>
#include <utility>

#include "base/json.h"
#include "base/json_writer.h"
#include "lazuli/notice.h"

namespace lazuli {

namespace {

/// Settings that change what an adapter computes in ways that are not supported: they must be missing, null, false or empty.
constexpr std::string_view kRefused[] = {"use_dora",
                                         "lora_bias",
                                         "use_qalora",
                                         "modules_to_save",
                                         "layer_replication",
                                         "megatron_config",
                                         "target_parameters",
                                         "trainable_token_indices",
                                         "alora_invocation_tokens",
                                         "use_bdlora",
                                         "arrow_config",
                                         "kasa_config",
                                         "velora_config",
                                         "monteclora_config",
                                         "ensure_weight_tying"};

/// Settings that are read, and those that say where an adapter came from or how it was trained. `fan_in_fan_out` is about layers that store
/// their weight the other way round, which none here does.
constexpr std::string_view kKnown[] = {"peft_type",
                                       "task_type",
                                       "bias",
                                       "init_lora_weights",
                                       "target_modules",
                                       "r",
                                       "lora_alpha",
                                       "lora_dropout",
                                       "use_rslora",
                                       "rank_pattern",
                                       "alpha_pattern",
                                       "exclude_modules",
                                       "layers_pattern",
                                       "layers_to_transform",
                                       "base_model_name_or_path",
                                       "auto_mapping",
                                       "revision",
                                       "inference_mode",
                                       "fan_in_fan_out",
                                       "megatron_core",
                                       "qalora_group_size",
                                       "loftq_config",
                                       "eva_config",
                                       "corda_config",
                                       "lora_ga_config",
                                       "runtime_config",
                                       "peft_version"};

bool is_unset(const JsonValue& v) {
  if (v.is_null()) return true;
  if (v.is_bool()) return !v.as_bool();
  if (v.is_string()) return v.as_string().empty();
  if (v.is_array()) return v.as_array().size() == 0;
  if (!v.is_object()) return false;
  const JsonObject members = v.as_object();
  return !(members.begin() != members.end());
}

void need_text(const JsonValue& root, std::string_view key, std::string_view expected, bool may_miss) {
  const auto v = root.find(key);
  if (may_miss && (!v || v->is_null())) return;
  const JsonValue value = root.get(key);
  if (value.as_string() != expected) value.fail(fmt::format("'{}' expected, got '{}'", expected, value.as_string()));
}

/// `heads`: whether the model has a head that an adapter may replace.
void refuse_unsupported(const JsonValue& root, bool heads) {
  need_text(root, "peft_type", "LORA", false);
  if (const auto task = root.find("task_type"); task && !task->is_null() && task->as_string() != "FEATURE_EXTRACTION") {
    const bool classifies = task->as_string() == "SEQ_CLS";
    if (classifies && !heads) task->fail("an adapter of a classification head, which classify, rerank and finetune take alone");
    if (!classifies) need_text(root, "task_type", "CAUSAL_LM", true);
  }
  need_text(root, "bias", "none", true);
  for (std::string_view key : kRefused) {
    if (heads && key == "modules_to_save") continue;
    if (const auto v = root.find(key); v && !is_unset(*v)) v->fail(fmt::format("'{}' is not supported in LoRA adapters", key));
  }
  // Other starts (PiSSA, OLoRA, CorDA, LoftQ, ...) also change the weights of the model itself.
  const auto init = root.find("init_lora_weights");
  if (!init || init->is_null() || init->is_bool()) return;
  const std::string_view start = init->as_string();
  if (start != "gaussian" && start != "Gaussian" && start != "orthogonal" && start != "eva") {
    init->fail(fmt::format("true, false, 'gaussian', 'orthogonal' or 'eva' expected, got '{}'", start));
  }
}

/// Settings of a later PEFT, which today's ignores with a warning, too.
void tell_of_unknown(const JsonDocument& document) {
  for (const JsonMember& m : document.root().as_object()) {
    const auto is_key = [&](std::string_view key) { return key == m.key; };
    if (std::any_of(std::begin(kKnown), std::end(kKnown), is_key) || std::any_of(std::begin(kRefused), std::end(kRefused), is_key))
      continue;
    if (!is_unset(m.value)) notice(fmt::format("{}: '{}' is not a known setting of LoRA adapters and is not used", document.name(), m.key));
  }
}

std::vector<std::string> read_names(const JsonValue& list) {
  std::vector<std::string> names;
  for (const JsonValue& name : list.as_array()) names.emplace_back(name.as_string());
  return names;
}

bool is_all_linear(std::string_view text) {
  constexpr std::string_view all = "all-linear";
  return std::equal(text.begin(), text.end(), all.begin(), all.end(),
                    [](char a, char b) { return (a >= 'A' && a <= 'Z' ? static_cast<char>(a + 32) : a) == b; });
}

void read_targets(const JsonValue& root, LoRAConfig& config) {
  const JsonValue targets = root.get("target_modules");
  config.target_modules.clear();
  if (targets.is_string()) {
    const std::string_view text = targets.as_string();
    if (text.empty()) targets.fail("names of modules or an expression expected");
    if (is_all_linear(text)) {
      config.target_modules.emplace_back("all-linear");
    } else {
      config.target_pattern = text;
    }
    return;
  }
  config.target_modules = read_names(targets);
  if (config.target_modules.empty()) targets.fail("at least one module expected");
  // In a list the word is a name like any other, which no layer has.
  for (std::string& name : config.target_modules) {
    if (name == "all-linear") targets.fail("'all-linear' expected as a text and not in a list");
  }
}

void read_exclusions(const JsonValue& root, LoRAConfig& config) {
  const auto excluded = root.find("exclude_modules");
  if (!excluded || is_unset(*excluded)) return;
  if (excluded->is_string()) {
    config.exclude_pattern = excluded->as_string();
  } else {
    config.exclude_modules = read_names(*excluded);
  }
}

int64_t block_number(const JsonValue& v) {
  const int64_t number = v.as_int();
  if (number < 0) v.fail(fmt::format("a number from 0 on expected, got {}", number));
  return number;
}

void read_blocks(const JsonValue& root, LoRAConfig& config) {
  const auto numbers = root.find("layers_to_transform");
  const bool given = numbers && !numbers->is_null();
  if (given && numbers->is_array()) {
    for (const JsonValue& number : numbers->as_array()) config.layers_to_transform.push_back(block_number(number));
  } else if (given) {
    config.layers_to_transform.push_back(block_number(*numbers));
  }
  const auto names = root.find("layers_pattern");
  if (names && !is_unset(*names)) {
    if (!given) names->fail("layers_to_transform expected beside it");
    config.layers_pattern = names->is_string() ? std::vector<std::string>{std::string(names->as_string())} : read_names(*names);
  }
  if (given && root.get("target_modules").is_string()) numbers->fail("a list of target_modules expected beside it");
}

double number_in(const JsonValue& v, double low, double high) {
  const double x = v.as_double();
  if (!(x >= low && x <= high)) v.fail(fmt::format("a number from {} to {} expected, got {}", low, high, x));
  return x;
}

int64_t read_rank(const JsonValue& rank) {
  const int64_t r = rank.as_int();
  if (r < 1 || r > 65536) rank.fail(fmt::format("a rank from 1 to 65536 expected, got {}", r));
  return r;
}

double read_alpha(const JsonValue& alpha) { return number_in(alpha, 0, 1e9); }

template <class T>
std::vector<std::pair<std::string, T>> read_pattern(const JsonValue& root, std::string_view key, T (*read)(const JsonValue&)) {
  std::vector<std::pair<std::string, T>> patterns;
  if (const auto v = root.find(key); v && !v->is_null()) {
    for (const JsonMember& m : v->as_object()) patterns.emplace_back(m.key, read(m.value));
  }
  return patterns;
}

/// What PEFT takes where the file does not say.
constexpr int64_t kRank = 8;
constexpr double kAlpha = 8;

}  // namespace

LoRAConfig read_adapter_config(const std::string& path, bool heads) {
  const JsonDocument document = JsonDocument::read(path, size_t{16} << 20);
  const JsonValue root = document.root();
  refuse_unsupported(root, heads);
  tell_of_unknown(document);
  LoRAConfig config;
  config.rank = root.find("r") ? read_rank(root.get("r")) : kRank;
  config.alpha = root.find("lora_alpha") ? read_alpha(root.get("lora_alpha")) : kAlpha;
  if (const auto p = root.find("lora_dropout"); p && !p->is_null()) config.dropout = number_in(*p, 0, 0.999);
  config.use_rslora = root.bool_or("use_rslora", false);
  config.base_model = root.string_or("base_model_name_or_path", "");
  config.task_type = root.string_or("task_type", config.task_type);
  if (const auto modules = heads ? root.find_set("modules_to_save") : std::nullopt) config.modules_to_save = read_names(*modules);
  read_targets(root, config);
  read_exclusions(root, config);
  read_blocks(root, config);
  config.rank_pattern = read_pattern(root, "rank_pattern", read_rank);
  config.alpha_pattern = read_pattern(root, "alpha_pattern", read_alpha);
  return config;
}

namespace {

// PEFT declares an integer; fractions load too.
void write_number(JsonWriter& w, double number) {
  if (number == std::floor(number) && number < 1e15) {
    w.value(static_cast<int64_t>(number));
  } else {
    w.value(number);
  }
}

/// A path is an expression that matches itself; its dots match any character, which no other path differs in.
void write_own_numbers(JsonWriter& w, const LoRAConfig& config, std::span<const Adapter::Pair> pairs, bool ranks) {
  w.begin_object();
  for (const Adapter::Pair& pair : pairs) {
    const int64_t rank = pair.a.dim(0);
    if (ranks ? rank == config.rank : pair.alpha == config.alpha) continue;
    w.key(pair.path);
    write_number(w, ranks ? static_cast<double>(rank) : pair.alpha);
  }
  w.end_object();
}

void write_modules(JsonWriter& w, const std::vector<std::string>& modules) {
  if (modules.empty()) {
    w.field("modules_to_save", nullptr);
    return;
  }
  w.key("modules_to_save").begin_array();
  for (const std::string& name : modules) w.value(name);
  w.end_array();
}

}  // namespace

std::string write_adapter_config(const LoRAConfig& config, const std::vector<std::string>& targets, std::span<const Adapter::Pair> pairs) {
  JsonWriter w(2);
  w.begin_object();
  w.key("alpha_pattern");
  write_own_numbers(w, config, pairs, false);
  w.field("auto_mapping", nullptr);
  w.field("base_model_name_or_path", config.base_model);
  w.field("bias", "none");
  w.field("exclude_modules", nullptr);
  w.field("fan_in_fan_out", false);
  w.field("inference_mode", true);
  w.field("init_lora_weights", true);
  w.field("layer_replication", nullptr);
  w.field("layers_pattern", nullptr);
  w.field("layers_to_transform", nullptr);
  w.key("lora_alpha");
  write_number(w, config.alpha);
  w.field("lora_bias", false);
  w.field("lora_dropout", config.dropout);
  write_modules(w, config.modules_to_save);
  w.field("peft_type", "LORA");
  w.field("r", config.rank);
  w.key("rank_pattern");
  write_own_numbers(w, config, pairs, true);
  w.field("revision", nullptr);
  w.key("target_modules").begin_array();
  for (const std::string& name : targets) w.value(name);
  w.end_array();
  w.field("task_type", config.task_type);
  w.field("use_dora", false);
  w.field("use_rslora", config.use_rslora);
  w.end_object();
  return w.text() + "\n";
}

}  // namespace lazuli
