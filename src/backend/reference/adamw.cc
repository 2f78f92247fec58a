// The AdamW step on the reference backend.
#include <algorithm>

#include "backend/reference/call.h"

namespace lazuli::reference {

namespace {

constexpr size_t kNumbers = 7;

/// In the order of torch.optim.AdamW: decay, moments, then the step with both bias corrections. Elements [begin, end) of a parameter.
void step(const Call& call, size_t index, int64_t begin, int64_t end) {
  const size_t first = 4 * index, result = 3 * index, number = call.inputs() - kNumbers;
  const In parameter = call.in(first), gradient = call.in(first + 1), m0 = call.in(first + 2), v0 = call.in(first + 3);
  const Out parameter_out = call.out(result), m_out = call.out(result + 1), v_out = call.out(result + 2);
  const double rate = call.in(number).real(), beta1 = call.in(number + 1).real(), beta2 = call.in(number + 2).real();
  const double eps = call.in(number + 3).real(), decay = call.in(number + 4).real(), steps = call.in(number + 5).real();
  const double factor = call.in(number + 6).real();
  const double correction1 = 1 - std::pow(beta1, steps), correction2 = 1 - std::pow(beta2, steps);
  for (int64_t k = begin; k < end; ++k) {
    if (std::isnan(factor)) {
      parameter_out.set(k, parameter.real(k));
      m_out.set(k, m0.real(k));
      v_out.set(k, v0.real(k));
      continue;
    }
    const double g = gradient.real(k) * factor;
    const double m = beta1 * m0.real(k) + (1 - beta1) * g;
    const double v = beta2 * v0.real(k) + (1 - beta2) * g * g;
    const double denominator = std::sqrt(v) / std::sqrt(correction2) + eps;
    const double decayed = parameter.real(k) - rate * decay * parameter.real(k);
    parameter_out.set(k, decayed - rate / correction1 * m / denominator);
    m_out.set(k, m);
    v_out.set(k, v);
  }
}

/// Tasks are the elements of all parameters, one after the other.
void run_adamw(const Call& call) {
  int64_t start = 0;
  for (size_t index = 0; 4 * index + kNumbers < call.inputs(); ++index) {
    const int64_t count = call.state.inputs[4 * index].shape.numel();
    step(call, index, std::max<int64_t>(call.begin - start, 0), std::min(call.end - start, count));
    start += count;
  }
}

}  // namespace

PreparedOp prepare_adamw(const KernelRequest& request) {
  int64_t elements = 0;
  std::vector<int> in_place;
  for (size_t k = 0; k + kNumbers < request.inputs.size(); k += 4) {
    elements += request.inputs[k].shape.numel();
    for (size_t source : {k, k + 2, k + 3}) in_place.push_back(static_cast<int>(source));
  }
  PreparedOp prepared = prepare_loop<run_adamw>(request, elements);
  prepared.in_place = std::move(in_place);
  return prepared;
}

}  // namespace lazuli::reference
