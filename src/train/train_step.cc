#include "train/train_step.h"

#include <limits>

#include "lazuli/ops.h"
#include "lazuli/transforms.h"

namespace lazuli {
namespace {

LazyTensor global_norm(std::span<const LazyTensor> gradients) {
  std::vector<LazyTensor> squares;
  for (const LazyTensor& g : gradients) squares.push_back(reshape(sum(square(cast(g, DType::f32))), {1}));
  return sqrt(sum(concat(squares)));
}

// As torch.nn.utils.clip_grad_norm_ has it, with its 1e-6.
LazyTensor clip_factor(const LazyTensor& norm, double max_norm) {
  if (max_norm == 0) return LazyTensor::scalar(1);
  return minimum(div(LazyTensor::scalar(max_norm), add_scalar(norm, 1e-6)), LazyTensor::scalar(1));
}

// NaN, by which the optimiser changes nothing, where the loss or the norm is not finite.
LazyTensor only_finite(const LazyTensor& factor, const LazyTensor& loss, const LazyTensor& norm) {
  const LazyTensor not_a_number = LazyTensor::scalar(std::numeric_limits<double>::quiet_NaN());
  return where(is_finite(loss), where(is_finite(norm), factor, not_a_number), not_a_number);
}

}  // namespace

std::vector<LazyTensor> record_train_step(const Objective& objective, const Adapter& adapter, const TrainConfig& config,
                                          std::span<const LazyTensor> args) {
  const StepArguments at{adapter.parameter_tensors(), objective.inputs()};
  const LazyTensor seed = adapter.config().dropout > 0 ? args[at.seed()] : LazyTensor();
  const auto loss_of = [&](std::span<const LazyTensor> parameters) {
    AdapterContext context(adapter, parameters, seed);
    context.recompute(config.recomputed_layers);
    return objective.loss(args.subspan(at.batch(), at.inputs), context);
  };
  const ValueAndGrad result = value_and_grad(loss_of)(args.first(at.n));
  const LazyTensor norm = global_norm(result.grads);
  const LazyTensor clip = clip_factor(norm, config.max_grad_norm);
  const AdamWArgs adamw_args{args[at.rate()],
                             LazyTensor::scalar(config.beta1),
                             LazyTensor::scalar(config.beta2),
                             LazyTensor::scalar(config.eps),
                             LazyTensor::scalar(config.weight_decay),
                             args[at.step()],
                             config.skip_nonfinite ? only_finite(clip, result.value, norm) : clip};
  std::vector<LazyTensor> out(kStepScalars + 3 * at.n);
  out[0] = result.value;
  out[1] = norm;
  for (size_t k = 0; k < at.n; ++k) {
    AdamWResult updated = adamw(args[k], result.grads[k], args[at.n + k], args[2 * at.n + k], adamw_args);
    out[kStepScalars + k] = std::move(updated.parameter);
    out[kStepScalars + at.n + k] = std::move(updated.m);
    out[kStepScalars + 2 * at.n + k] = std::move(updated.v);
  }
  return out;
}

}  // namespace lazuli
