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
#include "base/interrupt.h"
#include "base/json_writer.h"
#include "base/output_folder.h"
#include "base/terminal.h"
#include "cli/command.h"
#include "cli/data_line.h"
#include "cli/finetune_flags.h"
#include "cli/finetune_resume.h"
#include "cli/finetune_task.h"
#include "cli/human.h"
#include "cli/input.h"
#include "lazuli/adapter.h"
#include "lazuli/determinism.h"
#include "lazuli/notice.h"
#include "tensor/same_bytes.h"
#include "train/fine_tune.h"
#include "train/loss_curve.h"

namespace lazuli::cli {
namespace {

FineTuneOptions loop_options(const FinetuneFlags& flags, const Common& common) {
  FineTuneOptions o;
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
  if (flags.resume) return Adapter::load(flags.adapter_path, task.linears, task.whole);
  LoRAConfig config;
  config.rank = flags.lora_rank;
  config.alpha = flags.lora_alpha;
  config.dropout = flags.lora_dropout;
  config.target_modules = targets;
  config.base_model = flags.model;
  config.task_type = task.task_type;
  Adapter adapter = Adapter::create(task.linears, std::move(config), static_cast<uint64_t>(common.seed));
  if (!task.whole.empty()) adapter.train_whole(task.whole, task.modules);
  return adapter;
}

FinetuneTask task_of(const std::string& name, const TaskSources& sources) {
  if (name == "similarity") return similarity_task(sources);
  if (name == "classify") return label_task(sources, LabelKind::classes);
  return name == "rerank" ? label_task(sources, LabelKind::relevance) : text_task(sources);
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
                        const std::string& curves, const std::optional<double>& accuracy) {
  JsonWriter w;
  w.begin_object()
      .field("adapter_path", flags.adapter_path)
      .field("loss_curve", curves)
      .field("quantization", flags.quantize)
      .field("iterations", r.iterations)
      .field("interrupted", r.interrupted)
      .field("saved", r.saved);
  add_optional(w, "train_loss_before", r.train_loss_before);
  add_optional(w, "train_loss_after", r.train_loss_after);
  w.field("train_loss_after_steps", r.train_loss_after_steps);
  add_optional(w, "val_loss_before", r.val_loss_before);
  add_optional(w, "val_loss_after", r.val_loss_after);
  if (task.accuracy) add_optional(w, "val_accuracy", accuracy);
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

std::string validation_change(const FineTuneReport& r) {
  if (!r.val_loss_before) return "not measured";
  const std::string before = fmt::format("{:.4f} before", *r.val_loss_before);
  return r.val_loss_after ? fmt::format("{}, {:.4f} after", before, *r.val_loss_after) : before;
}

std::string training_change(const FineTuneReport& r) {
  if (!r.train_loss_before) return "not measured";
  const std::string before = fmt::format("{:.4f} in the first step", *r.train_loss_before);
  if (!r.train_loss_after) return before;
  return fmt::format("{}, {:.4f} in the mean of the last {}", before, *r.train_loss_after, r.train_loss_after_steps);
}

/// The command line that goes on with what this one began.
std::string resuming(const Common& common, const FinetuneFlags& flags) {
  constexpr std::string_view kOverwrite = " --overwrite";
  std::string line = common.command_line;
  if (const size_t at = line.find(kOverwrite); flags.overwrite && at != std::string::npos) line.erase(at, kOverwrite.size());
  return line + (flags.resume ? "" : " --resume");
}

void say_summary(const Common& common, const FinetuneFlags& flags, const FineTuneReport& r) {
  say(common, fmt::format("training loss {}; validation loss {}", training_change(r), validation_change(r)));
  say(common, fmt::format("{} tokens in {}, {:.0f} tokens/s, peak memory {}", r.trained_tokens, format_duration(r.seconds),
                          r.tokens_per_second, human_bytes(r.peak_memory_bytes)));
  if (r.skipped > 0) say(common, fmt::format("{} iterations without a finite loss were left out", r.skipped));
  if (!r.saved) {
    say(common, fmt::format("stopped before the first iteration; {} holds what it held before", flags.adapter_path));
    return;
  }
  say(common, fmt::format("{} {}", coloured(STDERR_FILENO, Colour::green, "adapter saved:"), flags.adapter_path));
  if (!r.interrupted) return;
  say(common, fmt::format("stopped after iteration {} of {}; to go on: {}", r.iterations, flags.iters, resuming(common, flags)));
}

/// Curves of the whole training, runs before --resume included.
std::string draw_curves(const Common& common, const FinetuneFlags& flags, const OutputFolder& folder) {
  constexpr int kMostColumns = 100;
  const LossCurves curves = read_loss_curves(folder.file(kMetricsFile));
  write_file(folder.file(kCurvesFile), plot_svg(curves, flags.model + ", " + flags.data));
  const std::string plot = plot_text(curves, std::min(terminal_width(STDERR_FILENO), kMostColumns));
  if (!plot.empty()) say(common, "\n" + plot);
  return (std::filesystem::path(flags.adapter_path) / kCurvesFile).string();
}

/// Takes what was not given from the training in the folder, and says what will be different from now on.
TrainingNotes go_on(const OutputFolder& folder, FinetuneFlags& flags, Common& common) {
  TrainingNotes notes = read_notes(folder);
  const std::vector<std::string> changed = restore_options(notes, flags, common, folder);
  if (!notes.complete) {
    say(common, fmt::format("{}: of a version that kept no options; those that this command line does not give have their defaults, and "
                            "whether model and data are the same is not known",
                            folder.path()));
  }
  if (!changed.empty()) say(common, fmt::format("from now on: {}", fmt::join(changed, ", ")));
  return notes;
}

void check_flags(const FinetuneFlags& flags, const Common& common) {
  if (flags.resume && flags.overwrite) throw UsageError("--resume and --overwrite exclude each other (see lazuli finetune --help)");
  loop_options(flags, common).train.check();
  split_names("--target-modules", flags.target_modules);
}

bool same_factors(const Adapter& a, const Adapter& b) {
  const std::vector<Tensor> x = a.parameters(), y = b.parameters();
  return std::equal(x.begin(), x.end(), y.begin(), y.end(),
                    [](const Tensor& s, const Tensor& t) { return same_bytes(s.to(Device{}), t.to(Device{})); });
}

/// `stored`: of the folder, where a training goes on.
void start_trainer(Trainer& trainer, const FinetuneFlags& flags, const OutputFolder& folder, const Common& common, const Adapter& stored) {
  if (!flags.resume) return;
  trainer.load_state(folder.file(kStateFile));
  if (!same_factors(trainer.adapter(), stored)) {
    notice(fmt::format("{} is not what the training ended with, which {} holds and goes on with", folder.file(kFactorsFile), kStateFile));
  }
  say(common, fmt::format("going on after iteration {} of {}", trainer.steps_done(), flags.iters));
  if (trainer.steps_done() >= flags.iters) say(common, "all iterations are done already; a larger --iters goes on");
}

int run_finetune(FinetuneFlags flags, Common common) {
  check_flags(flags, common);
  OutputFolder folder(flags.adapter_path, training_files());
  check_folder(folder, flags);
  const TrainingNotes before = flags.resume ? go_on(folder, flags, common) : TrainingNotes();
  set_deterministic(flags.deterministic);
  FineTuneOptions options = loop_options(flags, common);
  options.train.check();
  const std::vector<std::string> targets = split_names("--target-modules", flags.target_modules);
  const TaskSources sources{flags.model,          flags.data,
                            flags.max_seq_length, static_cast<uint64_t>(common.seed),
                            common.dtype,         parse_quantization(flags.quantize),
                            flags.batch_size,     flags.adapter_path};
  const FinetuneTask task = task_of(flags.task, sources);
  options.perplexity = task.perplexity;
  options.overwrite = flags.overwrite && (folder.has(kAdapterFile) || folder.has(kFactorsFile));
  const TrainingNotes now = notes_of(flags, common, task);
  options.notes = as_metadata(now);
  const Adapter adapter = first_adapter(flags, common, targets, task);
  if (flags.resume) {
    check_adapter(before, adapter, common.has("--target-modules") ? targets : std::vector<std::string>(), task, folder);
    for (const std::string& what : compare_inputs(before, now, folder)) say(common, what);
  }
  say_what_is_trained(common, task, adapter);
  Trainer trainer(task.objective, adapter, options.train, common.device);
  start_trainer(trainer, flags, folder, common, adapter);
  FineTuneReport report = fine_tune(trainer, *task.train, task.validation.get(), folder, options);
  std::optional<double> accuracy;
  if (task.accuracy && !report.interrupted) accuracy = task.accuracy(trainer.adapter());
  if (accuracy) say(common, fmt::format("accuracy on the rows for validation: {:.4f}", *accuracy));
  const std::string curves = report.saved ? draw_curves(common, flags, folder) : "";
  say_summary(common, flags, report);
  if (common.json) print_json(report_json(flags, task, report, adapter, curves, accuracy));
  return report.interrupted ? interrupt_exit_code() : kOk;
}

constexpr const char* kDetails =
    "The data is a file, - for standard input, or a folder: rows of {\"text\": ...} (.jsonl, .ndjson, .json, .csv, .tsv), text or source\n"
    "files. Of a folder's rows those called train are trained on and those called valid, validation, val or dev are for validation; test\n"
    "data are never read. Folders called train and test, with rows or .txt, divide the data likewise. Without such names a tenth of the\n"
    "files or rows is held out, of a single text file its last tenth. Each text has the tokens that the tokenizer puts around it and the\n"
    "end-of-text token behind it; texts are joined and cut into windows, of which the last one is padded. The first line says what was\n"
    "read and what was left out.\n"
    "The adapter's folder gets adapter_config.json and adapter_model.safetensors in PEFT's layout,\n"
    "metrics.jsonl, loss.svg, and training_state.safetensors. Ctrl-C, SIGTERM or a closed terminal (SIGHUP) finish the step, save, and "
    "end\n"
    "with 128 and the signal's number; a second Ctrl-C ends at once.\n"
    "A folder that holds an adapter already needs one of two options. --resume goes on from it: options that are not given have the "
    "values\n"
    "that the training was begun with. --iters (at least what is done), --learning-rate, --lr-schedule, --warmup-steps, --weight-decay,\n"
    "--max-grad-norm, --on-nonfinite, --steps-per-report, --steps-per-eval, --val-batches, --save-every and --deterministic may be given\n"
    "anew, which is said; --device, --threads and --max-memory are those of each run. Every other value that differs is refused, and so\n"
    "are other layers, another model and other data. --overwrite trains a new adapter: the old one stays whole until the new one is saved\n"
    "after its first steps, and then all files are replaced. Two runs cannot share a folder.\n"
    "Where a step would take more than --max-memory, as few layers as it needs keep nothing for the backward pass, which computes them\n"
    "again: slower, with the same result.\n"
    "With --quantize the model's weights are rounded, which takes a quarter or an eighth of their memory; the adapter is trained in f32 "
    "on\n"
    "what is left of them (Dettmers et al. 2023) and saved as always. Use it with the same --quantize.\n"
    "With --task similarity the model is an encoder and the data are pairs of texts: rows {\"anchor\", \"positive\"}, of which each\n"
    "learns to tell its own second text from those of its batch and from the negatives of all its rows (columns whose name begins with\n"
    "negative), or rows {\"sentence1\", \"sentence2\", \"score\"} with the cosine that is wanted. No text stands twice in a batch of the\n"
    "first kind. lazuli embed and lazuli similar take the adapter.\n"
    "With --task classify the model is an encoder with a classification head, which is trained whole and saved with the adapter, as PEFT\n"
    "does for SEQ_CLS. The data are rows {\"text\", \"label\"} with the number of a class, or {\"query\", \"passage\", \"label\"}. With "
    "--task\n"
    "rerank the head has one label, and labels are from 0 to 1: how well a passage fits the query. A folder without a head gets a new "
    "one.\n"
    "lazuli rerank takes the adapter.";

constexpr const char* kExamples =
    "lazuli finetune --model models/pycoder-16m --data src --adapter-path my-adapter --iters 300 --learning-rate 1e-3\n"
    "lazuli finetune --model MODEL --data rows --adapter-path OUT --target-modules q_proj,v_proj --lora-rank 16 --lora-alpha 32\n"
    "lazuli finetune --model MODEL --data rows --adapter-path OUT --resume\n"
    "lazuli finetune --model MODEL --data notes.txt --adapter-path OUT2 --lr-schedule cosine --warmup-steps 20 --json > result.json\n"
    "lazuli finetune --model MODEL --data rows --adapter-path OUT --overwrite --quantize int4 --learning-rate 1e-4\n"
    "lazuli finetune --task similarity --model all-MiniLM-L6-v2 --data pairs.jsonl --adapter-path OUT3 --batch-size 32 --learning-rate "
    "1e-4\n"
    "lazuli finetune --task rerank --model ms-marco-MiniLM-L6-v2 --data labelled.jsonl --adapter-path OUT4 --learning-rate 1e-4";

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
