// The AdamW step on the reference backend.
#include "backend/reference/call.h"

namespace lazuli::reference {

namespace {

/// In the order of torch.optim.AdamW: decay, moments, then the step with both bias corrections.
void run_adamw(const Call& call) {
  const In parameter = call.in(0), gradient = call.in(1), first = call.in(2), second = call.in(3);
  const double rate = call.in(4).real(), beta1 = call.in(5).real(), beta2 = call.in(6).real(), eps = call.in(7).real();
  const double decay = call.in(8).real(), step = call.in(9).real(), factor = call.in(10).real();
  const double correction1 = 1 - std::pow(beta1, step), correction2 = 1 - std::pow(beta2, step);
  for (int64_t k = call.begin; k < call.end; ++k) {
    if (std::isnan(factor)) {
      call.out(0).set(k, parameter.real(k));
      call.out(1).set(k, first.real(k));
      call.out(2).set(k, second.real(k));
      continue;
    }
    const double g = gradient.real(k) * factor;
    const double m = beta1 * first.real(k) + (1 - beta1) * g;
    const double v = beta2 * second.real(k) + (1 - beta2) * g * g;
    const double denominator = std::sqrt(v) / std::sqrt(correction2) + eps;
    const double decayed = parameter.real(k) - rate * decay * parameter.real(k);
    call.out(0).set(k, decayed - rate / correction1 * m / denominator);
    call.out(1).set(k, m);
    call.out(2).set(k, v);
  }
}

}  // namespace

PreparedOp prepare_adamw(const KernelRequest& request) {
  PreparedOp prepared = prepare_loop<run_adamw>(request, request.inputs[0].shape.numel());
  prepared.in_place = {0, 2, 3};
  return prepared;
}

}  // namespace lazuli::reference
