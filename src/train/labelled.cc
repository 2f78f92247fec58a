#include "train/labelled.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>

#include "lazuli/error.h"
#include "lazuli/evaluate.h"
#include "lazuli/ops.h"

namespace lazuli {
namespace {

constexpr int64_t kRowStep = 16;  // lengths of batches are multiples of this, so that few plans are made

class LabelLoss : public Objective {
 public:
  LabelLoss(std::shared_ptr<const RerankModel> model, LabelKind kind) : model_(std::move(model)), kind_(kind) {}
  size_t inputs() const override { return 5; }
  int64_t layers() const override { return model_->info().layers; }

  void check(std::span<const Tensor> batch) const override {
    const Shape& shape = batch[0].shape();
    if (shape.rank() != 2 || batch[1].shape() != shape || batch[2].shape() != shape || batch[3].shape() != Shape{shape[0]} ||
        batch[4].shape() != Shape{shape[0]}) {
      throw ShapeError(fmt::format(
          "[train] ids, types and mask (rows, tokens), last and labels (rows) are expected, got {}, {}, {}, {} and {}", to_string(shape),
          to_string(batch[1].shape()), to_string(batch[2].shape()), to_string(batch[3].shape()), to_string(batch[4].shape())));
    }
    if (kind_ == LabelKind::relevance) return;
    if (batch[4].dtype() != DType::i32) throw DTypeError(fmt::format("[train] labels: i32 is expected, got {}", name_of(batch[4].dtype())));
    for (const int32_t label : batch[4].contiguous().data<int32_t>()) {
      if (label < 0 || label >= model_->labels()) {
        throw ValueError(fmt::format("[train] a label from 0 to {} is expected, got {}", model_->labels() - 1, label));
      }
    }
  }

  LazyTensor loss(std::span<const LazyTensor> batch, const AdapterContext& adapter) const override {
    const LazyTensor logits = model_->logits({batch[0], batch[1], batch[2], batch[3], &adapter});
    if (kind_ == LabelKind::classes) return cross_entropy(logits, batch[4]);
    // max(x, 0) - x * label + log(1 + exp(-|x|)), which no logit makes infinite.
    const LazyTensor x = squeeze(logits, 1);
    return mean(add(sub(relu(x), mul(x, batch[4])), log(add_scalar(exp(neg(abs(x))), 1.0))));
  }

 private:
  std::shared_ptr<const RerankModel> model_;
  LabelKind kind_;
};

}  // namespace

Labelled::Labelled(const RerankModel& model, const std::vector<LabelledText>& rows, bool pairs, LabelKind kind, int64_t max_length)
    : model_(model), kind_(kind) {
  const std::string& prompt = model.prompt({});
  for (const LabelledText& row : rows) {
    rows_.push_back(pairs ? model.tokenize(row.query, row.text, prompt, max_length) : model.tokenize_text(row.text, max_length));
    labels_.push_back(row.label);
    all_tokens_ += static_cast<int64_t>(rows_.back().ids.size());
    cut_rows_ += rows_.back().cut > 0 ? 1 : 0;
  }
}

std::vector<Tensor> Labelled::batch(std::span<const int64_t> indices) const {
  std::vector<const PairTokens*> rows;
  std::vector<float> labels;
  size_t longest = 1;
  for (const int64_t k : indices) {
    if (k < 0 || k >= count()) throw ValueError(fmt::format("[train] row {} of {} was asked for", k, count()));
    rows.push_back(&rows_[static_cast<size_t>(k)]);
    labels.push_back(labels_[static_cast<size_t>(k)]);
    longest = std::max(longest, rows.back()->ids.size());
  }
  const int64_t rounded = (static_cast<int64_t>(longest) + kRowStep - 1) / kRowStep * kRowStep;
  PairBatch b = model_.batch(rows, 0, std::min(rounded, model_.info().context));
  Tensor wanted = Tensor::from_vector(labels, {static_cast<int64_t>(labels.size())});
  if (kind_ == LabelKind::classes) wanted = wanted.to(DType::i32);
  return {std::move(b.ids), std::move(b.types), std::move(b.mask), std::move(b.last), std::move(wanted)};
}

std::vector<int64_t> Labelled::largest_batch(int64_t size) const {
  if (count() == 0) return {};
  const auto longest =
      std::max_element(rows_.begin(), rows_.end(), [](const auto& a, const auto& b) { return a.ids.size() < b.ids.size(); });
  return std::vector<int64_t>(static_cast<size_t>(size), longest - rows_.begin());
}

int64_t Labelled::tokens(std::span<const Tensor> batch) const {
  const auto mask = batch[2].data<bool>();
  return std::count(mask.begin(), mask.end(), true);
}

std::shared_ptr<const Objective> label_objective(std::shared_ptr<const RerankModel> model, LabelKind kind) {
  return std::make_shared<LabelLoss>(std::move(model), kind);
}

double label_accuracy(const RerankModel& model, const Adapter& adapter, const Labelled& rows, LabelKind kind, int64_t batch_size) {
  const AdapterContext context(adapter);
  int64_t right = 0;
  for (int64_t first = 0; first < rows.count(); first += batch_size) {
    std::vector<int64_t> indices(static_cast<size_t>(std::min(batch_size, rows.count() - first)));
    std::iota(indices.begin(), indices.end(), first);
    const std::vector<Tensor> batch = rows.batch(indices);
    std::vector<LazyTensor> in;
    for (size_t k = 0; k < 4; ++k) in.push_back(LazyTensor::from_tensor(batch[k].to(default_device())));
    const std::vector<float> logits = model.logits({in[0], in[1], in[2], in[3], &context}).eval().to_vector<float>();
    const std::vector<float> labels = batch[4].to_vector<float>();
    const auto width = static_cast<std::ptrdiff_t>(model.labels());
    for (size_t k = 0; k < labels.size(); ++k) {
      const auto row = logits.begin() + static_cast<std::ptrdiff_t>(k) * width;
      const bool fits = kind == LabelKind::classes ? std::max_element(row, row + width) - row == std::lround(labels[k])
                                                   : (*row > 0) == (labels[k] >= 0.5F);
      right += fits ? 1 : 0;
    }
  }
  return rows.count() == 0 ? 0 : static_cast<double>(right) / static_cast<double>(rows.count());
}

}  // namespace lazuli
