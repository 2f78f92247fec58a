// Defines the command `similar`, which finds the texts that are closest in meaning to a query.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>

#include "base/interrupt.h"
#include "base/json_writer.h"
#include "cli/command.h"
#include "cli/data_line.h"
#include "cli/embedding.h"
#include "embed/text_list.h"
#include "lazuli/determinism.h"

namespace lazuli::cli {

namespace {

struct SimilarFlags {
  bool deterministic = false;
  std::string quantize = "none";
  std::string model, query, input, prompt_name, query_prompt_name, query_prompt, adapter_path;
  int64_t top = 5, batch_size = 32;
};

struct Hit {
  size_t index;
  double score;
};

double score(std::span<const float> a, std::span<const float> b, Similarity similarity) {
  if (similarity == Similarity::cosine) return cosine_similarity(a, b);
  double sum = 0;
  for (size_t k = 0; k < a.size(); ++k) {
    const double x = a[k], y = b[k];
    sum += similarity == Similarity::dot ? x * y : similarity == Similarity::euclidean ? (x - y) * (x - y) : std::abs(x - y);
  }
  return similarity == Similarity::dot ? sum : similarity == Similarity::euclidean ? -std::sqrt(sum) : -sum;
}

/// The best first; equals in the order of the texts.
std::vector<Hit> best(const Tensor& vectors, const Tensor& query, Similarity similarity, size_t top) {
  const auto data = vectors.data<float>();
  const auto wanted = query.data<float>();
  std::vector<Hit> hits(static_cast<size_t>(vectors.dim(0)));
  for (size_t k = 0; k < hits.size(); ++k) {
    hits[k] = {k, score(data.subspan(k * wanted.size(), wanted.size()), wanted, similarity)};
  }
  top = std::min(top, hits.size());
  const auto better = [](const Hit& a, const Hit& b) { return a.score != b.score ? a.score > b.score : a.index < b.index; };
  std::partial_sort(hits.begin(), hits.begin() + static_cast<std::ptrdiff_t>(top), hits.end(), better);
  hits.resize(top);
  return hits;
}

void print_hits(const SimilarFlags& flags, const Common& common, const std::vector<std::string>& texts, const std::vector<Hit>& hits,
                const DataReport& data) {
  if (!common.json) {
    std::string lines;
    for (const Hit& hit : hits) lines += fmt::format("{:7.4f}  {}\n", hit.score, texts[hit.index]);
    print_text(lines);
    return;
  }
  JsonWriter w;
  w.begin_object().field("query", flags.query).field("count", texts.size());
  w.key("results").begin_array();
  for (const Hit& hit : hits) {
    w.begin_object().field("score", hit.score).field("index", hit.index).field("text", texts[hit.index]).end_object();
  }
  w.end_array();
  write_data(w, data);
  w.end_object();
  print_json(w.text());
}

int run_similar(const SimilarFlags& flags, const Common& common) {
  set_deterministic(flags.deterministic);
  if (common.has("--query-prompt") && common.has("--query-prompt-name")) {
    throw UsageError("--query-prompt and --query-prompt-name name one prompt twice; give one");
  }
  DataReport data;
  const std::vector<std::string> texts = read_texts(flags.input, TextFormat::automatic, data);
  Embedder embedder = load_embedder(flags.model, flags.adapter_path, parse_quantization(flags.quantize), common);
  EmbedOptions options;
  options.batch_size = flags.batch_size;
  options.prompt_name = flags.query_prompt_name;
  if (common.has("--query-prompt")) options.prompt = flags.query_prompt;
  const EmbedResult query = embedder.run(std::span(&flags.query, 1), options);
  options.prompt.reset();
  options.prompt_name = flags.prompt_name;
  const InterruptGuard guard;
  const EmbedResult result = embed_texts(embedder, texts, options, common, data);
  if (result.cancelled) throw Interrupted("stopped; the texts were not all compared");
  print_hits(flags, common, texts, best(result.embeddings, query.embeddings, embedder.model().similarity(), static_cast<size_t>(flags.top)),
             data);
  return kOk;
}

}  // namespace

Command similar_command() {
  const auto flags = std::make_shared<SimilarFlags>();
  Command c;
  c.name = "similar";
  c.summary = "Find the texts that are closest in meaning to a query";
  c.details =
      "Prints the cosine of the angle between the vectors of query and text, and the text, the closest first. Where the model's\n"
      "similarity_fn_name says dot, euclidean or manhattan, it is the dot product or the distance, with a minus sign.";
  c.examples =
      "lazuli similar --model all-MiniLM-L6-v2 --query 'a pet on a carpet' --input sentences.txt --top 3\n"
      "lazuli similar --model all-MiniLM-L6-v2 --query 'how do I train?' --input texts.jsonl --json";
  c.options = {
      model_option(&flags->model),
      {.name = "--query", .target = &flags->query, .help = "The text to compare with", .value = "TEXT", .required = true},
      {.name = "--input",
       .target = &flags->input,
       .help = "One text a line, or rows of {\"text\"} (.jsonl, .json, .csv); - reads standard input",
       .value = "FILE",
       .required = true},
      {.name = "--top", .target = &flags->top, .help = "Number of most similar texts to print", .low = 1},
      {.name = "--batch-size", .target = &flags->batch_size, .help = "Texts per batch", .low = 1, .high = 65536},
      {.name = "--query-prompt-name",
       .target = &flags->query_prompt_name,
       .help = "Name of the model's prompt to put before the query",
       .value = "NAME"},
      {.name = "--query-prompt",
       .target = &flags->query_prompt,
       .help = "Text to put before the query instead, such as an instruction",
       .value = "TEXT"},
      {.name = "--prompt-name",
       .target = &flags->prompt_name,
       .help = "Name of the model's prompt to put before the texts",
       .value = "NAME"},
      adapter_option(&flags->adapter_path),
      quantize_option(&flags->quantize),
      deterministic_option(&flags->deterministic),
  };
  c.memory_hint = "a smaller --batch-size, shorter texts, --quantize int8, or --dtype bf16";
  c.run = [flags](const Common& common) { return run_similar(*flags, common); };
  return c;
}

}  // namespace lazuli::cli
