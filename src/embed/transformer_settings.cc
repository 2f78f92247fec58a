// Implements TransformerSettings.
#include "embed/transformer_settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include "base/json.h"
#include "lazuli/error.h"

namespace lazuli {

namespace {

constexpr const char* kNames[] = {"sentence_bert_config.json",      "sentence_roberta_config.json", "sentence_distilbert_config.json",
                                  "sentence_camembert_config.json", "sentence_albert_config.json",  "sentence_xlm-roberta_config.json",
                                  "sentence_xlnet_config.json"};

bool is_empty(const JsonValue& v) {
  return v.is_null() || (v.is_object() && v.as_object().size() == 0) || (v.is_array() && v.as_array().size() == 0) ||
         (v.is_bool() && !v.as_bool());
}

int64_t length_in(const JsonValue& value) {
  const int64_t length = value.as_int();
  if (length < 1) value.fail(fmt::format("a number from 1 on expected, got {}", length));
  return length;
}

/// A tokenizer's limit: numbers beyond 64 bits stand for none.
std::optional<int64_t> limit_in(const JsonValue& value) {
  if (value.is_null()) return std::nullopt;
  if (!value.is_int() && value.is_number() && value.as_double() >= 0x1p62) return std::nullopt;
  return length_in(value);
}

/// Only these keys may have a value in `object`, and `takes` says what becomes of it.
template <class Takes>
void read_known(const JsonValue& object, const Takes& takes) {
  for (const JsonMember& m : object.as_object()) {
    if (!takes(m) && !is_empty(m.value)) m.value.fail(fmt::format("'{}' is not supported here", m.key));
  }
}

void need_text(const JsonValue& root, std::string_view key, std::string_view expected) {
  const auto value = root.find_set(key);
  if (value && value->as_string() != expected) value->fail(fmt::format("'{}' expected, got '{}'", expected, value->as_string()));
}

/// What the files call a task and its outputs.
struct TaskNames {
  std::string_view task, output, method_output;
};

constexpr TaskNames kTasks[] = {{"feature-extraction", "token_embeddings", "last_hidden_state"},
                                {"sequence-classification", "scores", "logits"},
                                {"text-generation", "causal_logits", "logits"}};

/// {"text": {"method": "forward", "method_output_name": "last_hidden_state"}}
void check_modality(const JsonValue& root, TransformerTask task) {
  const TaskNames& names = kTasks[static_cast<size_t>(task)];
  need_text(root, "transformer_task", names.task);
  need_text(root, "module_output_name", names.output);
  const auto modality = root.find_set("modality_config");
  if (!modality) return;
  for (const JsonMember& m : modality->as_object()) {
    // Messages are texts in a chat template.
    const bool known = m.key == "text" || (m.key == "message" && task == TransformerTask::generation);
    if (!known) m.value.fail(fmt::format("the modality text expected, got '{}'", m.key));
    need_text(m.value, "method", "forward");
    need_text(m.value, "method_output_name", names.method_output);
  }
}

/// What is given to the classes of transformers. `limit` becomes the tokenizer's.
void read_arguments(const JsonValue& root, std::optional<int64_t>& limit) {
  for (const char* key : {"processor_kwargs", "tokenizer_args"}) {
    const auto arguments = root.find_set(key);
    if (!arguments) continue;
    read_known(*arguments, [&](const JsonMember& m) {
      if (m.key == "model_max_length") limit = limit_in(m.value);
      return m.key == "model_max_length" || m.key == "padding_side" || m.key == "trust_remote_code" || m.key == "use_fast";
    });
  }
  for (const char* key : {"model_kwargs", "model_args", "config_kwargs", "config_args"}) {
    const auto arguments = root.find_set(key);
    if (!arguments) continue;
    read_known(*arguments, [](const JsonMember& m) {
      // How and in which dtype it is computed is chosen here.
      static constexpr std::string_view known[] = {"attn_implementation", "torch_dtype",       "dtype",     "trust_remote_code",
                                                   "use_safetensors",     "low_cpu_mem_usage", "device_map"};
      return std::find(std::begin(known), std::end(known), m.key) != std::end(known);
    });
  }
}

/// {"text": {"max_length": 128}} comes before any other length.
std::optional<int64_t> processing_length(const JsonValue& root) {
  std::optional<int64_t> length;
  const auto processing = root.find_set("processing_kwargs");
  if (!processing) return length;
  read_known(*processing, [&](const JsonMember& part) {
    if (part.key != "text" || part.value.is_null()) return part.key == "audio" || part.key == "image" || part.key == "video";
    read_known(part.value, [&](const JsonMember& m) {
      if (m.key == "max_length" && !m.value.is_null()) length = length_in(m.value);
      if (m.key == "truncation" && m.value.is_bool() && !m.value.as_bool()) m.value.fail("texts that are not cut are not supported");
      return m.key == "max_length" || m.key == "padding" || m.key == "truncation";
    });
    return true;
  });
  return length;
}

}  // namespace

TransformerSettings TransformerSettings::read(ModelFolder& folder, int64_t context, TransformerTask task) {
  TransformerSettings s;
  std::optional<int64_t> limit, length;
  for (const char* name : kNames) {
    const auto document = folder.find(name);
    if (!document || is_empty(document->root())) continue;
    const JsonValue root = document->root();
    check_modality(root, task);
    if (const auto own = root.find_set("max_seq_length")) limit = length_in(*own);
    read_arguments(root, limit);
    length = processing_length(root);
    s.lower_case = root.bool_or("do_lower_case", false);
    break;
  }
  if (const auto document = limit ? nullptr : folder.find("tokenizer_config.json")) {
    const auto own = document->root().find("model_max_length");
    const auto older = document->root().find("max_len");
    if (own || older) limit = limit_in(own ? *own : *older);
  }
  s.max_seq_length = std::min(context, length.value_or(limit.value_or(context)));
  return s;
}

}  // namespace lazuli
