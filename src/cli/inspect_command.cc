// Defines the command `inspect`, which shows what is in a model's folder or a safetensors file.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>

#include "base/json.h"
#include "base/json_writer.h"
#include "base/system_info.h"
#include "cli/command.h"
#include "cli/human.h"
#include "explain/memory_estimate.h"
#include "lazuli/safetensors.h"
#include "models/module_list.h"
#include "models/registry.h"
#include "models/weights.h"
#include "text/tokenizer/load.h"

namespace lazuli::cli {

namespace {

namespace fs = std::filesystem;

struct InspectFlags {
  std::string path;
  EstimateOptions estimate;
  std::string quantize = "none";
  bool summary = false;
};

/// What was found.
struct Contents {
  std::shared_ptr<const WeightSource> weights;
  std::vector<std::string> files;
  std::map<std::string, std::string> metadata;
  std::shared_ptr<const JsonDocument> config;
  uint64_t parameters = 0, bytes = 0;
  std::map<std::string, uint64_t> bytes_of_dtype;
  std::optional<MemoryEstimate> memory;
  std::string why_no_memory;
};

Contents read_contents(ModelFolder& path) {
  const bool is_folder = fs::is_directory(path.path());
  ModelFolder& folder = is_folder ? transformer_folder(path) : path;
  const std::string_view adapter = "adapter_model.safetensors";
  const bool is_adapter = is_folder && folder.has(adapter) && !folder.has("config.json");
  Contents c;
  c.weights = is_adapter  ? std::make_shared<const Checkpoint>(Checkpoint::open(folder.path_of(adapter)))
              : is_folder ? folder.weights()
                          : folder.checkpoint();
  if (const auto* checkpoint = dynamic_cast<const Checkpoint*>(c.weights.get())) {
    for (const SafetensorsFile& file : checkpoint->files()) c.metadata.insert(file.metadata().begin(), file.metadata().end());
  }
  if (is_folder) c.config = folder.find(is_adapter ? "adapter_config.json" : "config.json");
  for (const std::string& name : c.weights->names()) {
    const TensorInfo& info = c.weights->info(name);
    c.parameters += static_cast<uint64_t>(info.shape.numel());
    c.bytes += info.nbytes;
    c.bytes_of_dtype[info.dtype_name] += info.nbytes;
    if (const std::string& file = c.weights->file_of(name); std::find(c.files.begin(), c.files.end(), file) == c.files.end()) {
      c.files.push_back(file);
    }
  }
  if (c.files.empty()) c.files.push_back(c.weights->place());
  return c;
}

std::string dtypes_text(const Contents& c) {
  std::string text;
  for (const auto& [dtype, bytes] : c.bytes_of_dtype) text += (text.empty() ? "" : ", ") + dtype;
  return text;
}

/// Weights in the dtype of their files are mapped; in another one they take memory, which looking at a model should not need much of.
DType dtype_to_plan(const Contents& c, DType wanted) {
  if (c.parameters * size_of(wanted) <= memory_available() / 2) return wanted;
  const DType stored = stored_dtype(*c.weights);
  return stored == DType::f32 ? wanted : stored;
}

void estimate(ModelFolder& folder, const InspectFlags& flags, const Common& common, Contents& c) {
  std::string type = c.config && c.config->root().is_object() ? c.config->root().string_or("model_type", "") : "";
  if (!type.empty()) type = computed_model_type(*c.config);
  std::vector<std::string> known = architectures();
  const std::vector<std::string> encoders = encoder_architectures();
  known.insert(known.end(), encoders.begin(), encoders.end());
  if (type.empty()) {
    c.why_no_memory = "no config.json of a model";
  } else if (std::find(known.begin(), known.end(), type) == known.end()) {
    c.why_no_memory = fmt::format("'{}' is none of {}", type, fmt::join(known, ", "));
  } else if (holds_encoder(folder) && !has_tokenizer(transformer_folder(folder))) {
    c.why_no_memory = "an encoder without a tokenizer makes no embeddings";
  } else {
    const WithoutValues plans_only;
    const AnyModel model = AnyModel::load(folder, dtype_to_plan(c, common.dtype), parse_quantization(flags.quantize));
    c.memory = estimate_memory(model, flags.estimate, common.device);
  }
}

std::vector<int64_t> dims(const Shape& shape) { return {shape.span().begin(), shape.span().end()}; }

void write_tensors(JsonWriter& w, const WeightSource& checkpoint) {
  w.key("tensors").begin_array();
  for (const std::string& name : checkpoint.names()) {
    const TensorInfo& info = checkpoint.info(name);
    w.begin_object().field("name", name).field("dtype", info.dtype_name).key("shape").begin_array();
    for (int64_t d : dims(info.shape)) w.value(d);
    w.end_array().field("bytes", info.nbytes).end_object();
  }
  w.end_array();
}

void write_memory(JsonWriter& w, const Contents& c) {
  w.key("memory");
  if (!c.memory) {
    w.value(nullptr);
    return;
  }
  const MemoryEstimate& m = *c.memory;
  w.begin_object().field("dtype", name_of(m.dtype)).field("quantization", name_of(m.quantization));
  if (m.generate) {
    w.field("context", m.generate->tokens).key("generate");
    write_json(w, m.generate->use);
  }
  if (m.embed) {
    w.field("embed_batch_size", m.embed->batch).field("embed_tokens", m.embed->tokens).key("embed");
    write_json(w, m.embed->use);
  }
  w.field("batch_size", m.finetune.batch).field("max_seq_length", m.finetune.tokens).field("lora_rank", m.rank).key("finetune");
  write_json(w, m.finetune.use);
  w.end_object();
}

std::string as_json(const InspectFlags& flags, const Contents& c) {
  JsonWriter w;
  w.begin_object().field("path", flags.path).field("parameters", c.parameters).field("bytes", c.bytes);
  w.key("files").begin_array();
  for (const std::string& file : c.files) w.value(file);
  w.end_array().key("dtypes").begin_object();
  for (const auto& [dtype, bytes] : c.bytes_of_dtype) w.field(dtype, bytes);
  w.end_object().key("metadata").begin_object();
  for (const auto& [key, value] : c.metadata) w.field(key, value);
  w.end_object().key("config");
  if (c.config) {
    write_json(w, c.config->root());
  } else {
    w.value(nullptr);
  }
  write_memory(w, c);
  if (!flags.summary) write_tensors(w, *c.weights);
  w.end_object();
  return w.text();
}

using Lines = fmt::memory_buffer;

void tensor_lines(Lines& out, const WeightSource& checkpoint) {
  size_t width = 6;
  for (const std::string& name : checkpoint.names()) width = std::max(width, name.size());
  auto to = std::back_inserter(out);
  fmt::format_to(to, "{:<{}}  {:<7} {:>12}  shape\n", "tensor", width, "dtype", "bytes");
  for (const std::string& name : checkpoint.names()) {
    const TensorInfo& info = checkpoint.info(name);
    fmt::format_to(to, "{:<{}}  {:<7} {:>12}  {}\n", name, width, info.dtype_name, info.nbytes, to_string(info.shape));
  }
}

void config_lines(Lines& out, const JsonValue& config) {
  for (const JsonMember& m : config.as_object()) {
    JsonWriter w;
    write_json(w, m.value);
    fmt::format_to(std::back_inserter(out), "  {}: {}\n", m.key, w.text());
  }
}

std::string use_line(const MemoryUse& use) {
  const auto mb = [](uint64_t bytes) { return human_bytes(static_cast<double>(bytes)); };
  return fmt::format("{} = weights {} + arguments {} + workspace {} + results {}", mb(use.total()), mb(use.weights), mb(use.arguments),
                     mb(use.workspace), mb(use.results));
}

void memory_lines(Lines& out, const MemoryEstimate& m) {
  auto to = std::back_inserter(out);
  const bool rounded = m.quantization != Quantization::none;
  fmt::format_to(to, "memory in {}{}, predicted from the plans\n", name_of(m.dtype),
                 rounded ? fmt::format(", weights in {}", name_of(m.quantization)) : "");
  if (m.generate) fmt::format_to(to, "  generate, context of {}: {}\n", m.generate->tokens, use_line(m.generate->use));
  if (m.embed) fmt::format_to(to, "  embed, {} texts of {} tokens: {}\n", m.embed->batch, m.embed->tokens, use_line(m.embed->use));
  fmt::format_to(to, "  finetune{}, {} x {} tokens, rank {}: {}\n", m.embed ? " --task similarity, pairs" : "", m.finetune.batch,
                 m.finetune.tokens, m.rank, use_line(m.finetune.use));
}

std::string as_text(const InspectFlags& flags, const Contents& c) {
  Lines out;
  auto to = std::back_inserter(out);
  fmt::format_to(to, "{}: {} parameters in {} tensors, {} in {} file{} ({})\n", flags.path, human_count(static_cast<double>(c.parameters)),
                 c.weights->names().size(), human_bytes(static_cast<double>(c.bytes)), c.files.size(), c.files.size() == 1 ? "" : "s",
                 dtypes_text(c));
  if (!flags.summary) tensor_lines(out, *c.weights);
  if (c.config && c.config->root().is_object()) {
    fmt::format_to(to, "configuration\n");
    config_lines(out, c.config->root());
  }
  if (c.memory) {
    memory_lines(out, *c.memory);
  } else if (c.config) {
    fmt::format_to(to, "memory: not estimated, {}\n", c.why_no_memory);
  }
  return fmt::to_string(out);
}

int run_inspect(const InspectFlags& flags, const Common& common) {
  ModelFolder folder(flags.path);
  Contents c = read_contents(folder);
  estimate(folder, flags, common, c);
  if (common.json) {
    print_json(as_json(flags, c));
  } else {
    print_text(as_text(flags, c));
  }
  return kOk;
}

}  // namespace

Command inspect_command() {
  const auto flags = std::make_shared<InspectFlags>();
  Command c;
  c.name = "inspect";
  c.summary = "Show the tensors, configuration and memory needs of a model";
  c.details =
      "PATH is a model's folder, an adapter's folder, or a safetensors file. The memory is what the plans of `generate` and `finetune` "
      "say,\n"
      "for encoders those of `embed` and `finetune --task similarity`, so nothing is computed; --dtype chooses the dtype, and where that\n"
      "would not fit into memory the files' own is taken.";
  c.examples =
      "lazuli inspect models/pycoder-16m\n"
      "lazuli inspect models/pycoder-16m --summary --batch-size 8 --max-seq-length 512\n"
      "lazuli inspect models/pycoder-16m/model.safetensors --json\n"
      "lazuli inspect all-MiniLM-L6-v2 --summary";
  c.options = {
      path_argument(&flags->path, "What to look at"),
      {.name = "--summary", .target = &flags->summary, .help = "Do not list the tensors"},
      quantize_option(&flags->quantize),
      {.name = "--context",
       .target = &flags->estimate.context,
       .help = "Context length in tokens for generate; 0: the model's context",
       .low = 0},
      {.name = "--batch-size",
       .target = &flags->estimate.batch,
       .help = "Training sequences or pairs per step of finetune",
       .low = 1,
       .high = 65536},
      {.name = "--max-seq-length",
       .target = &flags->estimate.max_seq_length,
       .help = "Sequence length in tokens for finetune; 0: the default of finetune",
       .low = 0},
      {.name = "--lora-rank", .target = &flags->estimate.lora_rank, .help = "Rank of finetune's adapter", .low = 1, .high = 65536},
  };
  c.run = [flags](const Common& common) { return run_inspect(*flags, common); };
  return c;
}

}  // namespace lazuli::cli
