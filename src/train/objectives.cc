// Implements the losses that training minimises.
#include <fmt/format.h>

#include "lazuli/embed.h"
#include "lazuli/error.h"
#include "lazuli/ops.h"
#include "lazuli/train.h"
#include "nn/unit_rows.h"
#include "train/batches.h"

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
    const auto all = row_major.data<int32_t>();
    for (size_t k = 0; k < all.size(); ++k) {
      if (all[k] >= 0 && all[k] < vocabulary) continue;
      const size_t place = k % static_cast<size_t>(ids.dim(1));
      const bool ends = place + 1 == static_cast<size_t>(ids.dim(1)) || all[k + 1] == kPadding;
      if (all[k] == kPadding && place > 0 && ends) continue;
      throw ValueError(
          fmt::format("[train] ids: 0 to {}, or {} at the end of a row, is expected, got {}", vocabulary - 1, kPadding, all[k]));
    }
  }

  LazyTensor loss(std::span<const LazyTensor> batch, const AdapterContext& adapter) const override {
    const LazyTensor& ids = batch[0];
    const int64_t tokens = ids.dim(1) - 1;
    ForwardContext forward;
    // What padding is read as does not matter: no target lies behind it.
    forward.ids = maximum(slice(ids, 1, 0, tokens), LazyTensor::scalar_int(0, DType::i32));
    forward.adapter = &adapter;
    CrossEntropyOptions options;
    options.ignore_index = kPadding;
    return cross_entropy(model_->loss_logits(model_->hidden(forward)), slice(ids, 1, 1, tokens + 1), options);
  }

 private:
  std::shared_ptr<const LanguageModel> model_;
};

class PairSimilarity : public Objective {
 public:
  PairSimilarity(std::shared_ptr<const EmbeddingModel> model, PairLoss kind) : model_(std::move(model)), kind_(kind) {}
  size_t inputs() const override { return kind_ == PairLoss::contrastive ? 3 : 4; }
  int64_t layers() const override { return model_->encoder().info().layers; }

  void check(std::span<const Tensor> batch) const override {
    const Shape& shape = batch[0].shape();
    if (shape.rank() != 2 || shape[0] < 2 || batch[1].shape() != shape || batch[2].shape() != shape) {
      throw ShapeError(fmt::format("[train] ids, mask and pooled of (texts, tokens) are expected, got {}, {} and {}", to_string(shape),
                                   to_string(batch[1].shape()), to_string(batch[2].shape())));
    }
    if (kind_ == PairLoss::negatives) return check_choices(batch[3], shape[0]);
    if (shape[0] % 2 != 0) {
      throw ShapeError(fmt::format("[train] ids, mask and pooled of (2 * pairs, tokens) are expected, got {}", to_string(shape)));
    }
    if (kind_ == PairLoss::scores && batch[3].shape() != Shape{shape[0] / 2}) {
      throw ShapeError(fmt::format("[train] {} scores are expected, got {}", shape[0] / 2, to_string(batch[3].shape())));
    }
  }

  LazyTensor loss(std::span<const LazyTensor> batch, const AdapterContext& adapter) const override {
    const LazyTensor vectors = unit_rows(model_->forward(batch[0], batch[1], batch[2], &adapter));
    const int64_t texts = vectors.dim(0), pairs = kind_ == PairLoss::negatives ? batch[3].dim(0) : texts / 2;
    const LazyTensor first = slice(vectors, 0, 0, pairs), others = slice(vectors, 0, pairs, texts);
    if (kind_ == PairLoss::scores) return mean(square(sub(sum(mul(first, others), {1}), batch[3])));
    // Each first text has its own second one to find among those of the batch and the negatives of all its rows.
    const LazyTensor own = kind_ == PairLoss::negatives ? batch[3] : arange(0, pairs);
    return cross_entropy(mul_scalar(matmul(first, others, false, true), kContrast), own);
  }

 private:
  static void check_choices(const Tensor& own, int64_t texts) {
    if (own.dtype() != DType::i32) throw DTypeError(fmt::format("[train] own second texts: i32 is expected, got {}", name_of(own.dtype())));
    if (own.rank() != 1 || own.dim(0) < 1 || own.dim(0) * 2 > texts) {
      throw ShapeError(fmt::format("[train] for {} texts the second ones of at most {} pairs are expected, got {}", texts, texts / 2,
                                   to_string(own.shape())));
    }
    const int64_t others = texts - own.dim(0);
    for (const int32_t k : own.contiguous().data<int32_t>()) {
      if (k < 0 || k >= others) throw ValueError(fmt::format("[train] a text from 0 to {} is expected, got {}", others - 1, k));
    }
  }

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
