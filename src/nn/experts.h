// Defines the feed-forward part whose tokens each choose a few of many experts.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "nn/attention.h"

namespace lazuli {

/// From a router's logits to the weights of the experts that a token chose.
enum class Routing : uint8_t {
  all,         ///< softmax over all experts
  normalised,  ///< the same, divided by the sum over those that were chosen
  chosen       ///< softmax over those that were chosen
};

/// Chooses the experts of each token.
struct Router {
  LazyTensor weight;        ///< (experts, hidden) f32: what is chosen must not hang on rounding
  LazyTensor bias;          ///< (experts) f32, or empty
  LazyTensor expert_scale;  ///< (experts) f32, by which the weights of an expert are multiplied, or empty
  double scale = 1;         ///< of all weights
  int64_t chosen = 0;       ///< experts of a token
  ///@{
  /// Experts are in so many groups, of which a token has the best ones alone: those whose best expert is best.
  int64_t groups = 1;
  int64_t chosen_groups = 1;
  ///@}
  Routing routing = Routing::all;
  /// Of rows (tokens, hidden).
  struct Choice {
    LazyTensor experts;  ///< (tokens, chosen) i32
    LazyTensor weights;  ///< (tokens, chosen) f32, or f64 for f64
  };
  Choice choose(const LazyTensor& rows) const;

 private:
  /// Probabilities (tokens, experts), with zeros outside the best groups.
  LazyTensor in_best_groups(const LazyTensor& probabilities) const;
};

/// sum over the chosen experts of weight * down(gate(x) combined with up(x)) (Shazeer et al. 2017; Fedus et al. 2022).
struct Experts : FeedForward {
  Router router;
  LazyTensor gate_up, down;            ///< (experts, 2 * inner, hidden), the rows of the gate first; (experts, hidden, inner)
  LazyTensor gate_up_bias, down_bias;  ///< (experts, 2 * inner) and (experts, hidden), or both empty
  std::function<LazyTensor(const LazyTensor& gate, const LazyTensor& up)> combine;
  std::shared_ptr<const FeedForward> shared;  ///< what all tokens have beside their experts (Dai et al. 2024), or null
  std::optional<AdaptedLinear> shared_gate;   ///< to one number, whose sigmoid multiplies that part
  /// Adapters change the shared part alone: PEFT's reach linear layers, and transformers has experts and routers as bare parameters.
  LazyTensor forward(const LazyTensor& x, const LowRankOf& low_rank) const override;
  /// rows (tokens, hidden) through the experts of `choice`.
  LazyTensor mix(const LazyTensor& rows, const Router::Choice& choice) const;
};

/// A gated part and experts side by side, each between norms of its own, as in Gemma 4: x is what comes before the norms.
struct GatedAndExperts : FeedForward {
  std::shared_ptr<const FeedForward> gated;
  std::shared_ptr<const Experts> experts;
  Norm before_router;  ///< also scales
  Norm before_gated, after_gated;
  Norm before_experts, after_experts;
  LazyTensor forward(const LazyTensor& x, const LowRankOf& low_rank) const override;
};

}  // namespace lazuli
