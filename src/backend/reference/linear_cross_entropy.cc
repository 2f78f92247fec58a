// Softmax cross entropy of x@w with its gradient for x on the reference backend. A task is one row of x.
#include "graph/ops/linear_cross_entropy.h"

#include <cmath>
#include <limits>

#include "backend/reference/call.h"

namespace lazuli::reference {

namespace {

void run_linear_cross_entropy(const Call& call) {
  namespace in = operand::linear_cross_entropy;
  const In x = call.in(in::x), w = call.in(in::w), targets = call.in(in::targets);
  const bool transposed = call.attr(attr::linear_cross_entropy::transpose_w) != 0;
  const int64_t k = x.dim(-1), classes = w.dim(transposed ? -2 : -1);
  const int64_t step = w.stride(transposed ? -1 : -2), column = w.stride(transposed ? -2 : -1);
  const double smoothing = call.in(in::smoothing).real();
  const auto weight = [&](int64_t p, int64_t j) { return w.number_at(p * step + j * column).as_real(); };
  const bool capped = call.attr(attr::linear_cross_entropy::softcap) != 0;
  const double cap = capped ? call.in(in::softcap).real() : 1;
  auto* const logits = static_cast<double*>(call.args.thread_scratch);
  for (int64_t row = call.begin; row < call.end; ++row) {
    const bool ignored = targets.integer(row) == call.attr(attr::linear_cross_entropy::ignore_index);
    const int64_t target = ignored ? -1 : targets.integer(row);
    if (!ignored) check_index(call, "target", target, classes);
    double top = -std::numeric_limits<double>::infinity(), sum = 0, below = 0;
    for (int64_t j = 0; j < classes; ++j) {
      logits[j] = 0;
      for (int64_t p = 0; p < k; ++p) logits[j] += x.real(row * k + p) * weight(p, j);
      if (capped) logits[j] = cap * std::tanh(logits[j] / cap);
      if (std::isnan(logits[j]) || logits[j] > top) top = logits[j];
    }
    for (int64_t j = 0; j < classes; ++j) sum += std::exp(logits[j] - top);
    const double lse = std::isinf(top) ? top : top + std::log(sum);
    for (int64_t j = 0; j < classes; ++j) below += lse - logits[j];
    const double spread = smoothing / static_cast<double>(classes);
    double loss = 0;
    if (target >= 0) loss = (1 - smoothing) * (lse - logits[target]) + (smoothing != 0 ? spread * below : 0);
    call.out(0).set(row, loss);
    call.out(1).set(row, lse);
    for (int64_t j = 0; j < classes; ++j) {
      const double slope = capped ? 1 - logits[j] * logits[j] / (cap * cap) : 1;
      logits[j] = slope * (std::exp(logits[j] - lse) - spread - (j == target ? 1 - smoothing : 0));
    }
    for (int64_t p = 0; p < k; ++p) {
      double gradient = 0;
      for (int64_t j = 0; target >= 0 && j < classes; ++j) gradient += logits[j] * weight(p, j);
      call.out(2).set(row * k + p, gradient);
    }
  }
}

}  // namespace

PreparedOp prepare_linear_cross_entropy(const KernelRequest& request) {
  const Shape& w = request.inputs[operand::linear_cross_entropy::w].shape;
  const auto classes = static_cast<size_t>(w[request.attrs[attr::linear_cross_entropy::transpose_w] != 0 ? 0 : 1]);
  return prepare_loop<run_linear_cross_entropy>(request, request.inputs[operand::linear_cross_entropy::targets].shape.numel(),
                                                classes * sizeof(double));
}

}  // namespace lazuli::reference
