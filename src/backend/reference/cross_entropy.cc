// Softmax cross entropy and its gradient on the reference backend. A task is one row of logits.
#include "graph/ops/cross_entropy.h"

#include <limits>

#include "backend/reference/call.h"
#include "graph/ops/cross_entropy_backward.h"

namespace lazuli::reference {

namespace {

/// The row's target, or -1 when the row is ignored.
int64_t target_of(const Call& call, const In& targets, int64_t row, int64_t classes) {
  const int64_t target = targets.integer(row);
  if (target == call.attr(attr::cross_entropy::ignore_index)) return -1;
  check_index(call, "target", target, classes);
  return target;
}

double log_sum_exp(const In& x, int64_t first, int64_t count) {
  double top = -std::numeric_limits<double>::infinity(), sum = 0;
  for (int64_t j = 0; j < count; ++j) {
    const double v = x.real(first + j);
    if (std::isnan(v) || v > top) top = v;
  }
  if (std::isinf(top)) return top;
  for (int64_t j = 0; j < count; ++j) sum += std::exp(x.real(first + j) - top);
  return top + std::log(sum);
}

void run_cross_entropy(const Call& call) {
  namespace in = operand::cross_entropy;
  const In logits = call.in(in::logits), targets = call.in(in::targets);
  const int64_t classes = logits.dim(-1);
  const double smoothing = call.in(in::smoothing).real();
  for (int64_t row = call.begin; row < call.end; ++row) {
    const int64_t first = row * classes, target = target_of(call, targets, row, classes);
    const double lse = log_sum_exp(logits, first, classes);
    double loss = 0;
    if (target >= 0) {
      loss = (1 - smoothing) * (lse - logits.real(first + target));
      for (int64_t j = 0; smoothing != 0 && j < classes; ++j) {
        loss += smoothing / static_cast<double>(classes) * (lse - logits.real(first + j));
      }
    }
    call.out(0).set(row, loss);
    call.out(1).set(row, lse);
  }
}

void run_cross_entropy_backward(const Call& call) {
  namespace in = operand::cross_entropy_backward;
  const In logits = call.in(in::logits), targets = call.in(in::targets), lse = call.in(in::lse), g = call.in(in::g);
  const int64_t classes = logits.dim(-1);
  const double smoothing = call.in(in::smoothing).real();
  for (int64_t row = call.begin; row < call.end; ++row) {
    const int64_t target = target_of(call, targets, row, classes);
    for (int64_t j = 0; j < classes; ++j) {
      const double p = std::exp(logits.real(row * classes + j) - lse.real(row));
      const double wanted = smoothing / static_cast<double>(classes) + (j == target ? 1 - smoothing : 0);
      call.out().set(row * classes + j, target < 0 ? 0 : g.real(row) * (p - wanted));
    }
  }
}

}  // namespace

PreparedOp prepare_cross_entropy(const KernelRequest& request) {
  return prepare_loop<run_cross_entropy>(request, request.inputs[operand::cross_entropy::targets].shape.numel());
}
PreparedOp prepare_cross_entropy_backward(const KernelRequest& request) {
  return prepare_loop<run_cross_entropy_backward>(request, request.inputs[operand::cross_entropy_backward::targets].shape.numel());
}

}  // namespace lazuli::reference
