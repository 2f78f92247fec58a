// Defines the command `embed`, which writes one vector for each text.
#include <fmt/format.h>

#include <algorithm>
#include <iostream>
#include <memory>
#include <span>

#include "base/file.h"
#include "base/interrupt.h"
#include "base/json_writer.h"
#include "base/memory_usage.h"
#include "base/progress.h"
#include "cli/command.h"
#include "cli/data_line.h"
#include "cli/embedding.h"
#include "cli/human.h"
#include "embed/text_list.h"
#include "embed/vector_file.h"
#include "lazuli/determinism.h"
#include "lazuli/error.h"

namespace lazuli::cli {

namespace {

struct EmbedFlags {
  bool deterministic = false;
  std::string quantize = "none";
  std::string model, input, output, prompt_name, adapter_path;
  std::string format = "auto";
  int64_t batch_size = 32;
};

TextFormat format_of(const std::string& name) {
  if (name == "lines") return TextFormat::lines;
  return name == "jsonl" ? TextFormat::jsonl : TextFormat::automatic;
}

void check_output(const EmbedFlags& flags, const Common& common) {
  if (flags.output == "-") {
    if (common.json) throw UsageError("--output - and --json both write to standard output; give --output a file");
    return;
  }
  if (!flags.output.ends_with(".npy") && !flags.output.ends_with(".jsonl")) {
    throw UsageError(fmt::format("--output: a name that ends in .npy or .jsonl, or -, is expected, got '{}'", flags.output));
  }
  // Better now than after the work.
  require_writable(flags.output);
}

/// What was embedded.
struct Totals {
  int64_t count = 0, dimensions = 0, tokens = 0;
  double seconds = 0;
  void add(const EmbedResult& result) {
    count += result.embeddings.dim(0);
    dimensions = result.embeddings.dim(1);
    tokens += result.tokens;
    seconds += result.seconds;
  }
};

void write_vectors(const EmbedFlags& flags, const std::vector<std::string>& texts, const Tensor& vectors) {
  if (flags.output.ends_with(".npy")) {
    write_npy(flags.output, vectors);
  } else {
    write_embedding_lines(flags.output, texts, vectors);
  }
}

/// Each batch's rows as soon as they are there, so in the order of the texts and not of their lengths.
Totals print_vectors(Embedder& embedder, std::span<const std::string> texts, EmbedOptions options, const Common& common, DataReport& data) {
  const std::vector<EmbeddingTokens> tokens = tokenize_texts(embedder.model(), texts, options, common, data);
  Progress progress(0, static_cast<int64_t>(texts.size()), common.quiet);
  options.on_progress = [](int64_t, int64_t) { return !interrupted(); };
  Totals totals;
  const auto most = static_cast<size_t>(options.batch_size);
  for (size_t first = 0; first < texts.size(); first += most) {
    const auto part = texts.subspan(first, std::min(most, texts.size() - first));
    const EmbedResult result = embedder.run(std::span(tokens).subspan(first, part.size()), options);
    if (result.cancelled) throw Interrupted(fmt::format("stopped after {} of {} texts", first, texts.size()));
    const auto vectors = result.embeddings.data<float>();
    const size_t size = vectors.size() / part.size();
    std::string rows;
    for (size_t k = 0; k < part.size(); ++k) rows += embedding_line(part[k], vectors.subspan(k * size, size));
    progress.clear();
    print_text(rows);
    totals.add(result);
    progress.update(static_cast<int64_t>(first + part.size()), "texts");
    if (interrupted()) throw Interrupted(fmt::format("stopped after {} of {} texts", first + part.size(), texts.size()));
  }
  return totals;
}

void print_report(const EmbedFlags& flags, const Common& common, const Totals& totals, const DataReport& data) {
  const int64_t count = totals.count, dimensions = totals.dimensions;
  const double rate = totals.seconds > 0 ? static_cast<double>(totals.tokens) / totals.seconds : 0;
  const uint64_t peak = peak_memory_bytes();
  if (common.json) {
    JsonWriter w;
    w.begin_object().field("count", count).field("dimensions", dimensions).field("tokens", totals.tokens);
    w.field("tokens_per_second", rate).field("seconds", totals.seconds).field("peak_memory_bytes", peak);
    w.field("output", flags.output);
    write_allocator(w);
    write_data(w, data);
    w.end_object();
    print_json(w.text());
  } else if (!common.quiet) {
    std::cerr << fmt::format("{} texts, {} dimensions, {} tokens, {:.0f} tokens/s, peak memory {}\n", count, dimensions, totals.tokens,
                             rate, human_bytes(peak));
  }
}

int run_embed(const EmbedFlags& flags, const Common& common) {
  set_deterministic(flags.deterministic);
  check_output(flags, common);
  DataReport data;
  const std::vector<std::string> texts = read_texts(flags.input, format_of(flags.format), data);
  Embedder embedder = load_embedder(flags.model, flags.adapter_path, parse_quantization(flags.quantize), common);
  EmbedOptions options;
  options.batch_size = flags.batch_size;
  options.prompt_name = flags.prompt_name;
  const InterruptGuard guard;
  Totals totals;
  if (flags.output == "-") {
    totals = print_vectors(embedder, texts, options, common, data);
  } else {
    const EmbedResult result = embed_texts(embedder, texts, options, common, data);
    if (result.cancelled) throw Interrupted(fmt::format("stopped; {} was not written", flags.output));
    write_vectors(flags, texts, result.embeddings);
    totals.add(result);
  }
  print_report(flags, common, totals, data);
  return kOk;
}

}  // namespace

Command embed_command() {
  const auto flags = std::make_shared<EmbedFlags>();
  Command c;
  c.name = "embed";
  c.summary = "Turn texts into vectors with an encoder";
  c.details =
      "The folder is one of sentence-transformers, or has an encoder alone: then a vector is the mean of the tokens' states.\n"
      "Vectors come in the order of the texts. A file of vectors appears complete or not at all; with --output - each batch's rows are\n"
      "printed as soon as they are there.";
  c.examples =
      "lazuli embed --model all-MiniLM-L6-v2 --input sentences.txt --output vectors.npy\n"
      "lazuli embed --model all-MiniLM-L6-v2 --input texts.jsonl --output vectors.jsonl --batch-size 64 --json\n"
      "echo 'The cat sits on the mat.' | lazuli embed --model all-MiniLM-L6-v2 --input - --output -";
  c.options = {
      model_option(&flags->model),
      {.name = "--input",
       .target = &flags->input,
       .help = "One text a line, or rows of {\"text\"} (.jsonl, .json, .csv); - reads standard input",
       .value = "FILE",
       .required = true},
      {.name = "--output",
       .target = &flags->output,
       .help = "A .npy file, a .jsonl file of {\"text\", \"embedding\"} rows, or - for such rows on standard output",
       .value = "FILE",
       .required = true},
      {.name = "--input-format",
       .target = &flags->format,
       .help = "Format of the input; auto: by the file name's ending, or else by the first line",
       .choices = {"auto", "lines", "jsonl"}},
      {.name = "--batch-size", .target = &flags->batch_size, .help = "Texts per batch", .low = 1, .high = 65536},
      {.name = "--prompt-name",
       .target = &flags->prompt_name,
       .help = "Name of the model's prompt to put before every text; when not given the model's default, if it has one",
       .value = "NAME"},
      adapter_option(&flags->adapter_path),
      quantize_option(&flags->quantize),
      deterministic_option(&flags->deterministic),
  };
  c.memory_hint = "a smaller --batch-size, shorter texts, --quantize int8, or --dtype bf16";
  c.run = [flags](const Common& common) { return run_embed(*flags, common); };
  return c;
}

}  // namespace lazuli::cli
