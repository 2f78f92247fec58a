// Defines the command `eval`, which measures a model's loss on texts.
#include <fmt/format.h>

#include <cmath>
#include <memory>
#include <optional>

#include "base/file.h"
#include "base/interrupt.h"
#include "base/json_writer.h"
#include "base/progress.h"
#include "cli/command.h"
#include "cli/data_line.h"
#include "cli/human.h"
#include "lazuli/determinism.h"
#include "lazuli/error.h"
#include "lazuli/evaluate.h"
#include "lazuli/text_model.h"
#include "text/text_data.h"

namespace lazuli::cli {

namespace {

struct EvalFlags {
  bool deterministic = false;
  std::string quantize = "none";
  std::string model, data, adapter_path, dump_logits;
  int64_t max_seq_length = 2048;
};

int run_eval(const EvalFlags& flags, const Common& common) {
  set_deterministic(flags.deterministic);
  if (!flags.dump_logits.empty()) require_writable(flags.dump_logits);
  const TextModel model = TextModel::open(flags.model, common.dtype, parse_quantization(flags.quantize));
  const std::optional<Adapter> adapter = load_adapter(flags.adapter_path, model.model()->linears());
  DataReport data;
  const std::vector<int32_t> tokens = encode_documents(read_documents(flags.data, data), model.tokenizer(), model.document_end());
  model.require_known(tokens, "the data");
  data.tokens = static_cast<int64_t>(tokens.size());
  const InterruptGuard guard;
  say_data(common, data);
  EvaluateOptions options;
  options.max_seq_length = flags.max_seq_length;
  options.dump_logits = flags.dump_logits;
  Progress progress(0, static_cast<int64_t>(tokens.size()), common.quiet);
  options.on_progress = [&progress](int64_t done, int64_t total) {
    progress.update(done, "tokens");
    if (interrupted() && done < total) throw Interrupted("stopped; the texts were not measured to the end");
  };
  const EvaluateResult result = evaluate(*model.model(), adapter ? &*adapter : nullptr, tokens, options);
  progress.clear();
  if (!std::isfinite(result.loss)) {
    throw ValueError(fmt::format("[evaluate] the loss is {}: a weight of the model{} or what it computes is not finite", result.loss,
                                 flags.adapter_path.empty() ? "" : " or the adapter"));
  }
  if (common.json) {
    JsonWriter w;
    w.begin_object().field("loss", result.loss).field("perplexity", result.perplexity).field("tokens", result.tokens);
    write_allocator(w);
    write_data(w, data);
    w.end_object();
    print_json(w.text());
  } else {
    print_text(fmt::format("loss {:.5f}, perplexity {:.4f}, {} tokens\n", result.loss, result.perplexity, result.tokens));
  }
  return kOk;
}

}  // namespace

Command eval_command() {
  const auto flags = std::make_shared<EvalFlags>();
  Command c;
  c.name = "eval";
  c.summary = "Measure a model's loss and perplexity on texts";
  c.details =
      "Each text has the tokens that the tokenizer puts around it and the end-of-text token behind it. They are joined and cut into "
      "windows\n"
      "that do not overlap; the first token of each window is not predicted. Of a folder with rows for a test (test.jsonl) those are\n"
      "measured, else those for validation, else those for training, else all texts; the first line says which.";
  c.examples =
      "lazuli eval --model models/pycoder-16m --data src --json\n"
      "lazuli eval --model models/pycoder-16m --adapter-path adapters --data valid.jsonl";
  c.options = {
      model_option(&flags->model),
      {.name = "--data",
       .target = &flags->data,
       .help = "A text or source file, rows of {\"text\"} (.jsonl, .json, .csv), a folder of them, or - for standard input",
       .value = "PATH",
       .required = true},
      adapter_option(&flags->adapter_path),
      quantize_option(&flags->quantize),
      {.name = "--max-seq-length",
       .target = &flags->max_seq_length,
       .help = "Window length in tokens, at most the model's context",
       .low = 2},
      {.name = "--dump-logits",
       .target = &flags->dump_logits,
       .help = "Write the token ids and logits of every window to this file",
       .value = "FILE.safetensors"},
      deterministic_option(&flags->deterministic),
  };
  c.memory_hint = "a smaller --max-seq-length, --quantize int8, or --dtype bf16";
  c.run = [flags](const Common& common) { return run_eval(*flags, common); };
  return c;
}

}  // namespace lazuli::cli
