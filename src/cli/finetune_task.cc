#include "cli/finetune_task.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/trace.h"
#include "cli/end_of_text.h"
#include "io/text_data.h"
#include "lazuli/embed.h"
#include "lazuli/tokenizer.h"
#include "train/pairs.h"

namespace lazuli::cli {

FinetuneTask text_task(const TaskSources& sources) {
  const auto model = load_model(sources.model, sources.dtype, sources.quantization);
  const Tokenizer tokenizer = Tokenizer::load(sources.model);
  const trace::Scope scope("train", "read data");
  const TextSplit split = read_split(sources.data, sources.seed);
  const int64_t context = model->info().context;
  const int32_t eos = end_of_text(tokenizer, *model);
  const int64_t tokens = context > 0 ? std::min(sources.max_seq_length, context) : sources.max_seq_length;
  FinetuneTask task;
  auto train = std::make_unique<Windows>(encode_documents(split.train, tokenizer, eos), tokens);
  std::vector<int32_t> held_out = encode_documents(split.validation, tokenizer, eos);
  if (held_out.size() >= 2) task.validation = std::make_unique<Windows>(std::move(held_out), tokens);
  task.examples = fmt::format("{} windows of {} tokens to train on, {} to validate", train->count(), train->tokens(),
                              task.validation ? task.validation->count() : 0);
  task.train = std::move(train);
  task.model = model;
  task.info = &model->info();
  task.linears = model->linears();
  task.objective = next_token_objective(model);
  task.task_type = "CAUSAL_LM";
  task.perplexity = true;
  return task;
}

FinetuneTask similarity_task(const TaskSources& sources) {
  const auto model = EmbeddingModel::load(sources.model, sources.dtype, sources.quantization);
  const trace::Scope scope("train", "read data");
  const PairSplit split = read_pairs(sources.data, sources.seed);
  FinetuneTask task;
  task.train = std::make_unique<Pairs>(*model, split.train, split.loss, sources.max_seq_length);
  if (!split.validation.empty()) task.validation = std::make_unique<Pairs>(*model, split.validation, split.loss, sources.max_seq_length);
  task.examples = fmt::format("{} pairs to train on, {} to validate, {}", split.train.size(), split.validation.size(),
                              split.loss == PairLoss::scores ? "with scores" : "each against the others of its batch");
  task.model = model;
  task.info = &model->encoder().info();
  task.linears = model->encoder().linears();
  task.objective = pair_objective(model, split.loss);
  task.task_type = "FEATURE_EXTRACTION";
  return task;
}

}  // namespace lazuli::cli
