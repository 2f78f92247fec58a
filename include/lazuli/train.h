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

/// The function that training minimises: the loss of a batch. A batch is a list of tensors.
class Objective {
 public:
  virtual ~Objective() = default;
  virtual size_t inputs() const = 0;            ///< number of tensors of a batch
  virtual int64_t layers() const { return 0; }  ///< most layers that AdapterContext::recompute may ask for
  /// Throws ShapeError, DTypeError or ValueError for a batch that `loss` cannot take.
  virtual void check(std::span<const Tensor> batch) const = 0;
  /// Records the loss, a rank-0 f32.
  virtual LazyTensor loss(std::span<const LazyTensor> batch, const AdapterContext& adapter) const = 0;
};

/// Returns the mean cross entropy of the next tokens, in nats. A batch is ids (batch, tokens + 1), i32. Each token but the first of a row
/// is predicted from the tokens before it. Ids of -100 at the end of a row are padding, which is not predicted and does not count in the
/// mean.
std::shared_ptr<const Objective> next_token_objective(std::shared_ptr<const LanguageModel> model);

/// The loss of pairs of texts.
///
/// `contrastive`: the second text belongs to the first, and the second texts of the other pairs do not (van den Oord et al. 2018). Cosines
/// are multiplied by 20. `scores`: each pair has a score, which is the desired cosine (squared error). `negatives`: as `contrastive`, with
/// further texts that belong to no pair.
enum class PairLoss : uint8_t { contrastive, scores, negatives };
/// Returns the loss of pairs. A batch is ids, mask and pooled of EmbeddingBatch, with the first texts before the second ones.
///
/// With PairLoss::scores one f32 for each pair follows. With PairLoss::negatives further texts follow the second ones. Then one i32 for
/// each pair is the index of its second text among all texts but the first ones.
std::shared_ptr<const Objective> pair_objective(std::shared_ptr<const EmbeddingModel> model, PairLoss kind);

/// The learning rate after the warm-up: constant, down to 0 along half a cosine, or down to 0 linearly.
enum class RateSchedule : uint8_t { constant, cosine, linear };
/// Parses the names above. Throws ValueError.
RateSchedule parse_rate_schedule(std::string_view name);

/// How an adapter is trained: AdamW (Loshchilov and Hutter 2019) with a schedule for its rate.
struct TrainConfig {
  int64_t iterations = 1000;                       ///< length of the schedule in steps
  double learning_rate = 1e-5;                     ///< highest rate
  RateSchedule schedule = RateSchedule::constant;  ///< the rate after the warm-up
  int64_t warmup_steps = 0;                        ///< number of steps over which the rate rises linearly
  ///@{
  /// Parameters of AdamW, as in torch.optim.
  double beta1 = 0.9, beta2 = 0.999, eps = 1e-8;
  ///@}
  double weight_decay = 0.01;  ///< decoupled from the gradient, on all factors alike
  double max_grad_norm = 1.0;  ///< gradients are scaled down to this global L2 norm; 0: never
  uint64_t seed = 0;           ///< seed of the dropout
  /// Whether a step whose loss or gradient is not finite leaves factors and moments unchanged.
  bool skip_nonfinite = false;
  /// The number of the model's first layers that run under `checkpoint`. They are recomputed in the backward pass, which saves memory.
  int64_t recomputed_layers = 0;
  /// Throws ValueError naming what is out of range.
  void check() const;
};

/// Returns the learning rate of a step. The first step is 1.
double learning_rate(const TrainConfig& config, int64_t step);

/// The result of one step.
struct StepResult {
  double loss = 0;           ///< loss before the update
  double grad_norm = 0;      ///< global L2 norm before clipping
  double learning_rate = 0;  ///< learning rate of the step
};

/// Trains an adapter of a model. The weights of the model stay unchanged. Not thread-safe.
class Trainer {
 public:
  /// Starts from the adapter's factors. Throws ValueError.
  Trainer(std::shared_ptr<const Objective> objective, Adapter adapter, const TrainConfig& config, Device device = {});
  /// Trains with next_token_objective.
  Trainer(std::shared_ptr<const LanguageModel> model, Adapter adapter, const TrainConfig& config, Device device = {});
  ///@{
  /// Leaves the other empty.
  Trainer(Trainer&&) noexcept;
  Trainer& operator=(Trainer&&) noexcept;
  ///@}
  ~Trainer();

  /// Makes one update on a batch. Throws as Objective::check does. A loss that is not finite is returned. The factors are lost then, unless
  /// `skip_nonfinite` keeps them.
  StepResult step(std::span<const Tensor> batch);
  /// Makes one update on a batch of one tensor.
  StepResult step(const Tensor& ids) { return step(std::span(&ids, 1)); }
  /// Returns the loss of a batch, without dropout and update.
  double evaluate(std::span<const Tensor> batch);
  /// Returns the loss of a batch of one tensor.
  double evaluate(const Tensor& ids) { return evaluate(std::span(&ids, 1)); }

  /// Plans a step on such a batch, and its evaluation if `evaluates`. If that needs more memory than the limit allows, further layers are
  /// recomputed from now on, as few as possible. Throws OutOfMemory if recomputing all of them is not enough.
  void require_memory(std::span<const Tensor> batch, bool evaluates);
  int64_t recomputed_layers() const;  ///< the number of TrainConfig, or the one that `require_memory` chose

  /// Returns the number of updates so far, including those before `load_state`.
  int64_t steps_done() const;
  /// Returns a copy of the current adapter.
  Adapter adapter() const;
  /// Returns the bytes of workspace that the plan of one step leases.
  size_t workspace_bytes() const;

  /// Writes everything that `load_state` needs to continue exactly from here: factors, moments and step. `notes` are stored as metadata.
  /// Throws IoError.
  void save_state(const std::string& path, const std::map<std::string, std::string>& notes = {}) const;
  /// Reads a state to continue from. Throws IoError, and FormatError if the file is not the state of such an adapter.
  void load_state(const std::string& path);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lazuli
