// Implements the settings of training and the schedule of the learning rate.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "lazuli/error.h"
#include "lazuli/train.h"

namespace lazuli {
namespace {

void need(bool ok, std::string_view name, std::string_view expected, double got) {
  if (!ok) throw ValueError(fmt::format("[train] {}: {} is expected, got {}", name, expected, got));
}

}  // namespace

RateSchedule parse_rate_schedule(std::string_view name) {
  if (name == "constant") return RateSchedule::constant;
  if (name == "cosine") return RateSchedule::cosine;
  if (name == "linear") return RateSchedule::linear;
  throw ValueError(fmt::format("[train] schedule: constant, cosine or linear is expected, got '{}'", name));
}

void TrainConfig::check() const {
  need(iterations >= 0, "iterations", "at least 0", static_cast<double>(iterations));
  need(std::isfinite(learning_rate) && learning_rate >= 0, "learning_rate", "a number of at least 0", learning_rate);
  need(warmup_steps >= 0, "warmup_steps", "at least 0", static_cast<double>(warmup_steps));
  need(beta1 >= 0 && beta1 < 1, "beta1", "a number in [0, 1)", beta1);
  need(beta2 >= 0 && beta2 < 1, "beta2", "a number in [0, 1)", beta2);
  need(eps > 0 && eps < 1, "eps", "a number in (0, 1)", eps);
  need(std::isfinite(weight_decay) && weight_decay >= 0, "weight_decay", "a number of at least 0", weight_decay);
  need(std::isfinite(max_grad_norm) && max_grad_norm >= 0, "max_grad_norm", "a number of at least 0", max_grad_norm);
}

double learning_rate(const TrainConfig& config, int64_t step) {
  if (step <= config.warmup_steps) return config.learning_rate * static_cast<double>(step) / static_cast<double>(config.warmup_steps);
  const auto done = static_cast<double>(step - 1 - config.warmup_steps);
  const auto all = static_cast<double>(std::max<int64_t>(config.iterations - config.warmup_steps, 1));
  const double part = std::min(done / all, 1.0);
  switch (config.schedule) {
    case RateSchedule::cosine:
      return config.learning_rate * 0.5 * (1 + std::cos(std::numbers::pi * part));
    case RateSchedule::linear:
      return config.learning_rate * (1 - part);
    case RateSchedule::constant:
      break;
  }
  return config.learning_rate;
}

}  // namespace lazuli
