// Defines Labelled, texts or pairs of texts with labels, on which a classification head is trained, and their reading from rows.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "io/data_report.h"
#include "lazuli/rerank.h"
#include "lazuli/train.h"
#include "train/batches.h"

namespace lazuli {

/// What a label means, and the loss that follows from it.
enum class LabelKind : uint8_t {
  classes,    ///< the number of a class; cross entropy, as AutoModelForSequenceClassification has it
  relevance,  ///< from 0 to 1, how well a text fits a query; binary cross entropy of the logit, as CrossEncoder has it
};

struct LabelledText {
  std::string query, text;  ///< the query is empty where rows have one text
  float label = 0;
};

struct LabelledSplit {
  bool pairs = false;  ///< whether rows have a query
  std::vector<LabelledText> train, validation;
};

/// Rows {"text", "label"} or {"query", "passage", "label"}, where the passage may be called text; `relevance` takes the latter alone. They
/// are divided as read_pairs does. A label of classes is a number from 0 to `classes` - 1. Throws IoError, and FormatError naming the row
/// and the column.
LabelledSplit read_labelled(const std::string& path, LabelKind kind, int64_t classes, uint64_t seed, DataReport& report,
                            std::span<const std::string> excluded = {});

/// The largest label of the data, with which a new head's size is known; 0 at least. Throws as read_labelled.
int64_t most_label(const std::string& path, std::span<const std::string> excluded = {});

/// Tokenized rows as batches: ids, types, mask and last of a PairBatch, and the labels, i32 of classes and f32 of relevance.
class Labelled : public Examples {
 public:
  /// Texts are cut to `max_length` tokens. `model` must live as long.
  Labelled(const RerankModel& model, const std::vector<LabelledText>& rows, bool pairs, LabelKind kind, int64_t max_length);
  int64_t count() const override { return static_cast<int64_t>(rows_.size()); }
  std::vector<Tensor> batch(std::span<const int64_t> indices) const override;
  std::vector<int64_t> largest_batch(int64_t size) const override;
  int64_t tokens(std::span<const Tensor> batch) const override;
  double weight(std::span<const Tensor> batch) const override { return static_cast<double>(batch[0].dim(0)); }

  int64_t all_tokens() const { return all_tokens_; }  ///< of all rows
  int64_t cut_rows() const { return cut_rows_; }      ///< that were longer than allowed

 private:
  const RerankModel& model_;
  LabelKind kind_;
  std::vector<PairTokens> rows_;
  std::vector<float> labels_;
  int64_t all_tokens_ = 0, cut_rows_ = 0;
};

/// The loss of a batch of Labelled.
std::shared_ptr<const Objective> label_objective(std::shared_ptr<const RerankModel> model, LabelKind kind);

/// The share of rows whose label the model with the adapter gives: the class of the largest logit, or the side of one half that the
/// relevance lies on. All rows count.
double label_accuracy(const RerankModel& model, const Adapter& adapter, const Labelled& rows, LabelKind kind, int64_t batch_size);

}  // namespace lazuli
