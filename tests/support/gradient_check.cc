// Implements the comparison of derivatives with central differences.
#include "support/gradient_check.h"

#include <algorithm>
#include <cmath>

namespace lazuli::test {

namespace {

std::vector<double> draw(int64_t count, int seed, double low, double high) {
  auto state = static_cast<uint64_t>(seed) * 0x9E3779B97F4A7C15u + 12345u;
  std::vector<double> values;
  for (int64_t k = 0; k < count; ++k) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    values.push_back(low + (high - low) * static_cast<double>(state >> 11) * 0x1p-53);
  }
  return values;
}

std::vector<LazyTensor> cotangents_for(std::span<const LazyTensor> outputs) {
  std::vector<LazyTensor> out;
  int seed = 1000;
  for (const LazyTensor& y : outputs) {
    ++seed;
    out.push_back(is_float(y.dtype()) ? cast(numbers(y.shape(), seed, 0.5, 1.5), y.dtype()) : LazyTensor());
  }
  return out;
}

double objective(const Function& f, const std::vector<LazyTensor>& inputs) {
  const auto outputs = f(inputs);
  const auto cotangents = cotangents_for(outputs);
  LazyTensor total = LazyTensor::zeros({}, DType::f64);
  for (size_t k = 0; k < outputs.size(); ++k) {
    if (cotangents[k].defined()) total = total + cast(sum(outputs[k] * cotangents[k]), DType::f64);
  }
  return total.eval().item();
}

}  // namespace

LazyTensor numbers(const Shape& shape, int seed, double low, double high) {
  return LazyTensor::from_slice<double>(draw(shape.numel(), seed, low, high), shape);
}

double gradient_error(const Function& f, const std::vector<LazyTensor>& inputs) {
  constexpr double kStep = 1e-5;
  const auto outputs = f(inputs);
  const auto grads = vjp(outputs, inputs, cotangents_for(outputs));
  double worst = 0;
  for (size_t n = 0; n < inputs.size(); ++n) {
    const auto found = grads[n].eval().to_vector<double>();
    const auto values = inputs[n].eval().to_vector<double>();
    for (size_t k = 0; k < values.size(); ++k) {
      const auto shifted = [&](double by) {
        auto moved = values;
        moved[k] += by;
        auto at = inputs;
        at[n] = LazyTensor::from_slice<double>(std::span<const double>(moved), inputs[n].shape());
        return objective(f, at);
      };
      const double quotient = (shifted(kStep) - shifted(-kStep)) / (2 * kStep);
      const double error = std::abs(quotient - found[k]) / std::max(1.0, std::abs(quotient));
      worst = std::isnan(error) ? INFINITY : std::max(worst, error);
    }
  }
  return worst;
}

Function gradient_of(const Function& f) {
  return [f](std::span<const LazyTensor> inputs) {
    const auto outputs = f(inputs);
    return vjp(outputs, inputs, cotangents_for(outputs));
  };
}

namespace {

using Makers = std::vector<GradientCases (*)()>;

/// Made by the first entry, whichever file that is in.
Makers& makers() {
  static Makers all;
  return all;
}

}  // namespace

RegisterGradients::RegisterGradients(GradientCases (*make)()) { makers().push_back(make); }

GradientCases gradient_cases() {
  GradientCases all;
  for (const auto make : makers()) {
    for (GradientCase& c : make()) all.push_back(std::move(c));
  }
  return all;
}

}  // namespace lazuli::test
