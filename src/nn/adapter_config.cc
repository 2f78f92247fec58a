// Implements adapter_config.json in PEFT's layout.
#include "nn/adapter_config.h"

#include <fmt/format.h>

#include <cmath>
#include <string_view>

#include "base/json.h"
#include "base/json_writer.h"

namespace lazuli {

namespace {

/// Settings that change what an adapter computes in ways that are not supported: they must be missing, null, false or empty.
constexpr std::string_view kRefused[] = {"use_dora",
                                         "fan_in_fan_out",
                                         "lora_bias",
                                         "use_qalora",
                                         "modules_to_save",
                                         "exclude_modules",
                                         "layers_to_transform",
                                         "layers_pattern",
                                         "rank_pattern",
                                         "alpha_pattern",
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

void refuse_unsupported(const JsonValue& root) {
  need_text(root, "peft_type", "LORA", false);
  if (const auto task = root.find("task_type"); task && !task->is_null() && task->as_string() != "FEATURE_EXTRACTION") {
    need_text(root, "task_type", "CAUSAL_LM", true);
  }
  need_text(root, "bias", "none", true);
  for (std::string_view key : kRefused) {
    if (const auto v = root.find(key); v && !is_unset(*v)) v->fail(fmt::format("'{}' is not supported in LoRA adapters", key));
  }
  // Other starts (PiSSA, OLoRA, CorDA, LoftQ) also change the weights of the model itself.
  const auto init = root.find("init_lora_weights");
  if (!init || init->is_null() || init->is_bool()) return;
  if (init->as_string() != "gaussian") init->fail(fmt::format("true, false or 'gaussian' expected, got '{}'", init->as_string()));
}

void read_targets(const JsonValue& root, LoRAConfig& config) {
  const JsonValue targets = root.get("target_modules");
  config.target_modules.clear();
  if (targets.is_string()) {
    const auto text = std::string(targets.as_string());
    if (text == "all-linear") {
      config.target_modules.push_back(text);
    } else {
      config.target_pattern = text;
    }
    if (text.empty()) targets.fail("names of modules or an expression expected");
    return;
  }
  for (const JsonValue& name : targets.as_array()) config.target_modules.emplace_back(name.as_string());
  if (config.target_modules.empty()) targets.fail("at least one module expected");
}

double number_in(const JsonValue& v, double low, double high) {
  const double x = v.as_double();
  if (!(x >= low && x <= high)) v.fail(fmt::format("a number from {} to {} expected, got {}", low, high, x));
  return x;
}

}  // namespace

LoRAConfig read_adapter_config(const std::string& path) {
  const JsonDocument document = JsonDocument::read(path, size_t{16} << 20);
  const JsonValue root = document.root();
  refuse_unsupported(root);
  LoRAConfig config;
  const JsonValue rank = root.get("r");
  config.rank = rank.as_int();
  if (config.rank < 1 || config.rank > 65536) rank.fail(fmt::format("a rank from 1 to 65536 expected, got {}", config.rank));
  config.alpha = number_in(root.get("lora_alpha"), 0, 1e9);
  if (const auto p = root.find("lora_dropout"); p && !p->is_null()) config.dropout = number_in(*p, 0, 0.999);
  config.use_rslora = root.bool_or("use_rslora", false);
  config.base_model = root.string_or("base_model_name_or_path", "");
  config.task_type = root.string_or("task_type", config.task_type);
  read_targets(root, config);
  return config;
}

std::string write_adapter_config(const LoRAConfig& config, const std::vector<std::string>& targets) {
  JsonWriter w(2);
  w.begin_object();
  w.key("alpha_pattern").begin_object().end_object();
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
  // PEFT declares an integer; fractions load too.
  if (config.alpha == std::floor(config.alpha) && config.alpha < 1e15) {
    w.field("lora_alpha", static_cast<int64_t>(config.alpha));
  } else {
    w.field("lora_alpha", config.alpha);
  }
  w.field("lora_bias", false);
  w.field("lora_dropout", config.dropout);
  w.field("modules_to_save", nullptr);
  w.field("peft_type", "LORA");
  w.field("r", config.rank);
  w.key("rank_pattern").begin_object().end_object();
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
