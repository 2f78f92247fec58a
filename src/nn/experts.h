// Defines the feed-forward part whose tokens each choose a few of many experts.
#pragma once

#include <functional>

#include "nn/attention.h"

namespace lazuli {

/// From a router's logits to the weights of the experts that a token chose.
enum class Routing : uint8_t {
  all,         ///< softmax over all experts
  normalised,  ///< the same, divided by the sum over those that were chosen
  chosen       ///< softmax over those that were chosen
};

/// sum over the chosen experts of weight * down(gate(x) combined with up(x)) (Shazeer et al. 2017; Fedus et al. 2022).
struct Experts : FeedForward {
  LazyTensor router;                   ///< (experts, hidden)
  LazyTensor router_bias;              ///< (experts), or empty
  LazyTensor gate_up, down;            ///< (experts, 2 * inner, hidden), the rows of the gate first; (experts, hidden, inner)
  LazyTensor gate_up_bias, down_bias;  ///< (experts, 2 * inner) and (experts, hidden), or both empty
  int64_t chosen = 0;                  ///< experts of a token
  Routing routing = Routing::all;
  std::function<LazyTensor(const LazyTensor& gate, const LazyTensor& up)> combine;
  /// Adapters change nothing here: PEFT's reach linear layers, and transformers has experts and routers as bare parameters.
  LazyTensor forward(const LazyTensor& x, const LowRankOf& low_rank) const override;

 private:
  /// Of rows (tokens, hidden).
  struct Choice {
    LazyTensor experts;  ///< (tokens, chosen) i32
    LazyTensor weights;  ///< (tokens, chosen) f32, or f64 for f64
  };
  Choice choose(const LazyTensor& rows) const;
};

}  // namespace lazuli
