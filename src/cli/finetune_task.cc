#include "cli/finetune_task.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "base/trace.h"
#include "lazuli/embed.h"
#include "lazuli/error.h"
#include "lazuli/text_model.h"
#include "text/text_data.h"
#include "train/pairs.h"

namespace lazuli::cli {

namespace {

/// A pair alone in its batch has nothing to be told apart from: its loss is 0 whatever the model does.
void require_contrast(const Pairs& train, int64_t batch_size) {
  if (batch_size < 2) {
    throw ValueError(
        "[train] each pair is told apart from the others of its batch: --batch-size of at least 2 is expected, or rows with a negative");
  }
  if (train.most_in_batch() >= 2) return;
  throw ValueError(fmt::format(
      "[train] each pair is told apart from the others of its batch: at least two pairs without a common text are expected, got {} pair{}",
      train.count(), train.count() == 1 ? "" : "s that all have one"));
}

std::string describe_validation(const Pairs& train, const Pairs& held_out, PairLoss loss, int64_t batch_size) {
  if (loss != PairLoss::contrastive || held_out.count() == 0) return "";
  const int64_t trained = std::min(batch_size, train.most_in_batch()), among = std::min(batch_size, held_out.most_in_batch());
  if (among < 2) return " (no two of these can be told apart, so that nothing is measured)";
  if (among >= trained) return "";
  return fmt::format(" (a choice among {}, in training among {}: this loss is lower by its kind)", among, trained);
}

std::string describe_pairs(const Pairs& train, const Pairs& held_out, PairLoss loss, int64_t batch_size) {
  std::string text = fmt::format("{} pairs to train on, {} to validate{}, ", train.count(), held_out.count(),
                                 describe_validation(train, held_out, loss, batch_size));
  if (loss == PairLoss::scores) return text + "with scores";
  text += loss == PairLoss::negatives ? "each against the others and the negatives of its batch" : "each against the others of its batch";
  const int64_t size = std::min(batch_size, train.most_in_batch());
  if (size < batch_size) text += fmt::format("; batches have at most {}, since no text may stand twice in one", size);
  return text;
}

}  // namespace

FinetuneTask text_task(const TaskSources& sources) {
  const TextModel text = TextModel::open(sources.model, sources.dtype, sources.quantization);
  const auto& model = text.model();
  const trace::Scope scope("train", "read data");
  FinetuneTask task;
  const TextSplit split = read_split(sources.data, sources.seed, task.data, std::span(&sources.adapter_path, 1));
  const int64_t tokens = std::min(sources.max_seq_length, model->info().context);
  TokenSplit parts = encode_split(split, text.tokenizer(), text.document_end());
  for (const auto& ids : {std::span(parts.train), std::span(parts.validation)}) text.require_known(ids, "the data");
  task.data.tokens = parts.tokens;
  auto train = std::make_unique<Windows>(std::move(parts.train), tokens);
  if (parts.validation.size() >= 2) task.validation = std::make_unique<Windows>(std::move(parts.validation), tokens);
  task.examples = fmt::format("{} windows of {} tokens to train on, {} to validate ({})", train->count(), train->tokens(),
                              task.validation ? task.validation->count() : 0, parts.held_out);
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
  FinetuneTask task;
  const PairSplit split = read_pairs(sources.data, sources.seed, task.data, std::span(&sources.adapter_path, 1));
  auto train = std::make_unique<Pairs>(*model, split.train, split.loss, sources.max_seq_length);
  auto held_out = std::make_unique<Pairs>(*model, split.validation, split.loss, sources.max_seq_length);
  task.data.tokens = train->all_tokens() + held_out->all_tokens();
  if (const int64_t cut = train->cut_texts() + held_out->cut_texts(); cut > 0) {
    task.data.leave_out("ends of texts longer than the model or --max-seq-length allows", "", cut);
  }
  if (split.loss == PairLoss::contrastive) require_contrast(*train, sources.batch_size);
  task.examples = describe_pairs(*train, *held_out, split.loss, sources.batch_size);
  task.train = std::move(train);
  if (!held_out->fixed_batches(sources.batch_size, 1, sources.seed).empty()) task.validation = std::move(held_out);
  task.model = model;
  task.info = &model->encoder().info();
  task.linears = model->encoder().linears();
  task.objective = pair_objective(model, split.loss);
  task.task_type = "FEATURE_EXTRACTION";
  return task;
}

FinetuneTask label_task(const TaskSources& sources, LabelKind kind) {
  // The labels of a new head are those that the data have, which are not read yet.
  const int64_t labels = kind == LabelKind::relevance ? 1 : most_label(sources.data, std::span(&sources.adapter_path, 1)) + 1;
  const auto model = RerankModel::load(sources.model, sources.dtype, sources.quantization,
                                       {std::max<int64_t>(labels, kind == LabelKind::relevance ? 1 : 2), sources.seed});
  if (model->head().empty()) throw FormatError(fmt::format("{}: an encoder with a head, which can be trained, is expected", sources.model));
  if ((model->labels() == 1) != (kind == LabelKind::relevance)) {
    throw FormatError(fmt::format("{}: a head of {} is expected for this task, got {} labels", sources.model,
                                  kind == LabelKind::relevance ? "one label" : "two labels or more", model->labels()));
  }
  const trace::Scope scope("train", "read data");
  FinetuneTask task;
  const LabelledSplit split =
      read_labelled(sources.data, kind, model->labels(), sources.seed, task.data, std::span(&sources.adapter_path, 1));
  auto train = std::make_unique<Labelled>(*model, split.train, split.pairs, kind, sources.max_seq_length);
  const auto held_out = std::make_shared<Labelled>(*model, split.validation, split.pairs, kind, sources.max_seq_length);
  task.data.tokens = train->all_tokens() + held_out->all_tokens();
  if (const int64_t cut = train->cut_rows() + held_out->cut_rows(); cut > 0) {
    task.data.leave_out("ends of texts longer than the model or --max-seq-length allows", "", cut);
  }
  task.examples = fmt::format("{} {} to train on, {} to validate, {} label{}{}", train->count(), split.pairs ? "pairs" : "texts",
                              held_out->count(), model->labels(), model->labels() == 1 ? "" : "s",
                              model->has_new_head() ? "; the model has no head, so a new one is trained" : "");
  task.train = std::move(train);
  if (held_out->count() > 0) {
    task.validation = std::make_unique<Labelled>(*held_out);
    task.accuracy = [model, held_out, kind, size = sources.batch_size](const Adapter& adapter) {
      return label_accuracy(*model, adapter, *held_out, kind, size);
    };
  }
  task.model = model;
  task.info = &model->info();
  task.linears = model->linears();
  task.whole = model->head();
  task.modules = {"classifier", "score"};
  task.objective = label_objective(model, kind);
  task.task_type = "SEQ_CLS";
  return task;
}

}  // namespace lazuli::cli
