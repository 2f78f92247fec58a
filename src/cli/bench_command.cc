// Defines the command `bench`, which measures how fast a model reads, writes and learns.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>
#include <memory>
#include <numeric>
#include <optional>
#include <utility>

#include "backend/machine.h"
#include "base/interrupt.h"
#include "base/json_writer.h"
#include "base/memory_usage.h"
#include "base/progress.h"
#include "cli/command.h"
#include "cli/human.h"
#include "cli/input.h"
#include "cli/roofline.h"
#include "embed/any_model.h"
#include "exec/team.h"
#include "explain/workload.h"
#include "generate/slot_session.h"
#include "lazuli/determinism.h"
#include "lazuli/error.h"
#include "lazuli/train.h"

namespace lazuli::cli {

namespace {

struct BenchFlags {
  bool deterministic = false, roofline = false;
  std::string quantize = "none";
  std::string model, adapter_path, target_modules = "all-linear";
  int64_t prompt_tokens = 512, generate_tokens = 128, train_tokens = 512, embed_tokens = 128;
  int64_t embed_batch = 32, slots = 0;
  int64_t batch_size = 4, lora_rank = 8, repeats = 5;
};

/// Something that is run over and over.
struct Measurement {
  std::string name;
  int64_t tokens = 0;  ///< in one run
  std::function<void()> run;
  bool at_once = true;  ///< all of them in one product
  std::vector<double> seconds = {};
};

// Of one measurement, at most.
constexpr int64_t kMostWarmUps = 8;

/// Runs that do not count: the first one makes plans and memory, and products begin to keep a weight packed after some rows.
int64_t warm_ups(const Measurement& m) {
  if (!m.at_once) return 1;
  return std::min(2 + (rows_before_panels_are_kept() + m.tokens - 1) / m.tokens, kMostWarmUps);
}

struct Summary {
  double median = 0, deviation = 0;  ///< tokens per second
  std::vector<double> samples;
};

Summary summary_of(const Measurement& m) {
  Summary s;
  for (double seconds : m.seconds) s.samples.push_back(static_cast<double>(m.tokens) / seconds);
  std::vector<double> sorted = s.samples;
  std::sort(sorted.begin(), sorted.end());
  const size_t n = sorted.size();
  s.median = n % 2 == 1 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
  const double mean = std::accumulate(sorted.begin(), sorted.end(), 0.0) / static_cast<double>(n);
  double squares = 0;
  for (double v : sorted) squares += (v - mean) * (v - mean);
  s.deviation = n > 1 ? std::sqrt(squares / static_cast<double>(n - 1)) : 0;
  return s;
}

/// What the kernels reach of the machine's limits.
struct Report {
  MachineLimits limits;
  std::vector<Roofline> tests;
};

Report profile_all(const std::vector<Measurement>& all) {
  Report report;
  for (const Measurement& m : all) report.tests.push_back(profile_run(m.name, m.run));
  report.limits = measure_limits(thread_count());
  return report;
}

/// Ids spread over the vocabulary, the same at every call.
std::vector<int32_t> some_ids(int64_t count, int64_t vocabulary) {
  std::vector<int32_t> ids;
  for (int64_t k = 0; k < count; ++k) ids.push_back(static_cast<int32_t>((k * 7919 + 13) % vocabulary));
  return ids;
}

/// Sizes that were not asked for are at most the model's context; one that was asked for must fit.
void fit_context(BenchFlags& flags, const Common& common, const AnyModel& model) {
  const int64_t context = model.context();
  std::vector<std::pair<const char*, int64_t*>> sizes = {{"--embed-tokens", &flags.embed_tokens}};
  if (model.language()) {
    sizes = {
        {"--prompt-tokens", &flags.prompt_tokens}, {"--generate-tokens", &flags.generate_tokens}, {"--train-tokens", &flags.train_tokens}};
  }
  for (const auto& [option, tokens] : sizes) {
    if (*tokens <= context) continue;
    if (common.has(option)) {
      throw ValueError(fmt::format("{}: at most {} is expected (the model's context), got {}", option, context, *tokens));
    }
    *tokens = context;
  }
}

/// Between the steps of a run: Ctrl-C does not wait for its end.
void stop_where_interrupted() {
  if (interrupted()) throw Interrupted("stopped; nothing was measured to the end");
}

Measurement prefill(const std::shared_ptr<SlotSession>& session, int64_t tokens, int64_t vocabulary) {
  return {fmt::format("pp{}", tokens), tokens, [session, tokens, ids = some_ids(tokens, vocabulary)] {
            session->reserve(tokens, tokens);
            session->prefill(session->add({}, tokens).value(), ids, true);
            session->read();
          }};
}

/// As generate does it, with texts of the same length in all slots: the next tokens are on their way while some are read.
Measurement decode(const std::shared_ptr<SlotSession>& session, int64_t tokens, int64_t vocabulary) {
  const int64_t slots = session->slots();
  return {slots > 1 ? fmt::format("tg{}x{}", slots, tokens) : fmt::format("tg{}", tokens), slots * tokens,
          [session, tokens, slots, ids = some_ids(1, vocabulary)] {
            session->reserve(tokens, 1);
            for (int64_t k = 0; k < slots; ++k) {
              session->prefill(session->add({}, 1).value(), ids, true);
              session->read();
              stop_where_interrupted();
            }
            const size_t ahead = session->runs_ahead() ? 1 : 0;
            for (int64_t k = 1; k < tokens; ++k) {
              session->step();
              while (session->unread() > ahead) session->read();
              stop_where_interrupted();
            }
            while (session->unread() > 0) session->read();
          },
          false};
}

Measurement train(const std::shared_ptr<const LanguageModel>& model, const BenchFlags& flags, const Common& common) {
  LoRAConfig config;
  config.rank = flags.lora_rank;
  config.target_modules = split_names("--target-modules", flags.target_modules);
  const auto trainer = std::make_shared<Trainer>(model, Adapter::create(model->linears(), config, static_cast<uint64_t>(common.seed)),
                                                 TrainConfig{}, common.device);
  const int64_t length = flags.train_tokens + 1;
  const Tensor ids = Tensor::from_vector(some_ids(flags.batch_size * length, model->info().vocab_size), {flags.batch_size, length});
  return {fmt::format("train{}x{}", flags.batch_size, flags.train_tokens), flags.batch_size * flags.train_tokens,
          [trainer, ids] { trainer->step(ids); }};
}

Measurement embed(const std::shared_ptr<const EmbeddingModel>& model, std::optional<Adapter> adapter, const BenchFlags& flags) {
  const int64_t tokens = flags.embed_tokens;
  const std::vector<int32_t> ids = some_ids(tokens, model->encoder().info().vocab_size);
  std::vector<EmbeddingTokens> texts(static_cast<size_t>(flags.embed_batch), EmbeddingTokens{ids, 0});
  EmbedOptions options;
  options.batch_size = flags.embed_batch;
  const auto embedder = std::make_shared<Embedder>(model, std::move(adapter));
  return {fmt::format("embed{}x{}", flags.embed_batch, tokens), flags.embed_batch * tokens,
          [embedder, options, texts = std::move(texts)] { embedder->run(texts, options); }};
}

std::vector<Measurement> measurements(const BenchFlags& flags, const Common& common, const std::shared_ptr<const LanguageModel>& model,
                                      std::optional<Adapter> adapter) {
  const ModelInfo& info = model->info();
  std::vector<Measurement> all;
  const auto session = std::make_shared<SlotSession>(model, SlotAdapters::shared(std::move(adapter)), std::max<int64_t>(flags.slots, 1));
  if (flags.slots > 0) {
    if (flags.generate_tokens == 0) throw UsageError("nothing to measure: --generate-tokens is expected with --slots");
    all.push_back(decode(session, flags.generate_tokens, info.vocab_size));
    return all;
  }
  if (flags.prompt_tokens > 0) all.push_back(prefill(session, flags.prompt_tokens, info.vocab_size));
  if (flags.generate_tokens > 0) all.push_back(decode(session, flags.generate_tokens, info.vocab_size));
  if (flags.train_tokens > 0) all.push_back(train(model, flags, common));
  if (all.empty()) throw UsageError("nothing to measure: one of --prompt-tokens, --generate-tokens and --train-tokens is expected");
  return all;
}

void measure(std::vector<Measurement>& all, int64_t repeats, bool quiet) {
  using Clock = std::chrono::steady_clock;
  const InterruptGuard guard;
  int64_t runs = 0, done = 0;
  for (const Measurement& m : all) runs += repeats + warm_ups(m);
  Progress progress(0, runs, quiet);
  for (Measurement& m : all) {
    const int64_t first = warm_ups(m);
    for (int64_t k = 0; k < first + repeats; ++k) {
      const auto start = Clock::now();
      m.run();
      if (k >= first) m.seconds.push_back(std::chrono::duration<double>(Clock::now() - start).count());
      stop_where_interrupted();
      progress.update(++done, m.name);
    }
  }
}

/// What is measured.
struct Subject {
  ModelInfo info;
  uint64_t weight_bytes = 0;  ///< as they are read, each once
};

Subject subject_of(const AnyModel& model) {
  const WorkloadKind kind = model.embedding() ? WorkloadKind::embed : WorkloadKind::decode;
  return {model.info(), record_workload(model, nullptr, {.kind = kind, .tokens = 1}).weight_bytes};
}

std::string as_json(const BenchFlags& flags, const Subject& subject, const Common& common, const std::vector<Measurement>& all,
                    const std::optional<Report>& report) {
  const ModelInfo& info = subject.info;
  JsonWriter w;
  w.begin_object().field("model", flags.model).field("architecture", info.architecture).field("parameters", info.parameters);
  w.field("dtype", name_of(info.dtype)).field("quantization", name_of(info.quantization)).field("weight_bytes", subject.weight_bytes);
  w.field("device", to_string(common.device)).field("threads", thread_count());
  w.key("results").begin_array();
  for (const Measurement& m : all) {
    const Summary s = summary_of(m);
    w.begin_object().field("test", m.name).field("tokens", m.tokens).field("median", s.median).field("deviation", s.deviation);
    w.key("samples").begin_array();
    for (double v : s.samples) w.value(v);
    w.end_array().end_object();
  }
  w.end_array();
  if (report) write_roofline(w, report->tests, report->limits);
  w.field("peak_memory_bytes", peak_memory_bytes());
  write_allocator(w);
  w.end_object();
  return w.text();
}

std::string as_table(const BenchFlags& flags, const Subject& subject, const Common& common, const std::vector<Measurement>& all) {
  fmt::memory_buffer out;
  auto to = std::back_inserter(out);
  const ModelInfo& info = subject.info;
  const bool rounded = info.quantization != Quantization::none;
  const std::string name = fmt::format("{} {}", info.architecture, rounded ? name_of(info.quantization) : name_of(info.dtype));
  const std::string size = human_bytes(static_cast<double>(subject.weight_bytes));
  const std::string device = to_string(common.device);
  fmt::format_to(to, "{}\n| {:<16} | {:>8} | {:>8} | {:<9} | {:>7} | {:<12} | {:>20} |\n", flags.model, "model", "size", "params", "device",
                 "threads", "test", "tokens/s");
  fmt::format_to(to, "| {:-<16} | {:->7}: | {:->7}: | {:-<9} | {:->6}: | {:-<12} | {:->19}: |\n", "", "", "", "", "", "", "");
  for (const Measurement& m : all) {
    const Summary s = summary_of(m);
    fmt::format_to(to, "| {:<16} | {:>8} | {:>8} | {:<9} | {:>7} | {:<12} | {:>20} |\n", name, size,
                   human_count(static_cast<double>(info.parameters)), device, thread_count(), m.name,
                   fmt::format("{:.1f} ± {:.1f}", s.median, s.deviation));
  }
  return fmt::to_string(out);
}

int measure_and_print(const BenchFlags& flags, const Common& common, const Subject& subject, std::vector<Measurement> all) {
  measure(all, flags.repeats, common.quiet);
  const std::optional<Report> report = flags.roofline ? std::optional(profile_all(all)) : std::nullopt;
  if (common.json) {
    print_json(as_json(flags, subject, common, all, report));
  } else {
    print_text(as_table(flags, subject, common, all) + (report ? roofline_table(report->tests, report->limits) : ""));
  }
  return kOk;
}

int run_bench(BenchFlags flags, const Common& common) {
  if (flags.roofline && common.device.kind != DeviceKind::cpu) {
    throw UsageError(fmt::format("--roofline: kernels are timed one by one on the cpu alone, --device is {}", to_string(common.device)));
  }
  set_deterministic(flags.deterministic);
  const AnyModel model = AnyModel::load(flags.model, common.dtype, parse_quantization(flags.quantize));
  std::optional<Adapter> adapter = load_adapter(flags.adapter_path, model.linears());
  fit_context(flags, common, model);
  for (const char* other :
       {"--prompt-tokens", "--train-tokens", "--batch-size", "--lora-rank", "--target-modules", "--embed-tokens", "--embed-batch"}) {
    if (flags.slots > 0 && common.has(other)) throw UsageError(fmt::format("{}: --slots measures nothing else", other));
  }
  if (flags.slots > 0 && model.embedding()) throw UsageError("--slots: a model that makes text is expected");
  if (model.embedding()) return measure_and_print(flags, common, subject_of(model), {embed(model.embedding(), std::move(adapter), flags)});
  return measure_and_print(flags, common, subject_of(model), measurements(flags, common, model.language(), std::move(adapter)));
}

}  // namespace

Command bench_command() {
  const auto flags = std::make_shared<BenchFlags>();
  Command c;
  c.name = "bench";
  c.summary = "Measure how fast a model reads, writes and learns";
  c.details =
      "ppN: a prompt of N tokens is read. tgN: N tokens are written, one after the other, from an empty context; tgBxN: those of B texts\n"
      "side by side. trainBxN: one training step of a LoRA adapter on B windows of N tokens. embedBxN: B texts of N tokens are embedded;\n"
      "encoders do only this. Tokens per second: the median of the runs and their standard deviation, after one run that does not count.\n"
      "0 tokens leave a measurement out.\n"
      "--roofline runs each measurement once more and lists its kernels, the longest first: their time, bytes and arithmetic per second,\n"
      "and how much of that time the slower of the two would take at the machine's limits, which are measured too. More than 100 % means\n"
      "that caches held what was read.";
  c.examples =
      "lazuli bench --model models/pycoder-16m\n"
      "lazuli bench --model models/pycoder-16m --prompt-tokens 256 --generate-tokens 64 --train-tokens 0 --repeats 3 --json\n"
      "lazuli bench --model models/pycoder-16m --prompt-tokens 0 --train-tokens 0 --roofline";
  c.options = {
      model_option(&flags->model),
      adapter_option(&flags->adapter_path),
      quantize_option(&flags->quantize),
      {.name = "--prompt-tokens",
       .target = &flags->prompt_tokens,
       .help = "Prompt length in tokens; when not given at most the model's context; 0: skip this measurement",
       .low = 0,
       .high = 1e9},
      {.name = "--generate-tokens",
       .target = &flags->generate_tokens,
       .help = "Tokens to generate; when not given at most the model's context; 0: skip this measurement",
       .low = 0,
       .high = 1e9},
      {.name = "--slots",
       .target = &flags->slots,
       .help = "Measure only generation, with this many sequences at once; 0: measure one sequence, its prompt and training",
       .low = 0,
       .high = 4096},
      {.name = "--train-tokens",
       .target = &flags->train_tokens,
       .help = "Training sequence length in tokens; when not given at most the model's context; 0: skip this measurement",
       .low = 0,
       .high = 1e9},
      {.name = "--batch-size", .target = &flags->batch_size, .help = "Training sequences per step", .low = 1, .high = 65536},
      {.name = "--embed-tokens",
       .target = &flags->embed_tokens,
       .help = "Text length in tokens, for encoders; when not given at most the model's context",
       .low = 1,
       .high = 1e9},
      {.name = "--embed-batch", .target = &flags->embed_batch, .help = "Texts per batch, for encoders", .low = 1, .high = 65536},
      {.name = "--lora-rank", .target = &flags->lora_rank, .help = "Rank of the LoRA adapter that is trained", .low = 1, .high = 65536},
      {.name = "--target-modules",
       .target = &flags->target_modules,
       .help = "Layers that the adapter changes: all-linear, or names such as q_proj,v_proj",
       .value = "NAMES"},
      {.name = "--repeats",
       .target = &flags->repeats,
       .help = "Timed runs of each measurement, after one warm-up run",
       .low = 1,
       .high = 1e6},
      {.name = "--roofline", .target = &flags->roofline, .help = "Show how close each kernel comes to the machine's limits"},
      deterministic_option(&flags->deterministic),
  };
  c.memory_hint = "fewer tokens or --slots, a smaller --batch-size or --embed-batch, --quantize int8, or --dtype bf16";
  c.run = [flags](const Common& common) { return run_bench(*flags, common); };
  return c;
}

}  // namespace lazuli::cli
