// Defines the command `rerank`, which orders texts by how well they fit a query, as a cross-encoder judges each pair.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <numeric>

#include "base/interrupt.h"
#include "base/json_writer.h"
#include "cli/command.h"
#include "cli/data_line.h"
#include "cli/pair_scores.h"
#include "embed/text_list.h"
#include "lazuli/determinism.h"
#include "lazuli/error.h"
#include "lazuli/rerank.h"

namespace lazuli::cli {

namespace {

struct RerankFlags {
  bool deterministic = false;
  std::string quantize = "none";
  std::string model, query, input, prompt_name, prompt, adapter_path;
  int64_t top = 0, batch_size = 32;
};

Reranker load_reranker(const RerankFlags& flags, const Common& common) {
  // An adapter may bring the head of a model without one.
  const NewHead head{flags.adapter_path.empty() ? 0 : 1, 0};
  const auto model = RerankModel::load(flags.model, common.dtype, parse_quantization(flags.quantize), head);
  if (model->labels() != 1) {
    throw FormatError(
        fmt::format("{}: a head of one label is expected, whose score orders texts, got {} labels", flags.model, model->labels()));
  }
  if (flags.adapter_path.empty()) return Reranker(model);
  Adapter adapter = Adapter::load(flags.adapter_path, model->linears(), model->head());
  if (model->has_new_head() && adapter.whole().empty()) {
    throw FormatError(
        fmt::format("{}: a model with a classification head is expected, or an adapter that was trained with one", flags.model));
  }
  return Reranker(model, std::move(adapter));
}

std::vector<PairTokens> tokenize_with_query(const RerankModel& model, const RerankFlags& flags, std::span<const std::string> texts,
                                            const Common& common, DataReport& data) {
  const std::string prompt = common.has("--prompt") ? flags.prompt : model.prompt(flags.prompt_name);
  const auto tokenize = [&](size_t k) { return model.tokenize(flags.query, texts[k], prompt); };
  return tokenize_pairs(texts.size(), tokenize, fmt::format("ends of texts that make pairs of over {} tokens", model.max_length()), common,
                        data);
}

/// Indices of the texts, the best first; equals in the order of the texts.
std::vector<size_t> ranking(std::span<const float> scores, int64_t top) {
  std::vector<size_t> order(scores.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return scores[a] > scores[b]; });
  if (top > 0) order.resize(std::min(order.size(), static_cast<size_t>(top)));
  return order;
}

void print_ranking(const RerankFlags& flags, const Common& common, std::span<const std::string> texts, const RerankResult& result,
                   const DataReport& data) {
  const auto scores = result.scores.data<float>();
  const std::vector<size_t> order = ranking(scores, flags.top);
  if (!common.json) {
    std::string lines;
    for (const size_t k : order) lines += fmt::format("{:7.4f}  {}\n", scores[k], texts[k]);
    print_text(lines);
    return;
  }
  JsonWriter w;
  w.begin_object().field("query", flags.query).field("count", texts.size());
  write_speed(w, result);
  w.key("results").begin_array();
  for (const size_t k : order) {
    w.begin_object().field("score", static_cast<double>(scores[k])).field("index", k).field("text", texts[k]).end_object();
  }
  w.end_array();
  write_data(w, data);
  w.end_object();
  print_json(w.text());
}

int run_rerank(const RerankFlags& flags, const Common& common) {
  set_deterministic(flags.deterministic);
  if (common.has("--prompt") && common.has("--prompt-name")) throw UsageError("--prompt and --prompt-name name one prompt twice; give one");
  DataReport data;
  const std::vector<std::string> texts = read_texts(flags.input, TextFormat::automatic, data);
  Reranker reranker = load_reranker(flags, common);
  const InterruptGuard guard;
  const std::vector<PairTokens> pairs = tokenize_with_query(reranker.model(), flags, texts, common, data);
  const RerankResult result = score_pairs(reranker, pairs, flags.batch_size, common, "stopped; the texts were not all compared");
  print_ranking(flags, common, texts, result, data);
  return kOk;
}

}  // namespace

Command rerank_command() {
  const auto flags = std::make_shared<RerankFlags>();
  Command c;
  c.name = "rerank";
  c.summary = "Order texts by how well they fit a query";
  c.details =
      "The model reads the query and each text together, which is slower than `similar` and more exact. It is a cross-encoder of\n"
      "sentence-transformers or transformers: an encoder with a classification head of one label, or a decoder that answers yes or no\n"
      "(Qwen3-Reranker). Prints the score and the text, the best first. A score is from 0 to 1 unless the model's folder names another\n"
      "activation. Of pairs that are too long for the model the longer text is cut first.";
  c.examples =
      "lazuli rerank --model bge-reranker-base --query 'how do plants eat?' --input passages.txt --top-k 10\n"
      "lazuli rerank --model Qwen3-Reranker-0.6B --dtype bf16 --query 'train LoRA' --input texts.jsonl --json\n"
      "cat passages.txt | lazuli rerank --model ms-marco-MiniLM-L6-v2 --query 'how do plants eat?' --input -";
  c.options = {
      model_option(&flags->model),
      {.name = "--query", .target = &flags->query, .help = "What the texts are to fit", .value = "TEXT", .required = true},
      {.name = "--input",
       .target = &flags->input,
       .help = "One text a line, or rows of {\"text\"} (.jsonl, .json, .csv); - reads standard input",
       .value = "FILE",
       .required = true},
      {.name = "--top-k", .target = &flags->top, .help = "Number of best texts to print; 0: all", .low = 0},
      {.name = "--batch-size", .target = &flags->batch_size, .help = "Texts per batch", .low = 1, .high = 65536},
      {.name = "--prompt-name",
       .target = &flags->prompt_name,
       .help = "Name of the model's prompt to put before the query; when not given the model's default, if it has one",
       .value = "NAME"},
      {.name = "--prompt",
       .target = &flags->prompt,
       .help = "Text to put before the query instead; of Qwen3-Reranker it is the instruction",
       .value = "TEXT"},
      adapter_option(&flags->adapter_path),
      quantize_option(&flags->quantize),
      deterministic_option(&flags->deterministic),
  };
  c.memory_hint = "a smaller --batch-size, shorter texts, --quantize int8, or --dtype bf16";
  c.run = [flags](const Common& common) { return run_rerank(*flags, common); };
  return c;
}

}  // namespace lazuli::cli
