// Defines the decoder that Llama and its relatives share; an architecture states its differences as DecoderTraits.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "io/model_config.h"
#include "lazuli/model.h"
#include "models/weights.h"
#include "nn/attention.h"
#include "nn/rope_tables.h"

namespace lazuli {

/// Which linear layers of an architecture have a bias.
struct DecoderTraits {
  bool qkv_bias = false;
  bool output_bias = false;  ///< of the attention's last layer
  bool mlp_bias = false;
};

/// Embedding, layers of attention and gated feed-forward with RMSNorm before each, a last norm, and an output layer.
class DecoderModel : public LanguageModel {
 public:
  /// Throws FormatError naming the file and what was expected of it.
  DecoderModel(const ModelConfig& config, const DecoderTraits& traits, const std::string& folder, WeightReader& weights);
  LazyTensor hidden(ForwardContext& context) const override;
  LazyTensor logits(const LazyTensor& hidden) const override;
  LazyTensor loss_logits(const LazyTensor& hidden) const override;

 private:
  struct Layer {
    RMSNorm attention_norm, mlp_norm;
    Attention attention;
    GatedMLP mlp;
    LazyTensor forward(const LazyTensor& x, const AttentionInputs& inputs, const AdapterContext* adapter) const;
  };
  struct Builder;
  /// The embedding, and the output layer: the same table, or one of its own.
  void read_tables(const ModelConfig& config, const std::string& prefix, WeightReader& weights);
  void check_cache(const ForwardContext& context) const;

  Embedding embedding_;
  std::vector<Layer> layers_;
  RMSNorm norm_;
  Linear output_;
  RopeTables rope_;
};

}  // namespace lazuli
