// Declares the gated delta rule, the recurrence of linear attention that corrects what its memory answers to a key.
#pragma once

#include "lazuli/lazy_tensor.h"

namespace lazuli {

/// What the rule reads of some tokens, f32 or f64. Each head of keys serves `value_heads / key_heads` heads of values that follow one
/// another.
struct DeltaRuleInputs {
  LazyTensor queries, keys;  ///< (batch, key_heads, tokens, key_size)
  LazyTensor values;         ///< (batch, value_heads, tokens, value_size)
  LazyTensor decay;          ///< (batch, value_heads, tokens): logarithm of the part of the memory that stays, at most 0
  LazyTensor rate;           ///< (batch, value_heads, tokens): the part of an error that is corrected
  LazyTensor memory = {};    ///< (batch, value_heads, key_size, value_size) before the first token; not defined: zeros
};

struct DeltaRuleResult {
  LazyTensor answers;  ///< to the queries, each after its own token, (batch, value_heads, tokens, value_size)
  LazyTensor memory;   ///< after the last token
};

/// memory' = e^decay memory; memory = memory' + key (rate (value - key memory'))^T; answer = query memory (Yang et al. 2024). A token of
/// decay 0 and rate 0 changes nothing.
DeltaRuleResult gated_delta_rule(const DeltaRuleInputs& inputs);

/// The same, one token after another.
DeltaRuleResult gated_delta_rule_by_token(const DeltaRuleInputs& inputs);

/// The same by products over chunks of `chunk` tokens, a power of two from 2 to 64.
DeltaRuleResult gated_delta_rule_by_chunk(const DeltaRuleInputs& inputs, int64_t chunk);

/// (I + x)^-1 of the parts of x (..., n, n) below the diagonal, whatever the others are; n is a power of two from 2 to 64.
LazyTensor unit_lower_inverse(const LazyTensor& x);

}  // namespace lazuli
