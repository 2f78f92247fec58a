// Implements the losses that training minimises.
#include <fmt/format.h>

#include "lazuli/embed.h"
#include "lazuli/error.h"
#include "lazuli/ops.h"
#include "lazuli/train.h"
#include "nn/unit_rows.h"

namespace lazuli {
namespace {

class NextToken : public Objective {
 public:
  explicit NextToken(std::shared_ptr<const LanguageModel> model) : model_(std::move(model)) {}
  size_t inputs() const override { return 1; }
  int64_t layers() const override { return model_->info().layers; }

  void check(std::span<const Tensor> batch) const override {
    const Tensor& ids = batch[0];
    if (ids.dtype() != DType::i32) throw DTypeError(fmt::format("[train] ids: i32 is expected, got {}", name_of(ids.dtype())));
    if (ids.rank() != 2 || ids.dim(0) < 1 || ids.dim(1) < 2) {
      throw ShapeError(fmt::format("[train] ids: (batch, tokens + 1) is expected, got {}", to_string(ids.shape())));
    }
    const int64_t vocabulary = model_->info().vocab_size;
    const Tensor row_major = ids.contiguous();
    for (int32_t id : row_major.data<int32_t>()) {
      if (id < 0 || id >= vocabulary) throw ValueError(fmt::format("[train] ids: 0 to {} is expected, got {}", vocabulary - 1, id));
    }
  }

  LazyTensor loss(std::span<const LazyTensor> batch, const AdapterContext& adapter) const override {
    const LazyTensor& ids = batch[0];
    const int64_t tokens = ids.dim(1) - 1;
    ForwardContext forward;
    forward.ids = slice(ids, 1, 0, tokens);
    forward.adapter = &adapter;
    const LazyTensor targets = slice(ids, 1, 1, tokens + 1);
    return cross_entropy(model_->loss_logits(model_->hidden(forward)), targets);
  }

 private:
  std::shared_ptr<const LanguageModel> model_;
};

class PairSimilarity : public Objective {
 public:
  PairSimilarity(std::shared_ptr<const EmbeddingModel> model, PairLoss kind) : model_(std::move(model)), kind_(kind) {}
  size_t inputs() const override { return kind_ == PairLoss::scores ? 4 : 3; }
  int64_t layers() const override { return model_->encoder().info().layers; }

  void check(std::span<const Tensor> batch) const override {
    const Shape& shape = batch[0].shape();
    if (shape.rank() != 2 || shape[0] < 2 || shape[0] % 2 != 0 || batch[1].shape() != shape || batch[2].shape() != shape) {
      throw ShapeError(fmt::format("[train] ids, mask and pooled of (2 * pairs, tokens) are expected, got {}, {} and {}", to_string(shape),
                                   to_string(batch[1].shape()), to_string(batch[2].shape())));
    }
    if (kind_ == PairLoss::scores && batch[3].shape() != Shape{shape[0] / 2}) {
      throw ShapeError(fmt::format("[train] {} scores are expected, got {}", shape[0] / 2, to_string(batch[3].shape())));
    }
  }

  LazyTensor loss(std::span<const LazyTensor> batch, const AdapterContext& adapter) const override {
    const LazyTensor vectors = unit_rows(model_->forward(batch[0], batch[1], batch[2], &adapter));
    const int64_t pairs = vectors.dim(0) / 2;
    const LazyTensor first = slice(vectors, 0, 0, pairs), second = slice(vectors, 0, pairs, 2 * pairs);
    if (kind_ == PairLoss::scores) return mean(square(sub(sum(mul(first, second), {1}), batch[3])));
    // Each first text has its own second one to find among those of the batch.
    return cross_entropy(mul_scalar(matmul(first, second, false, true), kContrast), arange(0, pairs));
  }

 private:
  static constexpr double kContrast = 20;

  std::shared_ptr<const EmbeddingModel> model_;
  PairLoss kind_;
};

}  // namespace

std::shared_ptr<const Objective> next_token_objective(std::shared_ptr<const LanguageModel> model) {
  return std::make_shared<NextToken>(std::move(model));
}

std::shared_ptr<const Objective> pair_objective(std::shared_ptr<const EmbeddingModel> model, PairLoss kind) {
  return std::make_shared<PairSimilarity>(std::move(model), kind);
}

}  // namespace lazuli
