// Defines the command `generate`, which continues a text.
#include <fmt/format.h>

#include <iostream>
#include <memory>
#include <optional>

#include "base/interrupt.h"
#include "base/json_writer.h"
#include "cli/command.h"
#include "cli/generate_batch.h"
#include "cli/generation_notices.h"
#include "cli/human.h"
#include "cli/input.h"
#include "lazuli/determinism.h"
#include "lazuli/error.h"
#include "lazuli/generate.h"

namespace lazuli::cli {

namespace {

struct GenerateFlags {
  bool deterministic = false;
  std::string quantize = "none";
  std::string model, prompt, batch, adapter_path;
  int64_t slots = 8;
  int64_t max_tokens = 100;
  double temp = 0, top_p = 1, min_p = 0, repetition_penalty = 1;
  int64_t top_k = 0;
  std::vector<std::string> stop;
  bool ignore_eos = false;
};

std::string read_prompt(const std::string& text) { return text == "-" ? read_text_input(text) : text; }

GenerateOptions options_of(const GenerateFlags& flags, const Common& common) {
  GenerateOptions options;
  options.max_tokens = flags.max_tokens;
  options.sampler.temperature = flags.temp;
  options.sampler.top_p = flags.top_p;
  options.sampler.top_k = flags.top_k;
  options.sampler.min_p = flags.min_p;
  options.sampler.repetition_penalty = flags.repetition_penalty;
  options.sampler.seed = static_cast<uint64_t>(common.seed);
  for (const std::string& stop : flags.stop) {
    if (stop.empty()) throw UsageError("--stop: a text of at least one character is expected");
  }
  options.stop = flags.stop;
  options.stop_at_eos = !flags.ignore_eos;
  return options;
}

void print_result_json(const GenerateResult& result) {
  JsonWriter w;
  w.begin_object().field("text", result.text);
  w.key("tokens").begin_array();
  for (int32_t id : result.tokens) w.value(id);
  w.end_array();
  w.field("finish_reason", name_of(result.finish));
  w.field("prompt_tokens", result.prompt_tokens).field("generation_tokens", result.generation_tokens);
  w.field("prompt_tps", result.prompt_tps).field("generation_tps", result.generation_tps);
  w.field("peak_memory_bytes", result.peak_memory_bytes);
  write_allocator(w);
  w.end_object();
  print_json(w.text());
}

void print_statistics(const GenerateResult& result) {
  if (result.finish == FinishReason::context) std::cerr << "Ended by the model's context, which prompt and text fill\n";
  std::cerr << fmt::format("Prompt: {} tokens, {:.1f} tokens/s\nGeneration: {} tokens, {:.1f} tokens/s\nPeak memory: {}\n",
                           result.prompt_tokens, result.prompt_tps, result.generation_tokens, result.generation_tps,
                           human_bytes(result.peak_memory_bytes));
}

int run_generate(const GenerateFlags& flags, const Common& common) {
  if (common.has("--prompt") == common.has("--batch")) throw UsageError("one of --prompt and --batch is expected");
  if (common.has("--slots") && !common.has("--batch")) throw UsageError("--slots: --batch is expected with it");
  set_deterministic(flags.deterministic);
  if (common.has("--batch")) {
    return run_batch({flags.batch, flags.model, flags.adapter_path, flags.quantize, options_of(flags, common), flags.slots}, common);
  }
  const std::string prompt = read_prompt(flags.prompt);
  const GenerateOptions options = options_of(flags, common);
  const TextModel model = TextModel::open(flags.model, common.dtype, parse_quantization(flags.quantize));
  // Some tokenizers put a token before every text.
  if (prompt.empty() && model.tokenizer().encode(prompt).empty())
    throw UsageError("--prompt: a text of at least one token is expected, got none");
  Generator generator(model, load_adapter(flags.adapter_path, model.model()->linears()));
  if (!common.quiet) tell_of_settings(model.generation(), options);
  // Ctrl-C ends the text and still shows the statistics.
  const InterruptGuard guard;
  const TextCallback stream = [&common](std::string_view piece) {
    if (!common.json) print_text(std::string(piece));
    return !interrupted();
  };
  const GenerateResult result = generator.run(prompt, options, stream);
  if (common.json) {
    print_result_json(result);
  } else {
    print_text("\n");
    if (!common.quiet) print_statistics(result);
  }
  return interrupted() ? interrupt_exit_code() : kOk;
}

}  // namespace

Command generate_command() {
  const auto flags = std::make_shared<GenerateFlags>();
  Command c;
  c.name = "generate";
  c.summary = "Continue a text with a model";
  c.details =
      "The text goes to stdout as it is made. Speed and peak memory go to stderr. With --batch each text is a line of JSON, in the\n"
      "order of the file; what a line of the file does not say, the options say. A text whose logits have NaN ends there, and the\n"
      "command fails.";
  c.examples =
      "lazuli generate --model models/pycoder-16m --prompt 'def fibonacci(n):'\n"
      "lazuli generate --model models/pycoder-16m --adapter-path adapters --prompt - --max-tokens 200 --temp 0.7 < start.py\n"
      "lazuli generate --model models/pycoder-16m --batch prompts.jsonl --slots 16 > generated.jsonl";
  c.options = {
      model_option(&flags->model),
      {.name = "--prompt", .target = &flags->prompt, .help = "The text to continue; - reads it from standard input", .value = "TEXT"},
      {.name = "--batch",
       .target = &flags->batch,
       .help = "Continue the prompts of a JSONL file side by side: lines {\"prompt\": \"...\"}, with options of their own such as "
               "\"max_tokens\", \"temp\", \"seed\", \"stop\" and \"adapter_path\"; - reads standard input",
       .value = "FILE"},
      {.name = "--slots", .target = &flags->slots, .help = "Sequences of --batch that are generated at once", .low = 1, .high = 4096},
      adapter_option(&flags->adapter_path),
      quantize_option(&flags->quantize),
      {.name = "--max-tokens",
       .target = &flags->max_tokens,
       .help = "Most tokens to generate; the model's context is a limit too",
       .low = 1},
      {.name = "--temp", .target = &flags->temp, .help = "Sampling temperature; 0 takes the most probable token", .low = 0},
      {.name = "--top-p",
       .target = &flags->top_p,
       .help = "Nucleus sampling: sample from the most probable tokens whose probabilities reach this sum",
       .low = 1e-9,
       .high = 1},
      {.name = "--top-k", .target = &flags->top_k, .help = "Sample from this many of the most probable tokens; 0: from all", .low = 0},
      {.name = "--min-p",
       .target = &flags->min_p,
       .help = "Sample from tokens with at least this fraction of the highest probability",
       .low = 0,
       .high = 1},
      {.name = "--repetition-penalty",
       .target = &flags->repetition_penalty,
       .help = "Repetition penalty of the last 20 tokens; 1: no penalty",
       .low = 1e-9},
      {.name = "--stop", .target = &flags->stop, .help = "Stop before this text; may be given several times", .value = "TEXT"},
      {.name = "--ignore-eos", .target = &flags->ignore_eos, .help = "Continue after an end-of-text token"},
      deterministic_option(&flags->deterministic),
  };
  c.memory_hint = "fewer --slots, a smaller --max-tokens, a shorter prompt, --quantize int8, or --dtype bf16";
  c.run = [flags](const Common& common) { return run_generate(*flags, common); };
  return c;
}

}  // namespace lazuli::cli
