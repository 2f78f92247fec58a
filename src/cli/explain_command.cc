// Defines the command `explain`, which shows what becomes of a model's computation.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>

#include "base/file.h"
#include "cli/command.h"
#include "explain/explanation.h"

namespace lazuli::cli {

namespace {

struct ExplainFlags {
  std::string quantize = "none";
  std::string model, adapter_path, output;
  std::string mode = "auto", format = "text", graph;
  int64_t tokens = 0, batch_size = 4, lora_rank = 8;
};

/// 0 tokens stand for a usual number, within the model's context.
int64_t tokens_of(const ExplainFlags& flags, const AnyModel& model) {
  constexpr int64_t kUsual = 512;
  if (flags.tokens > 0) return flags.tokens;
  return std::min(kUsual, model.context());
}

WorkloadKind workload_of(const ExplainFlags& flags, const AnyModel& model) {
  if (flags.mode != "auto") return parse_workload(flags.mode);
  return model.embedding() ? WorkloadKind::embed : WorkloadKind::decode;
}

std::string text_of(const Explanation& e, const ExplainFlags& flags) {
  if (flags.format == "dot") return stage_by_name(e, flags.graph.empty() ? "final" : flags.graph).graph.to_dot();
  if (flags.format == "json") return explanation_json(e, true) + "\n";
  if (flags.format == "html") return explanation_html(e);
  return flags.graph.empty() ? explanation_text(e) : stage_by_name(e, flags.graph).graph.to_text();
}

int run_explain(const ExplainFlags& flags, const Common& common) {
  const bool one_graph = flags.format == "text" || flags.format == "dot";
  if (!flags.graph.empty() && !one_graph) throw UsageError("--graph goes with --format text or dot (see lazuli explain --help)");
  if (!flags.output.empty()) require_writable(flags.output);
  const AnyModel model = AnyModel::load(flags.model, common.dtype, parse_quantization(flags.quantize));
  const std::optional<Adapter> adapter = load_adapter(flags.adapter_path, model.linears());
  WorkloadOptions options;
  options.kind = workload_of(flags, model);
  options.tokens = tokens_of(flags, model);
  options.batch = flags.batch_size;
  options.lora.rank = flags.lora_rank;
  const Explanation e = explain(model, adapter ? &*adapter : nullptr, options, common.device);
  if (!flags.output.empty()) write_file(flags.output, text_of(e, flags));
  if (common.json) {
    print_json(explanation_json(e, flags.output.empty()));
  } else if (flags.output.empty()) {
    print_text(text_of(e, flags));
  }
  return kOk;
}

}  // namespace

Command explain_command() {
  const auto flags = std::make_shared<ExplainFlags>();
  Command c;
  c.name = "explain";
  c.summary = "Show what becomes of a model's computation";
  c.details =
      "The graph as it is recorded and after each pass, what was fused, what was not and why, the kernels with the bytes that they move "
      "and\n"
      "their arithmetic, and the peak memory; nothing is computed. The HTML page needs no other file and can be searched and zoomed; it\n"
      "shows repeated layers as one box, which a click unfolds. With --json stdout has the JSON form; its graphs are left out when "
      "--output\n"
      "takes the explanation.";
  c.examples =
      "lazuli explain --model models/pycoder-16m --mode decode\n"
      "lazuli explain --model models/pycoder-16m --mode train --format html --output train.html\n"
      "lazuli explain --model models/pycoder-16m --mode prefill --tokens 64 --format dot --graph recorded > prefill.dot\n"
      "lazuli explain --model models/pycoder-16m --adapter-path adapters --format json > decode.json\n"
      "lazuli explain --model all-MiniLM-L6-v2 --mode embed --batch-size 32";
  c.options = {
      model_option(&flags->model),
      adapter_option(&flags->adapter_path),
      quantize_option(&flags->quantize),
      {.name = "--mode",
       .target = &flags->mode,
       .help = "Computation to explain; auto: decode, or embed for an encoder",
       .choices = {"auto", "prefill", "decode", "train", "embed"}},
      {.name = "--tokens",
       .target = &flags->tokens,
       .help = "Sequence length in tokens: prompt, context, training sequence or text; 0: 512, or the context if shorter",
       .low = 0,
       .high = 1e9},
      {.name = "--batch-size",
       .target = &flags->batch_size,
       .help = "Training sequences or pairs per step, or texts per batch",
       .low = 1,
       .high = 65536},
      {.name = "--lora-rank", .target = &flags->lora_rank, .help = "Rank of the new adapter that is trained", .low = 1, .high = 65536},
      {.name = "--format", .target = &flags->format, .help = "Output format", .choices = {"text", "dot", "json", "html"}},
      {.name = "--graph",
       .target = &flags->graph,
       .help = "Show one graph alone: recorded, final, or the name of the pass after which to show it",
       .value = "PASS"},
      {.name = "--output", .target = &flags->output, .help = "Write the explanation to this file instead of stdout", .value = "FILE"},
  };
  c.run = [flags](const Common& common) { return run_explain(*flags, common); };
  return c;
}

}  // namespace lazuli::cli
