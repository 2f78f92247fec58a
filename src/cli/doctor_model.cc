// Implements the diagnosis of a model's folder.
#include "cli/doctor_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <optional>

#include "base/json_writer.h"
#include "base/system_info.h"
#include "cli/human.h"
#include "explain/memory_estimate.h"
#include "lazuli/error.h"
#include "lazuli/notice.h"
#include "lazuli/rerank.h"
#include "models/module_list.h"
#include "models/registry.h"
#include "models/weights.h"
#include "text/tokenizer/load.h"

namespace lazuli::cli {

namespace {

std::string size_text(uint64_t bytes) { return human_bytes(static_cast<double>(bytes)); }

/// What one part of the work says, or its error.
bool look(ModelDiagnosis& d, const char* part, const std::function<std::string()>& work) {
  try {
    d.findings.push_back({part, true, work()});
    return true;
  } catch (const Error& error) {
    d.findings.push_back({part, false, error.what()});
    return false;
  }
}

std::string look_at_config(ModelFolder& folder) {
  const auto config = folder.require("config.json");
  const std::string outer = model_type_of(*config), inner = computed_model_type(*config);
  const std::vector<std::string> decoders = architectures(), encoders = encoder_architectures();
  const auto is_one_of = [&](const std::vector<std::string>& names) { return std::find(names.begin(), names.end(), inner) != names.end(); };
  if (!is_one_of(decoders) && !is_one_of(encoders)) {
    throw FormatError(fmt::format("the architecture '{}' is not built in; these are: {}, {}", inner, fmt::join(decoders, ", "),
                                  fmt::join(encoders, ", ")));
  }
  const ModelConfig read = read_model_config(folder.path());
  return fmt::format("{}{}, {} layers of {}, vocabulary of {}, context of {}", inner, inner == outer ? "" : " inside " + outer,
                     read.num_hidden_layers, read.hidden_size, read.vocab_size, read.max_position_embeddings);
}

std::string look_at_weights(ModelFolder& folder) {
  const auto source = folder.weights();
  uint64_t bytes = 0;
  for (const std::string& name : source->names()) bytes += source->info(name).nbytes;
  return fmt::format("{} tensors, {}, most in {}", source->names().size(), size_text(bytes), name_of(stored_dtype(*source)));
}

std::string look_at_template(ModelFolder& folder) {
  const auto config = folder.find("tokenizer_config.json");
  const bool has =
      folder.has("chat_template.jinja") || folder.has("chat_template.json") || (config && config->root().find_set("chat_template"));
  return has ? "a chat template" : "no chat template: the model continues texts";
}

/// Notices that were told while it lives, which the diagnosis shows in their place.
class Collected {
 public:
  explicit Collected(std::vector<std::string>& notes)
      : before_(set_notice_handler([&notes](std::string_view text) { notes.emplace_back(text); })) {}
  Collected(const Collected&) = delete;
  Collected& operator=(const Collected&) = delete;
  ~Collected() { set_notice_handler(std::move(before_)); }

 private:
  NoticeHandler before_;
};

/// The use that the plans predict, beside what there is.
std::string memory_text(const char* what, const MemoryUse& use, uint64_t available) {
  return fmt::format("{} needs {} of {}{}", what, size_text(use.total()), size_text(available),
                     use.total() > available ? ", which is more than there is: take --quantize, a shorter context or a smaller batch" : "");
}

void look_at_memory(ModelDiagnosis& d, const AnyModel& model, bool readable) {
  const uint64_t available = memory_available();
  EstimateOptions options;
  options.context = std::min<int64_t>(model.context() > 0 ? model.context() : 2048, 2048);
  options.max_seq_length = std::min<int64_t>(model.context() > 0 ? model.context() : 512, 512);
  options.batch = 1;
  bool runs = false, trains = false;
  look(d, "memory", [&] {
    const MemoryEstimate m = estimate_memory(model, options, {});
    const UseEstimate& use = m.generate ? *m.generate : *m.embed;
    runs = use.use.total() <= available;
    trains = m.finetune.use.total() <= available;
    const std::string work =
        m.generate ? fmt::format("generate with a context of {}", use.tokens) : fmt::format("embed of {} texts", use.batch);
    return fmt::format("{}; {}", memory_text(work.c_str(), use.use, available),
                       memory_text(fmt::format("finetune on {} tokens", m.finetune.tokens).c_str(), m.finetune.use, available));
  });
  if (!readable) return;
  const bool decoder = model.language() != nullptr;
  if (runs) d.use = decoder ? "generate, eval" : "embed, similar";
  if (trains) d.training = decoder ? "finetune" : "finetune --task similarity";
}

bool has_classifier(ModelFolder& folder) {
  const std::vector<std::string> names = folder.weights()->names();
  return std::any_of(names.begin(), names.end(), [](const std::string& name) { return name.starts_with("classifier."); });
}

/// The head of an encoder gives it more uses.
void look_at_head(ModelDiagnosis& d, DType dtype) {
  look(d, "head", [&] {
    const int64_t labels = RerankModel::load(d.path, dtype)->labels();
    if (!d.use.empty()) d.use += labels == 1 ? ", classify, rerank" : ", classify";
    if (!d.training.empty()) d.training += labels == 1 ? ", --task classify, --task rerank" : ", --task classify";
    return fmt::format("a classification head of {} label{}", labels, labels == 1 ? "" : "s");
  });
}

}  // namespace

ModelDiagnosis diagnose_model(const std::string& name, const Common& common) {
  ModelDiagnosis d;
  const Collected collected(d.notes);
  const WithoutValues plans_only;
  std::optional<ModelFolder> whole;
  std::optional<AnyModel> model;
  ModelFolder* folder = nullptr;
  DType stored = common.dtype;
  const bool known = look(d, "configuration", [&] {
    whole.emplace(name);
    d.path = whole->path();
    folder = &transformer_folder(*whole);
    return look_at_config(*folder);
  });
  if (folder == nullptr || !folder->has("config.json")) return d;
  const bool tokens = look(d, "tokenizer", [&] { return fmt::format("{} tokens", load_tokenizer(*folder).vocab_size()); });
  look(d, "template", [&] { return look_at_template(*folder); });
  const bool weights = look(d, "weights", [&] {
    std::string text = look_at_weights(*folder);
    // In the dtype of the files they are mapped, and take no memory here.
    stored = common.has("--dtype") ? common.dtype : stored_dtype(*folder->weights());
    // An encoder's weights can be looked at without the tokenizer that its vectors need.
    if (known && !tokens && holds_encoder(*whole)) {
      load_encoder(*folder, stored, Quantization::none);
    } else if (known) {
      model.emplace(AnyModel::load(*whole, stored, Quantization::none));
    }
    return text + (known ? ": complete" : "");
  });
  if (weights && model) look_at_memory(d, *model, tokens);
  if (weights && tokens && holds_encoder(*whole) && has_classifier(*folder)) look_at_head(d, stored);
  // What loading and planning tell twice is one note.
  std::sort(d.notes.begin(), d.notes.end());
  d.notes.erase(std::unique(d.notes.begin(), d.notes.end()), d.notes.end());
  return d;
}

std::string as_json(const ModelDiagnosis& d) {
  JsonWriter w;
  w.begin_object().field("path", d.path).field("can_run", !d.use.empty()).field("can_train", !d.training.empty());
  w.field("commands", d.use).field("training", d.training).key("findings").begin_array();
  for (const Finding& f : d.findings) {
    w.begin_object().field("part", f.part).field("ok", f.ok).field("message", f.message).end_object();
  }
  w.end_array().key("notes").begin_array();
  for (const std::string& note : d.notes) w.value(note);
  w.end_array().end_object();
  return w.text();
}

std::string as_text(const ModelDiagnosis& d) {
  fmt::memory_buffer out;
  auto to = std::back_inserter(out);
  for (const Finding& f : d.findings) fmt::format_to(to, "{:<16}{}{}\n", f.part, f.ok ? "" : "NOT OK: ", f.message);
  for (const std::string& note : d.notes) fmt::format_to(to, "{:<16}{}\n", "note", note);
  fmt::format_to(to, "{:<16}{}\n", "can be run", d.use.empty() ? "no" : "yes, with " + d.use);
  fmt::format_to(to, "{:<16}{}\n", "can be trained", d.training.empty() ? "no" : "yes, with " + d.training);
  return fmt::to_string(out);
}

}  // namespace lazuli::cli
