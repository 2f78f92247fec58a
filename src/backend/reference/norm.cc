// Norms and their gradients on the reference backend.
#include "backend/reference/call.h"
#include "graph/ops/add_layer_norm.h"
#include "graph/ops/add_rms_norm.h"
#include "graph/ops/group_norm.h"
#include "graph/ops/layer_norm.h"
#include "graph/ops/layer_norm_backward.h"
#include "graph/ops/rms_norm.h"
#include "graph/ops/rms_norm_backward.h"

namespace lazuli::reference {

namespace {

/// Mean and 1/sqrt(variance + eps) of elements [first, first + count).
struct Moments {
  Moments(const In& x, int64_t first, int64_t count, double eps) {
    const auto n = static_cast<double>(count);
    for (int64_t j = 0; j < count; ++j) mean += x.real(first + j) / n;
    double variance = 0;
    for (int64_t j = 0; j < count; ++j) variance += (x.real(first + j) - mean) * (x.real(first + j) - mean) / n;
    scale = 1 / std::sqrt(variance + eps);
  }
  double mean = 0;
  double scale = 0;
};

/// 1/sqrt(mean(x^2) + eps) of a row.
double inverse_rms(const In& x, int64_t first, int64_t count, double eps) {
  double squares = 0;
  for (int64_t j = 0; j < count; ++j) squares += x.real(first + j) * x.real(first + j);
  return 1 / std::sqrt(squares / static_cast<double>(count) + eps);
}

void run_rms_norm(const Call& call) {
  namespace in = operand::rms_norm;
  const In x = call.in(in::x), weight = call.in(in::weight);
  const int64_t n = x.dim(-1);
  for (int64_t row = call.begin; row < call.end; ++row) {
    const double scale = inverse_rms(x, row * n, n, call.in(in::eps).real());
    for (int64_t j = 0; j < n; ++j) call.out().set(row * n + j, x.real(row * n + j) * scale * weight.real(j));
  }
}

/// With y = x r w and r = (mean(x^2) + eps)^-1/2: dx = r w g - x r^3 mean(w g x).
void run_rms_norm_backward(const Call& call) {
  namespace in = operand::rms_norm_backward;
  const In x = call.in(in::x), weight = call.in(in::weight), g = call.in(in::g);
  const int64_t n = x.dim(-1);
  for (int64_t row = call.begin; row < call.end; ++row) {
    const int64_t first = row * n;
    const double r = inverse_rms(x, first, n, call.in(in::eps).real());
    double dot = 0;
    for (int64_t j = 0; j < n; ++j) dot += weight.real(j) * g.real(first + j) * x.real(first + j) / static_cast<double>(n);
    for (int64_t j = 0; j < n; ++j) call.out().set(first + j, r * (weight.real(j) * g.real(first + j) - x.real(first + j) * r * r * dot));
  }
}

void run_layer_norm(const Call& call) {
  namespace in = operand::layer_norm;
  const In x = call.in(in::x), weight = call.in(in::weight), bias = call.in(in::bias);
  const int64_t n = x.dim(-1);
  for (int64_t row = call.begin; row < call.end; ++row) {
    const Moments m(x, row * n, n, call.in(in::eps).real());
    for (int64_t j = 0; j < n; ++j) call.out().set(row * n + j, (x.real(row * n + j) - m.mean) * m.scale * weight.real(j) + bias.real(j));
  }
}

/// With h = (x - mean) r: dx = r (w g - mean(w g) - h mean(w g h)).
void run_layer_norm_backward(const Call& call) {
  namespace in = operand::layer_norm_backward;
  const In x = call.in(in::x), weight = call.in(in::weight), g = call.in(in::g);
  const int64_t n = x.dim(-1);
  for (int64_t row = call.begin; row < call.end; ++row) {
    const int64_t first = row * n;
    const Moments m(x, first, n, call.in(in::eps).real());
    double mean_g = 0, mean_gh = 0;
    for (int64_t j = 0; j < n; ++j) {
      const double wg = weight.real(j) * g.real(first + j) / static_cast<double>(n);
      mean_g += wg;
      mean_gh += wg * (x.real(first + j) - m.mean) * m.scale;
    }
    for (int64_t j = 0; j < n; ++j) {
      const double h = (x.real(first + j) - m.mean) * m.scale;
      call.out().set(first + j, m.scale * (weight.real(j) * g.real(first + j) - mean_g - h * mean_gh));
    }
  }
}

/// A task is one group of one batch entry; its elements are neighbours in row-major order.
void run_group_norm(const Call& call) {
  namespace in = operand::group_norm;
  const In x = call.in(in::x), weight = call.in(in::weight), bias = call.in(in::bias);
  const int64_t groups = call.attr(attr::group_norm::groups), channels = x.dim(1) / groups;
  int64_t size = 1;  // of one channel
  for (int axis = 2; axis < x.rank(); ++axis) size *= x.dim(axis);
  for (int64_t task = call.begin; task < call.end; ++task) {
    const int64_t first = task * channels * size;
    const Moments m(x, first, channels * size, call.in(in::eps).real());
    for (int64_t j = 0; j < channels * size; ++j) {
      const int64_t channel = task % groups * channels + j / size;
      call.out().set(first + j, (x.real(first + j) - m.mean) * m.scale * weight.real(channel) + bias.real(channel));
    }
  }
}

/// Element k of the sum of the first two operands.
double sum_at(const Call& call, int64_t k) { return call.in(operand::add_rms_norm::x).real(k) + call.in(operand::add_rms_norm::r).real(k); }

void run_add_rms_norm(const Call& call) {
  namespace in = operand::add_rms_norm;
  const In weight = call.in(in::weight);
  const int64_t n = call.in(in::x).dim(-1);
  for (int64_t row = call.begin; row < call.end; ++row) {
    double squares = 0;
    for (int64_t j = 0; j < n; ++j) squares += sum_at(call, row * n + j) * sum_at(call, row * n + j);
    const double scale = 1 / std::sqrt(squares / static_cast<double>(n) + call.in(in::eps).real());
    for (int64_t k = row * n; k < (row + 1) * n; ++k) {
      const double sum = sum_at(call, k);
      call.out(0).set(k, sum);
      call.out(1).set(k, sum * scale * weight.real(k - row * n));
    }
  }
}

void run_add_layer_norm(const Call& call) {
  namespace in = operand::add_layer_norm;
  const In weight = call.in(in::weight), bias = call.in(in::bias);
  const int64_t n = call.in(in::x).dim(-1);
  const auto count = static_cast<double>(n);
  for (int64_t row = call.begin; row < call.end; ++row) {
    double mean = 0, variance = 0;
    for (int64_t k = row * n; k < (row + 1) * n; ++k) mean += sum_at(call, k) / count;
    for (int64_t k = row * n; k < (row + 1) * n; ++k) variance += (sum_at(call, k) - mean) * (sum_at(call, k) - mean) / count;
    const double scale = 1 / std::sqrt(variance + call.in(in::eps).real());
    for (int64_t k = row * n; k < (row + 1) * n; ++k) {
      const double sum = sum_at(call, k);
      call.out(0).set(k, sum);
      call.out(1).set(k, (sum - mean) * scale * weight.real(k - row * n) + bias.real(k - row * n));
    }
  }
}

int64_t rows(const KernelRequest& request) {
  const Shape& shape = request.inputs[0].shape;
  return Lanes(shape, shape.rank() - 1).rows();
}

}  // namespace

PreparedOp prepare_rms_norm(const KernelRequest& request) { return prepare_loop<run_rms_norm>(request, rows(request)); }
PreparedOp prepare_rms_norm_backward(const KernelRequest& request) { return prepare_loop<run_rms_norm_backward>(request, rows(request)); }
PreparedOp prepare_layer_norm(const KernelRequest& request) { return prepare_loop<run_layer_norm>(request, rows(request)); }
PreparedOp prepare_layer_norm_backward(const KernelRequest& request) {
  return prepare_loop<run_layer_norm_backward>(request, rows(request));
}
PreparedOp prepare_add_rms_norm(const KernelRequest& request) { return prepare_loop<run_add_rms_norm>(request, rows(request)); }
PreparedOp prepare_add_layer_norm(const KernelRequest& request) { return prepare_loop<run_add_layer_norm>(request, rows(request)); }
PreparedOp prepare_group_norm(const KernelRequest& request) {
  return prepare_loop<run_group_norm>(request, request.inputs[0].shape[0] * request.attrs[attr::group_norm::groups]);
}

}  // namespace lazuli::reference
