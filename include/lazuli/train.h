// Defines Trainer, which fine-tunes a model's LoRA adapter: one step is forward, backward, clipping and AdamW in one plan.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lazuli/adapter.h"
#include "lazuli/model.h"
#include "lazuli/tensor.h"
#include "lazuli/transforms.h"

namespace lazuli {

class EmbeddingModel;

/// What training minimises: the loss of a batch, which is a list of tensors.
class Objective {
 public:
  virtual ~Objective() = default;
  virtual size_t inputs() const = 0;            ///< how many tensors a batch has
  virtual int64_t layers() const { return 0; }  ///< how many AdapterContext::recompute may ask for
  /// Throws ShapeError, DTypeError or ValueError for a batch that `loss` cannot take.
  virtual void check(std::span<const Tensor> batch) const = 0;
  /// Records the loss, a rank-0 f32.
  virtual LazyTensor loss(std::span<const LazyTensor> batch, const AdapterContext& adapter) const = 0;
};

/// Mean cross entropy of the next tokens, in nats. A batch is ids (batch, tokens + 1), i32: each token but the first of a row is predicted
/// from those before it. Ids of -100 at the end of a row are padding, which is not predicted and does not count in the mean.
std::shared_ptr<const Objective> next_token_objective(std::shared_ptr<const LanguageModel> model);

/// What a pair of texts says: that the second belongs to the first and those of the other pairs do not (van den Oord et al. 2018, with
/// cosines times 20), what cosine the two should have (squared error), or the first with further texts that belong to none (`negatives`).
enum class PairLoss : uint8_t { contrastive, scores, negatives };
/// A batch is ids, mask and pooled of EmbeddingBatch, first texts before second ones; with PairLoss::scores then one f32 a pair. With
/// PairLoss::negatives further texts stand behind the second ones, and one i32 a pair is the index of its own second text among all but the
/// first texts.
std::shared_ptr<const Objective> pair_objective(std::shared_ptr<const EmbeddingModel> model, PairLoss kind);

/// How the learning rate goes on after the warm-up: as it is, down to 0 along half a cosine, or down to 0 along a line.
enum class RateSchedule : uint8_t { constant, cosine, linear };
/// Parses the names above; throws ValueError.
RateSchedule parse_rate_schedule(std::string_view name);

/// How an adapter is trained: AdamW (Loshchilov and Hutter 2019) with a schedule for its rate.
struct TrainConfig {
  int64_t iterations = 1000;                       ///< what the schedule counts on
  double learning_rate = 1e-5;                     ///< highest rate
  RateSchedule schedule = RateSchedule::constant;  ///< after the warm-up
  int64_t warmup_steps = 0;                        ///< the rate rises along a line over so many steps
  ///@{
  /// Of AdamW, as in torch.optim.
  double beta1 = 0.9, beta2 = 0.999, eps = 1e-8;
  ///@}
  double weight_decay = 0.01;  ///< decoupled from the gradient, on all factors alike
  double max_grad_norm = 1.0;  ///< gradients are scaled down to this global L2 norm; 0: never
  uint64_t seed = 0;           ///< of the dropout
  /// A step whose loss or gradient is not finite leaves factors and moments as they are.
  bool skip_nonfinite = false;
  /// So many of the model's first layers run under `checkpoint`: computed again in the backward pass, which takes less memory.
  int64_t recomputed_layers = 0;
  /// Throws ValueError naming what is out of range.
  void check() const;
};

/// The rate of a step, the first one being 1.
double learning_rate(const TrainConfig& config, int64_t step);

/// What one step did.
struct StepResult {
  double loss = 0;           ///< before the update: of the objective
  double grad_norm = 0;      ///< global L2 norm before clipping
  double learning_rate = 0;  ///< of the step
};

/// Trains an adapter on a model whose own weights stay as they are. Not for several threads at once.
class Trainer {
 public:
  /// Starts from the adapter's factors. Throws ValueError.
  Trainer(std::shared_ptr<const Objective> objective, Adapter adapter, const TrainConfig& config, Device device = {});
  /// The same with next_token_objective.
  Trainer(std::shared_ptr<const LanguageModel> model, Adapter adapter, const TrainConfig& config, Device device = {});
  ///@{
  /// Leaves the other empty.
  Trainer(Trainer&&) noexcept;
  Trainer& operator=(Trainer&&) noexcept;
  ///@}
  ~Trainer();

  /// One update on a batch. Throws as Objective::check does. A loss that is not finite is returned as it is; the factors are lost then,
  /// unless `skip_nonfinite` keeps them.
  StepResult step(std::span<const Tensor> batch);
  /// The same for a batch of one tensor.
  StepResult step(const Tensor& ids) { return step(std::span(&ids, 1)); }
  /// The same loss, without dropout and update.
  double evaluate(std::span<const Tensor> batch);
  /// The same for a batch of one tensor.
  double evaluate(const Tensor& ids) { return evaluate(std::span(&ids, 1)); }

  /// Plans a step on such a batch, and its evaluation if `evaluates`. Where that needs more memory than there may be, as few further layers
  /// as help are computed again from now on; throws OutOfMemory where all of them do not.
  void require_memory(std::span<const Tensor> batch, bool evaluates);
  int64_t recomputed_layers() const;  ///< of TrainConfig, or what `require_memory` made of it

  /// Updates so far, those before `load_state` included.
  int64_t steps_done() const;
  /// A copy of the adapter as it is now.
  Adapter adapter() const;
  /// Bytes of workspace that one step's plan leases.
  size_t workspace_bytes() const;

  /// Writes everything that `load_state` needs to go on exactly from here: factors, moments and step, and `notes` beside them as metadata.
  /// Throws IoError.
  void save_state(const std::string& path, const std::map<std::string, std::string>& notes = {}) const;
  /// Throws IoError, and FormatError when the file is not the state of such an adapter.
  void load_state(const std::string& path);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lazuli
