// Defines the command `embed`, which writes one vector for each text.
#include <fmt/format.h>

#include <filesystem>
#include <iostream>
#include <memory>

#include "base/interrupt.h"
#include "base/json_writer.h"
#include "base/memory_usage.h"
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
  const std::filesystem::path folder = std::filesystem::path(flags.output).parent_path();
  std::error_code ignored;
  if (!folder.empty() && !std::filesystem::is_directory(folder, ignored)) {
    throw IoError(fmt::format("{}: cannot write: there is no folder {}", flags.output, folder.string()));
  }
}

void write_vectors(const EmbedFlags& flags, const std::vector<std::string>& texts, const Tensor& vectors) {
  if (flags.output == "-") {
    const auto data = vectors.data<float>();
    const size_t size = data.size() / texts.size();
    for (size_t k = 0; k < texts.size() && std::cout; ++k) std::cout << embedding_line(texts[k], data.subspan(k * size, size));
    if (!std::cout.flush()) throw IoError("cannot write to standard output");
  } else if (flags.output.ends_with(".npy")) {
    write_npy(flags.output, vectors);
  } else {
    write_embedding_lines(flags.output, texts, vectors);
  }
}

void print_report(const EmbedFlags& flags, const Common& common, const EmbedResult& result, const DataReport& data) {
  const int64_t count = result.embeddings.dim(0), dimensions = result.embeddings.dim(1);
  const double rate = result.seconds > 0 ? static_cast<double>(result.tokens) / result.seconds : 0;
  const uint64_t peak = peak_memory_bytes();
  if (common.json) {
    JsonWriter w;
    w.begin_object().field("count", count).field("dimensions", dimensions).field("tokens", result.tokens);
    w.field("tokens_per_second", rate).field("seconds", result.seconds).field("peak_memory_bytes", peak);
    w.field("output", flags.output);
    write_allocator(w);
    write_data(w, data);
    w.end_object();
    print_json(w.text());
  } else if (!common.quiet) {
    std::cerr << fmt::format("{} texts, {} dimensions, {} tokens, {:.0f} tokens/s, peak memory {}\n", count, dimensions, result.tokens,
                             rate, human_bytes(peak));
  }
}

int run_embed(const EmbedFlags& flags, const Common& common) {
  set_deterministic(flags.deterministic);
  check_output(flags, common);
  DataReport data;
  const std::vector<std::string> texts = read_texts(flags.input, std::cin, format_of(flags.format), data);
  Embedder embedder = load_embedder(flags.model, flags.adapter_path, parse_quantization(flags.quantize), common);
  EmbedOptions options;
  options.batch_size = flags.batch_size;
  options.prompt_name = flags.prompt_name;
  const InterruptGuard guard;
  const EmbedResult result = embed_texts(embedder, texts, options, common, data);
  if (result.cancelled) return kInterrupted;
  write_vectors(flags, texts, result.embeddings);
  print_report(flags, common, result, data);
  return kOk;
}

}  // namespace

Command embed_command() {
  const auto flags = std::make_shared<EmbedFlags>();
  Command c;
  c.name = "embed";
  c.summary = "Turn texts into vectors with an encoder";
  c.details =
      "The folder is one of sentence-transformers, or has an encoder alone: then a vector is the mean of the tokens' states, normalised.\n"
      "Vectors come in the order of the texts. A file of vectors appears complete or not at all.";
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
       .help = "What the input is; auto: rows if its name ends so, or, where the name does not tell, if it begins with such a row",
       .choices = {"auto", "lines", "jsonl"}},
      {.name = "--batch-size", .target = &flags->batch_size, .help = "Texts of one pass", .low = 1, .high = 65536},
      {.name = "--prompt-name",
       .target = &flags->prompt_name,
       .help = "Which of the model's prompts to put before every text; default: the one that the model names, if any",
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
