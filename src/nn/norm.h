// Defines Norm, one of the norms that models have, or none.
#pragma once

#include <utility>
#include <variant>

#include "lazuli/nn.h"

namespace lazuli {

/// RMSNorm, LayerNorm, or nothing.
class Norm {
 public:
  /// Nothing: it gives x itself.
  Norm() = default;
  Norm(RMSNorm norm) : norm_(std::move(norm)) {}    // NOLINT(google-explicit-constructor)
  Norm(LayerNorm norm) : norm_(std::move(norm)) {}  // NOLINT(google-explicit-constructor)
  /// x (..., size) -> the same shape.
  LazyTensor forward(const LazyTensor& x) const {
    if (const auto* rms = std::get_if<RMSNorm>(&norm_)) return rms->forward(x);
    if (const auto* layer = std::get_if<LayerNorm>(&norm_)) return layer->forward(x);
    return x;
  }

 private:
  std::variant<std::monostate, RMSNorm, LayerNorm> norm_;
};

}  // namespace lazuli
