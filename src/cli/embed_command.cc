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
  std::string model, input, output, prompt_name, prompt, adapter_path;
  std::string format = "auto";
  std::string precision = "f32";
  int64_t batch_size = 32, dimensions = 0;
  bool normalize = false;
  /// Whether numbers are rounded by the ranges of all vectors.
  bool needs_all() const { return precision == "int8" || precision == "uint8"; }
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
  const auto ends_in = [&](std::string_view ending) { return flags.output.ends_with(ending); };
  if (!ends_in(".npy") && !ends_in(".safetensors") && !ends_in(".jsonl")) {
    throw UsageError(fmt::format("--output: a name that ends in .npy, .safetensors or .jsonl, or -, is expected, got '{}'", flags.output));
  }
  // Better now than after the work.
  require_writable(flags.output);
}

/// What was embedded.
struct Totals {
  int64_t count = 0, dimensions = 0, tokens = 0;
  double seconds = 0;
  void add(const EmbedResult& result, int64_t kept) {
    count += result.embeddings.dim(0);
    dimensions = kept;
    tokens += result.tokens;
    seconds += result.seconds;
  }
};

/// What becomes of vectors before they are written, in the order of sentence-transformers.
QuantizedVectors stored(const EmbedFlags& flags, const Tensor& vectors) {
  const VectorPrecision precision = parse_vector_precision(flags.precision);
  if (flags.dimensions == 0 && !flags.normalize) return quantize_vectors(vectors, precision);
  const int64_t kept = flags.dimensions > 0 ? flags.dimensions : vectors.dim(1);
  return quantize_vectors(truncate_vectors(vectors, kept, flags.normalize), precision);
}

void write_vectors(const EmbedFlags& flags, const std::vector<std::string>& texts, const Tensor& vectors) {
  const QuantizedVectors out = stored(flags, vectors);
  if (flags.output == "-") {
    std::string rows;
    for (size_t k = 0; k < texts.size(); ++k) rows += embedding_line(texts[k], out.values, static_cast<int64_t>(k));
    print_text(rows);
  } else if (flags.output.ends_with(".npy")) {
    write_npy(flags.output, out.values);
  } else if (flags.output.ends_with(".safetensors")) {
    write_embedding_tensors(flags.output, out);
  } else {
    write_embedding_lines(flags.output, texts, out.values);
  }
}

/// Better now than after the work.
void check_vectors(const EmbedFlags& flags, const EmbeddingModel& model, size_t texts, DataReport& data) {
  if (flags.dimensions > model.dimensions()) {
    throw ValueError(fmt::format("--dimensions: at most {}, the size of the model's vectors, is expected, got {}", model.dimensions(),
                                 flags.dimensions));
  }
  if (!flags.needs_all()) return;
  if (texts < 2) {
    throw ValueError(fmt::format("--precision {}: at least two texts are expected, whose numbers give its ranges", flags.precision));
  }
  constexpr size_t few = 100;  // below which sentence-transformers warns too
  if (texts < few) data.note(fmt::format("the ranges of --precision {} are those of only {} texts", flags.precision, texts));
}

int64_t kept_dimensions(const EmbedFlags& flags, const EmbeddingModel& model) {
  return flags.dimensions > 0 ? flags.dimensions : model.dimensions();
}

/// Each batch's rows as soon as they are there, so in the order of the texts and not of their lengths.
Totals print_vectors(const EmbedFlags& flags, Embedder& embedder, std::span<const std::string> texts, EmbedOptions options,
                     const Common& common, DataReport& data) {
  const std::vector<EmbeddingTokens> tokens = tokenize_texts(embedder.model(), texts, options, common, data);
  Progress progress(0, static_cast<int64_t>(texts.size()), common.quiet);
  options.on_progress = [](int64_t, int64_t) { return !interrupted(); };
  Totals totals;
  const auto most = static_cast<size_t>(options.batch_size);
  for (size_t first = 0; first < texts.size(); first += most) {
    const auto part = texts.subspan(first, std::min(most, texts.size() - first));
    const EmbedResult result = embedder.run(std::span(tokens).subspan(first, part.size()), options);
    if (result.cancelled) throw Interrupted(fmt::format("stopped after {} of {} texts", first, texts.size()));
    progress.clear();
    write_vectors(flags, {part.begin(), part.end()}, result.embeddings);
    totals.add(result, kept_dimensions(flags, embedder.model()));
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
    w.field("output", flags.output).field("precision", flags.precision);
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
  if (common.has("--prompt") && common.has("--prompt-name")) throw UsageError("--prompt and --prompt-name name one prompt twice; give one");
  check_output(flags, common);
  DataReport data;
  const std::vector<std::string> texts = read_texts(flags.input, format_of(flags.format), data);
  Embedder embedder = load_embedder(flags.model, flags.adapter_path, parse_quantization(flags.quantize), common);
  check_vectors(flags, embedder.model(), texts.size(), data);
  EmbedOptions options;
  options.batch_size = flags.batch_size;
  options.prompt_name = flags.prompt_name;
  if (common.has("--prompt")) options.prompt = flags.prompt;
  const InterruptGuard guard;
  Totals totals;
  if (flags.output == "-" && !flags.needs_all()) {
    totals = print_vectors(flags, embedder, texts, options, common, data);
  } else {
    const EmbedResult result = embed_texts(embedder, texts, options, common, data);
    if (result.cancelled) throw Interrupted(fmt::format("stopped; {} was not written", flags.output == "-" ? "nothing" : flags.output));
    write_vectors(flags, texts, result.embeddings);
    totals.add(result, kept_dimensions(flags, embedder.model()));
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
      "A decoder of such a folder makes vectors, too; a decoder alone gives the state of its last token.\n"
      "Vectors come in the order of the texts. A file of vectors appears complete or not at all; with --output - each batch's rows are\n"
      "printed as soon as they are there.\n"
      "--dimensions takes the first numbers of what the model gives, after its own normalisation, as truncate_dim of\n"
      "sentence-transformers does; --normalize gives them length 1 again. --precision follows quantize_embeddings there: int8 and\n"
      "uint8 divide the range of each dimension, over all texts, into 255 steps, and .safetensors keeps these ranges; binary and\n"
      "ubinary store a bit a dimension, 1 above zero, eight in a byte from its highest bit on, as i8 less 128 or as u8.";
  c.examples =
      "lazuli embed --model all-MiniLM-L6-v2 --input sentences.txt --output vectors.npy\n"
      "lazuli embed --model all-MiniLM-L6-v2 --input texts.jsonl --output vectors.jsonl --batch-size 64 --json\n"
      "lazuli embed --model all-MiniLM-L6-v2 --input sentences.txt --output vectors.safetensors --dimensions 128 --normalize --precision "
      "int8\n"
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
       .help = "A .npy or .safetensors file, a .jsonl file of {\"text\", \"embedding\"} rows, or - for such rows on standard output",
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
      {.name = "--prompt",
       .target = &flags->prompt,
       .help = "Text to put before every text instead, such as an instruction",
       .value = "TEXT"},
      {.name = "--dimensions",
       .target = &flags->dimensions,
       .help = "Numbers to keep of each vector, from the first on; 0: all",
       .value = "N",
       .low = 0},
      {.name = "--normalize", .target = &flags->normalize, .help = "Give each vector length 1, after --dimensions"},
      {.name = "--precision",
       .target = &flags->precision,
       .help = "How each number is stored",
       .choices = {"f32", "int8", "uint8", "binary", "ubinary"}},
      adapter_option(&flags->adapter_path),
      quantize_option(&flags->quantize),
      deterministic_option(&flags->deterministic),
  };
  c.memory_hint = "a smaller --batch-size, shorter texts, --quantize int8, or --dtype bf16";
  c.run = [flags](const Common& common) { return run_embed(*flags, common); };
  return c;
}

}  // namespace lazuli::cli
