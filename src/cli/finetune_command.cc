// The command `finetune`: trains a LoRA adapter on texts.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <string_view>

#include "base/file.h"
#include "base/json_writer.h"
#include "base/terminal.h"
#include "cli/command.h"
#include "cli/data_line.h"
#include "cli/finetune_task.h"
#include "cli/human.h"
#include "cli/input.h"
#include "lazuli/adapter.h"
#include "lazuli/determinism.h"
#include "train/fine_tune.h"
#include "train/loss_curve.h"

namespace lazuli::cli {
namespace {

struct FinetuneFlags {
  bool deterministic = false;
  std::string model, data, adapter_path;
  std::string task = "text";
  int64_t iters = 1000;
  int64_t batch_size = 4;
  double learning_rate = 1e-5;
  int64_t lora_rank = 8;
  double lora_alpha = 16;
  double lora_dropout = 0;
  std::string target_modules = "all-linear";
  int64_t max_seq_length = 2048;
  int64_t steps_per_report = 10;
  int64_t steps_per_eval = 200;
  int64_t val_batches = 25;
  int64_t save_every = 100;
  double max_grad_norm = 1.0;
  double weight_decay = 0.01;
  int64_t warmup_steps = 0;
  std::string lr_schedule = "constant";
  std::string on_nonfinite = "stop";
  std::string quantize = "none";
  bool resume = false;
};

FineTuneOptions loop_options(const FinetuneFlags& flags, const Common& common) {
  FineTuneOptions o;
  o.folder = flags.adapter_path;
  o.train.iterations = flags.iters;
  o.train.learning_rate = flags.learning_rate;
  o.train.schedule = parse_rate_schedule(flags.lr_schedule);
  o.train.warmup_steps = flags.warmup_steps;
  o.train.weight_decay = flags.weight_decay;
  o.train.max_grad_norm = flags.max_grad_norm;
  o.train.skip_nonfinite = flags.on_nonfinite == "skip";
  o.train.seed = static_cast<uint64_t>(common.seed);
  o.batch_size = flags.batch_size;
  o.steps_per_report = flags.steps_per_report;
  o.steps_per_eval = flags.steps_per_eval;
  o.val_batches = flags.val_batches;
  o.save_every = flags.save_every;
  o.resume = flags.resume;
  o.quiet = common.quiet;
  return o;
}

Adapter first_adapter(const FinetuneFlags& flags, const Common& common, const std::vector<std::string>& targets, const FinetuneTask& task) {
  if (flags.resume) return Adapter::load(flags.adapter_path, task.linears);
  LoRAConfig config;
  config.rank = flags.lora_rank;
  config.alpha = flags.lora_alpha;
  config.dropout = flags.lora_dropout;
  config.target_modules = targets;
  config.base_model = flags.model;
  config.task_type = task.task_type;
  return Adapter::create(task.linears, std::move(config), static_cast<uint64_t>(common.seed));
}

void say(const Common& common, std::string_view text) {
  if (!common.quiet) std::fprintf(stderr, "%.*s\n", static_cast<int>(text.size()), text.data());
}

void say_what_is_trained(const Common& common, const FinetuneTask& task, const Adapter& adapter) {
  const ModelInfo& info = *task.info;
  const std::string rounded = info.quantization == Quantization::none ? "" : fmt::format(" in {}", name_of(info.quantization));
  say(common, fmt::format("{}: {}, {:.1f} M parameters{}; adapter of rank {} on {} layers, {:.2f} M parameters", info.path,
                          info.architecture, static_cast<double>(info.parameters) / 1e6, rounded, adapter.config().rank,
                          adapter.pairs().size(), static_cast<double>(adapter.parameter_count()) / 1e6));
  say_data(common, task.data);
  say(common, task.examples);
}

void add_optional(JsonWriter& w, std::string_view name, const std::optional<double>& value) {
  w.key(name);
  if (value) {
    w.value(*value);
  } else {
    w.value(nullptr);
  }
}

std::string report_json(const FinetuneFlags& flags, const FinetuneTask& task, const FineTuneReport& r, const Adapter& adapter,
                        const std::string& curves) {
  JsonWriter w;
  w.begin_object()
      .field("adapter_path", flags.adapter_path)
      .field("loss_curve", curves)
      .field("quantization", flags.quantize)
      .field("iterations", r.iterations)
      .field("interrupted", r.interrupted);
  add_optional(w, "train_loss_before", r.train_loss_before);
  add_optional(w, "train_loss_after", r.train_loss_after);
  add_optional(w, "val_loss_before", r.val_loss_before);
  add_optional(w, "val_loss_after", r.val_loss_after);
  w.field("trainable_parameters", adapter.parameter_count())
      .field("trained_tokens", r.trained_tokens)
      .field("skipped_iterations", r.skipped)
      .field("tokens_per_second", r.tokens_per_second)
      .field("seconds", r.seconds)
      .field("peak_memory_bytes", r.peak_memory_bytes)
      .field("recomputed_layers", r.recomputed_layers);
  write_allocator(w);
  write_data(w, task.data);
  w.end_object();
  return w.text();
}

std::string change(const std::optional<double>& before, const std::optional<double>& after) {
  if (!before) return "not measured";
  return after ? fmt::format("{:.4f} before, {:.4f} after", *before, *after) : fmt::format("{:.4f} before", *before);
}

void say_summary(const Common& common, const FinetuneFlags& flags, const FineTuneReport& r) {
  say(common, fmt::format("training loss {}; validation loss {}", change(r.train_loss_before, r.train_loss_after),
                          change(r.val_loss_before, r.val_loss_after)));
  say(common, fmt::format("{} tokens in {}, {:.0f} tokens/s, peak memory {}", r.trained_tokens, format_duration(r.seconds),
                          r.tokens_per_second, human_bytes(r.peak_memory_bytes)));
  if (r.skipped > 0) say(common, fmt::format("{} iterations without a finite loss were left out", r.skipped));
  say(common, fmt::format("{} {}", coloured(STDERR_FILENO, Colour::green, "adapter saved:"), flags.adapter_path));
  if (!r.interrupted) return;
  const std::string again = common.command_line + (flags.resume ? "" : " --resume");
  say(common, fmt::format("stopped after iteration {} of {}; to go on: {}", r.iterations, flags.iters, again));
}

/// Curves of the whole training, runs before --resume included.
std::string draw_curves(const Common& common, const FinetuneFlags& flags) {
  constexpr int kMostColumns = 100;
  const LossCurves curves = read_loss_curves(metrics_path(flags.adapter_path));
  const std::string path = (std::filesystem::path(flags.adapter_path) / "loss.svg").string();
  write_file(path, plot_svg(curves, flags.model + ", " + flags.data));
  const std::string plot = plot_text(curves, std::min(terminal_width(STDERR_FILENO), kMostColumns));
  if (!plot.empty()) say(common, "\n" + plot);
  return path;
}

int run_finetune(const FinetuneFlags& flags, const Common& common) {
  set_deterministic(flags.deterministic);
  FineTuneOptions options = loop_options(flags, common);
  options.train.check();
  const std::vector<std::string> targets = split_names("--target-modules", flags.target_modules);
  const TaskSources sources{flags.model,          flags.data,
                            flags.max_seq_length, static_cast<uint64_t>(common.seed),
                            common.dtype,         parse_quantization(flags.quantize),
                            flags.batch_size,     flags.adapter_path};
  const FinetuneTask task = flags.task == "similarity" ? similarity_task(sources) : text_task(sources);
  options.perplexity = task.perplexity;
  const Adapter adapter = first_adapter(flags, common, targets, task);
  say_what_is_trained(common, task, adapter);
  Trainer trainer(task.objective, adapter, options.train, common.device);
  if (flags.resume) {
    trainer.load_state(training_state_path(flags.adapter_path));
    say(common, fmt::format("going on after iteration {}", trainer.steps_done()));
  }
  const FineTuneReport report = fine_tune(trainer, *task.train, task.validation.get(), options);
  const std::string curves = draw_curves(common, flags);
  if (common.json) print_json(report_json(flags, task, report, adapter, curves));
  say_summary(common, flags, report);
  return report.interrupted ? kInterrupted : kOk;
}

constexpr const char* kDetails =
    "The data is a file, - for standard input, or a folder: rows of {\"text\": ...} (.jsonl, .ndjson, .json, .csv, .tsv), text or source\n"
    "files. Of a folder's rows those called train are trained on and those called valid, validation, val or dev are for validation; test\n"
    "data are never read. Without such names a tenth of the files or rows is held out, of a single text file its last tenth. Each text\n"
    "has the tokens that the tokenizer puts around it and the end-of-text token behind it; texts are joined and cut into windows, of\n"
    "which the last one is filled up. The first line says what was read and what was left out.\n"
    "The adapter's folder gets adapter_config.json and adapter_model.safetensors in PEFT's layout,\n"
    "metrics.jsonl, loss.svg, and training_state.safetensors, from which --resume goes on. Ctrl-C finishes the step, saves, and ends\n"
    "with code 130; a second Ctrl-C ends at once.\n"
    "Where a step would take more than --max-memory, as few layers as it needs keep nothing for the backward pass, which computes them\n"
    "again: slower, with the same result.\n"
    "With --quantize the model's weights are rounded, which takes a quarter or an eighth of their memory; the adapter is trained in f32 "
    "on\n"
    "what is left of them (Dettmers et al. 2023) and saved as always. Use it with the same --quantize, and give that to --resume, too.\n"
    "With --task similarity the model is an encoder and the data are pairs of texts: rows {\"anchor\", \"positive\"}, of which each\n"
    "learns to tell its own second text from those of its batch and from the negatives of all its rows (columns whose name begins with\n"
    "negative), or rows {\"sentence1\", \"sentence2\", \"score\"} with the cosine that is wanted. No text stands twice in a batch of the\n"
    "first kind. lazuli embed and lazuli similar take the adapter.";

constexpr const char* kExamples =
    "lazuli finetune --model models/pycoder-16m --data src --adapter-path my-adapter --iters 300 --learning-rate 1e-3\n"
    "lazuli finetune --model MODEL --data rows --adapter-path OUT --target-modules q_proj,v_proj --lora-rank 16 --lora-alpha 32\n"
    "lazuli finetune --model MODEL --data notes.txt --adapter-path OUT --lr-schedule cosine --warmup-steps 20 --json > result.json\n"
    "lazuli finetune --model MODEL --data rows --adapter-path OUT --resume\n"
    "lazuli finetune --model MODEL --data rows --adapter-path OUT --quantize int4 --learning-rate 1e-4\n"
    "lazuli finetune --task similarity --model all-MiniLM-L6-v2 --data pairs.jsonl --adapter-path OUT2 --batch-size 32 --learning-rate "
    "1e-4";

std::vector<Option> finetune_options(FinetuneFlags& f) {
  return {
      model_option(&f.model),
      {.name = "--data", .target = &f.data, .help = "Texts to train on", .value = "PATH", .required = true},
      {.name = "--adapter-path", .target = &f.adapter_path, .help = "Folder for the adapter", .value = "DIR", .required = true},
      {.name = "--task",
       .target = &f.task,
       .help = "What the model learns: to continue texts, or to tell which are similar",
       .choices = {"text", "similarity"}},
      {.name = "--iters", .target = &f.iters, .help = "Training steps", .low = 0, .high = 1e9},
      {.name = "--batch-size", .target = &f.batch_size, .help = "Windows or pairs in each step", .low = 1, .high = 65536},
      {.name = "--learning-rate", .target = &f.learning_rate, .help = "Of AdamW", .low = 0},
      {.name = "--lora-rank", .target = &f.lora_rank, .help = "Rank of the adapter", .low = 1, .high = 65536},
      {.name = "--lora-alpha", .target = &f.lora_alpha, .help = "The adapter's part is scaled by alpha / rank", .low = 0},
      {.name = "--lora-dropout",
       .target = &f.lora_dropout,
       .help = "Probability of a zero in the adapter's input",
       .low = 0,
       .high = 0.999},
      {.name = "--target-modules", .target = &f.target_modules, .help = "all-linear, or names such as q_proj,v_proj", .value = "NAMES"},
      {.name = "--max-seq-length",
       .target = &f.max_seq_length,
       .help = "Tokens in a window or text, at most the context",
       .low = 1,
       .high = 1e9},
      {.name = "--steps-per-report", .target = &f.steps_per_report, .help = "Steps between reports of the loss", .low = 1},
      {.name = "--steps-per-eval", .target = &f.steps_per_eval, .help = "Steps between validations", .low = 1},
      {.name = "--val-batches", .target = &f.val_batches, .help = "Batches in a validation; -1: all", .low = -1},
      {.name = "--save-every", .target = &f.save_every, .help = "Steps between saves", .low = 1},
      {.name = "--max-grad-norm", .target = &f.max_grad_norm, .help = "Gradients are scaled down to this norm; 0: never", .low = 0},
      {.name = "--weight-decay", .target = &f.weight_decay, .help = "Of AdamW", .low = 0},
      {.name = "--warmup-steps", .target = &f.warmup_steps, .help = "Steps in which the learning rate rises", .low = 0, .high = 1e9},
      {.name = "--lr-schedule", .target = &f.lr_schedule, .help = "After the warm-up", .choices = {"constant", "cosine", "linear"}},
      {.name = "--on-nonfinite",
       .target = &f.on_nonfinite,
       .help = "What a loss or gradient that is not finite does: end the training, or leave that step out",
       .choices = {"stop", "skip"}},
      quantize_option(&f.quantize),
      {.name = "--resume", .target = &f.resume, .help = "Go on from what --adapter-path holds"},
      deterministic_option(&f.deterministic),
  };
}

}  // namespace

Command finetune_command() {
  const auto flags = std::make_shared<FinetuneFlags>();
  return {.name = "finetune",
          .summary = "Train a LoRA adapter on texts",
          .details = kDetails,
          .examples = kExamples,
          .options = finetune_options(*flags),
          .run = [flags](const Common& common) { return run_finetune(*flags, common); },
          .memory_hint = "a smaller --batch-size, --max-seq-length or --lora-rank, --quantize int8, or --dtype bf16"};
}

}  // namespace lazuli::cli
