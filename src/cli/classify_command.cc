// Defines the command `classify`, which names the class of each text by an encoder with a classification head.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>

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

struct ClassifyFlags {
  bool deterministic = false;
  std::string quantize = "none";
  std::string model, input, adapter_path;
  int64_t batch_size = 32;
};

Reranker load_labeller(const ClassifyFlags& flags, const Common& common) {
  // An adapter may bring the head of a model without one.
  const NewHead head{flags.adapter_path.empty() ? 0 : Adapter::stored_labels(flags.adapter_path), 0};
  const auto model = RerankModel::load(flags.model, common.dtype, parse_quantization(flags.quantize), head);
  if (model->label_names().empty()) {
    throw FormatError(fmt::format("{}: an encoder with a classification head is expected; `lazuli rerank` takes this model", flags.model));
  }
  if (flags.adapter_path.empty()) return Reranker(model, {}, PairOutput::probabilities);
  return Reranker(model, Adapter::load(flags.adapter_path, model->linears(), model->head()), PairOutput::probabilities);
}

std::vector<PairTokens> tokenize_rows(const RerankModel& model, const TextRows& rows, const Common& common, DataReport& data) {
  const auto tokenize = [&](size_t k) {
    return rows.queries.empty() ? model.tokenize_text(rows.texts[k]) : model.tokenize(rows.queries[k], rows.texts[k]);
  };
  return tokenize_pairs(rows.texts.size(), tokenize, fmt::format("ends of texts of over {} tokens", model.max_length()), common, data);
}

size_t most_likely(std::span<const float> row) { return static_cast<size_t>(std::max_element(row.begin(), row.end()) - row.begin()); }

void print_classes(const Common& common, const RerankModel& model, const TextRows& rows, const RerankResult& result,
                   const DataReport& data) {
  const std::span<const std::string> names = model.label_names();
  const auto all = result.scores.data<float>();
  const auto row = [&](size_t k) { return all.subspan(k * names.size(), names.size()); };
  if (!common.json) {
    std::string lines;
    for (size_t k = 0; k < rows.texts.size(); ++k) {
      const size_t best = most_likely(row(k));
      lines += fmt::format("{:6.4f}  {}  {}\n", row(k)[best], names[best], rows.texts[k]);
    }
    print_text(lines);
    return;
  }
  JsonWriter w;
  w.begin_object().field("count", rows.texts.size());
  write_speed(w, result);
  w.key("results").begin_array();
  for (size_t k = 0; k < rows.texts.size(); ++k) {
    w.begin_object().field("label", names[most_likely(row(k))]).key("probabilities").begin_object();
    for (size_t n = 0; n < names.size(); ++n) w.field(names[n], static_cast<double>(row(k)[n]));
    w.end_object();
    if (!rows.queries.empty()) w.field("query", rows.queries[k]);
    w.field("text", rows.texts[k]).end_object();
  }
  w.end_array();
  write_data(w, data);
  w.end_object();
  print_json(w.text());
}

int run_classify(const ClassifyFlags& flags, const Common& common) {
  set_deterministic(flags.deterministic);
  DataReport data;
  const TextRows rows = read_text_rows(flags.input, data);
  Reranker labeller = load_labeller(flags, common);
  const InterruptGuard guard;
  const std::vector<PairTokens> tokens = tokenize_rows(labeller.model(), rows, common, data);
  const RerankResult result = score_pairs(labeller, tokens, flags.batch_size, common, "stopped; not all texts were classified");
  print_classes(common, labeller.model(), rows, result, data);
  return kOk;
}

}  // namespace

Command classify_command() {
  const auto flags = std::make_shared<ClassifyFlags>();
  Command c;
  c.name = "classify";
  c.summary = "Name the class of each text";
  c.details =
      "The model is an encoder with a classification head, or an encoder with an adapter that `finetune --task classify` trained.\n"
      "Prints the probability of the most likely label, the label and the text, in the order of the texts; --json prints the\n"
      "probabilities of all labels. Labels are called as id2label of config.json says. They share a probability of 1, unless\n"
      "problem_type is multi_label_classification or there is one label alone: then each has its own.";
  c.examples =
      "lazuli classify --model bert-sentiment --input reviews.txt\n"
      "lazuli classify --model ModernBERT-base --adapter-path OUT --input reviews.jsonl --json\n"
      "cat pairs.jsonl | lazuli classify --model bert-nli --input -";
  c.options = {
      model_option(&flags->model),
      {.name = "--input",
       .target = &flags->input,
       .help = "One text a line, or rows of {\"text\"} or {\"query\", \"passage\"} (.jsonl, .json, .csv); - reads standard input",
       .value = "FILE",
       .required = true},
      {.name = "--batch-size", .target = &flags->batch_size, .help = "Texts per batch", .low = 1, .high = 65536},
      adapter_option(&flags->adapter_path),
      quantize_option(&flags->quantize),
      deterministic_option(&flags->deterministic),
  };
  c.memory_hint = "a smaller --batch-size, shorter texts, --quantize int8, or --dtype bf16";
  c.run = [flags](const Common& common) { return run_classify(*flags, common); };
  return c;
}

}  // namespace lazuli::cli
