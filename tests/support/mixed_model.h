// Defines a small language model whose layers keep what they need of earlier tokens in each way that there is.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "lazuli/model.h"

namespace lazuli::test {

/// Layers of one attention or mixer each: keys and values of all positions; those of a window of 5; those of the first layer, shared; and a
/// causal convolution of 4 followed by a gated delta rule (Yang et al. 2024), token by token.
class MixedModel : public LanguageModel {
 public:
  explicit MixedModel(uint64_t seed);
  LazyTensor hidden(ForwardContext& context) const override;
  std::vector<LayerState> states() const override;
  LazyTensor logits(const LazyTensor& hidden) const override;

 private:
  struct KeysAndValues {
    LazyTensor keys, values, length;
  };
  LazyTensor weight(const std::string& name) const { return LazyTensor::from_tensor(weights_.at(name)); }
  LazyTensor heads(const LazyTensor& x, const std::string& name) const;
  LazyTensor attend(const LazyTensor& x, const std::string& name, const KeysAndValues& kept, int64_t window) const;
  KeysAndValues keys_and_values(const LazyTensor& x, const std::string& name, ForwardContext& context, size_t layer) const;
  LazyTensor convolved(const LazyTensor& x, DecodingState::Layer& kept, const LazyTensor& count) const;
  LazyTensor delta_rule(const LazyTensor& x, DecodingState::Layer& kept, const LazyTensor& count) const;

  std::map<std::string, Tensor> weights_;
};

}  // namespace lazuli::test
