// Softmax, its gradient and its fusion with scales on the reference backend.
#include "graph/ops/softmax.h"

#include <algorithm>

#include "backend/reference/call.h"
#include "graph/ops/scaled_softmax.h"
#include "graph/ops/softmax_backward.h"
#include "lazuli/op.h"

namespace lazuli::reference {

namespace {

/// log(sum(exp(x * scale))) of a lane, and its largest element.
struct Normalizer {
  Normalizer(const In& x, const Lanes& lanes, int64_t row, double scale = 1) {
    for (int64_t j = 0; j < lanes.count; ++j) {
      const double v = x.real(lanes.at(row, j)) * scale;
      if (std::isnan(v) || v > top) top = v;
    }
    for (int64_t j = 0; j < lanes.count; ++j) sum += std::exp(x.real(lanes.at(row, j)) * scale - top);
  }
  double top = -std::numeric_limits<double>::infinity();
  double sum = 0;
};

void run_softmax(const Call& call) {
  const In x = call.in(0);
  const Lanes lanes(x.shape(), call.attr(attr::softmax::axis));
  for (int64_t row = call.begin; row < call.end; ++row) {
    const Normalizer n(x, lanes, row);
    for (int64_t j = 0; j < lanes.count; ++j) {
      const int64_t k = lanes.at(row, j);
      const double shifted = x.real(k) - n.top;
      call.out().set(k, call.state.op == Op::log_softmax ? shifted - std::log(n.sum) : std::exp(shifted) / n.sum);
    }
  }
}

void run_scaled_softmax(const Call& call) {
  namespace in = operand::scaled_softmax;
  const In x = call.in(in::x);
  const Lanes lanes(x.shape(), call.attr(attr::softmax::axis));
  const double before = call.in(in::pre).real(), after = call.in(in::post).real();
  for (int64_t row = call.begin; row < call.end; ++row) {
    const Normalizer n(x, lanes, row, before);
    for (int64_t j = 0; j < lanes.count; ++j) {
      const int64_t k = lanes.at(row, j);
      call.out().set(k, std::exp(x.real(k) * before - n.top) / n.sum * after);
    }
  }
}

void run_softmax_backward(const Call& call) {
  const In y = call.in(0), g = call.in(operand::softmax_backward::g, y.shape());
  const Lanes lanes(y.shape(), call.attr(attr::softmax::axis));
  for (int64_t row = call.begin; row < call.end; ++row) {
    double dot = 0;
    for (int64_t j = 0; j < lanes.count; ++j) dot += g.real(lanes.at(row, j)) * y.real(lanes.at(row, j));
    for (int64_t j = 0; j < lanes.count; ++j) {
      const int64_t k = lanes.at(row, j);
      call.out().set(k, (g.real(k) - dot) * y.real(k));
    }
  }
}

int64_t lane_count(const KernelRequest& request) { return Lanes(request.inputs[0].shape, request.attrs[attr::softmax::axis]).rows(); }

}  // namespace

PreparedOp prepare_softmax(const KernelRequest& request) { return prepare_loop<run_softmax>(request, lane_count(request)); }
PreparedOp prepare_scaled_softmax(const KernelRequest& request) { return prepare_loop<run_scaled_softmax>(request, lane_count(request)); }
PreparedOp prepare_softmax_backward(const KernelRequest& request) {
  return prepare_loop<run_softmax_backward>(request, lane_count(request));
}

}  // namespace lazuli::reference
