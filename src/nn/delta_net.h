// Defines GatedDeltaNet, the linear attention whose memory of a text has one size however long the text is.
#pragma once

#include "nn/attention.h"

namespace lazuli {

/// What the layer keeps between runs, donated and replaced; without a state the pointers are null.
struct DeltaNetState {
  LazyTensor* recent = nullptr;  ///< what the convolution still needs of the last tokens, (batch, taps - 1, channels)
  LazyTensor* memory = nullptr;  ///< f32, (batch, value_heads, key_size, value_size)
  LazyTensor count;              ///< i32, rank 0 or (batch): tokens of a row before its padding; not defined: all
};

/// A causal convolution over each channel of queries, keys and values, the gated delta rule, and a gated norm of its answers (Yang et al.
/// 2024).
struct GatedDeltaNet {
  AdaptedLinear qkv, z, b, a, out;
  /// `qkv` makes what z does too, and `b` what a does too, each for one head of keys and its heads of values after another; z and a are
  /// empty then.
  bool by_head = false;
  int64_t key_heads = 0, value_heads = 0, key_size = 0, value_size = 0;
  LazyTensor taps;                                               ///< of the convolution, (taps, channels) f32
  LazyTensor decay;                                              ///< (value_heads) f32, below 0: of a step of size 1
  LazyTensor bias;                                               ///< of the sizes of steps, (value_heads) f32
  RMSNorm norm;                                                  ///< of answers, with an f32 weight
  LazyTensor (*activation)(const LazyTensor&, Where) = nullptr;  ///< after the convolution
  /// x (batch, tokens, hidden) -> the same shape.
  LazyTensor forward(const LazyTensor& x, const DeltaNetState& state, const LowRankOf& low_rank) const;

  int64_t channels() const { return 2 * key_heads * key_size + value_heads * value_size; }

 private:
  struct Projections {
    LazyTensor mixed;  ///< queries, keys and values, (batch, tokens, channels)
    LazyTensor z;      ///< (batch, tokens, value_heads * value_size)
    LazyTensor b, a;   ///< (batch, tokens, value_heads)
  };
  Projections project(const LazyTensor& x, const LowRankOf& low_rank) const;
  Projections project_by_head(const LazyTensor& x, const LowRankOf& low_rank) const;
  /// mixed -> the same shape in the rule's dtype; `state.recent` is replaced.
  LazyTensor convolved(const LazyTensor& mixed, const DeltaNetState& state) const;
};

}  // namespace lazuli
