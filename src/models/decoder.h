// Defines the decoder that Llama and its relatives share; an architecture states its differences as DecoderSpec.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "io/model_config.h"
#include "lazuli/model.h"
#include "models/decoder_spec.h"
#include "models/per_layer_embedding.h"
#include "models/registry.h"
#include "models/weights.h"
#include "nn/attention.h"
#include "nn/rope_tables.h"

namespace lazuli {

class DecoderModel : public LanguageModel {
 public:
  /// Throws FormatError naming the file and what was expected of it.
  DecoderModel(const ModelConfig& config, const DecoderSpec& spec, const std::string& folder, WeightReader& weights);
  LazyTensor hidden(ForwardContext& context) const override;
  bool bidirectional() const override { return bidirectional_; }
  std::vector<LayerState> states() const override;
  LazyTensor logits(const LazyTensor& hidden) const override;
  LazyTensor loss_logits(const LazyTensor& hidden) const override;

 private:
  /// What a layer needs of positions and earlier tokens, by its kind.
  struct LayerInputs : AttentionInputs {
    DeltaNetState linear;
  };
  struct Layer {
    Norm before_attention, after_attention, before_mlp, after_mlp;
    Attention attention;
    std::shared_ptr<const GatedDeltaNet> delta_net;  ///< in place of attention; null: none
    std::shared_ptr<const FeedForward> mlp;
    double residual_multiplier = 1;
    int rope = 0;  ///< index of the model's tables
    std::optional<PerLayerPart> per_layer;
    std::optional<size_t> keys_of;  ///< the layer whose keys and values it reads
    bool hands_on = false;          ///< later layers read its own
    double scalar = 1;              ///< of its result
    /// x, and where there are such its vectors of tokens; without a cache also the keys and values of another layer -> the next x, and
    /// without a cache the keys and values that it hands on.
    std::vector<LazyTensor> run(std::span<const LazyTensor> args, LayerInputs inputs, const AdapterContext* adapter) const;
    LazyTensor forward(const LazyTensor& x, const LayerInputs& inputs, const LowRankOf& low_rank) const;
    /// x plus what a part made of it.
    LazyTensor add_part(const LazyTensor& x, const LazyTensor& part, const Norm& after) const;
  };
  struct Builder;
  /// The embedding, and the output layer: the same table, or one of its own.
  void read_tables(const ModelConfig& config, const std::string& prefix, WeightReader& weights);
  void check_state(const DecodingState& state) const;
  /// Where in a cache whose first key is at `start` the tokens go. Layers with one start share it.
  struct Place {
    LazyTensor start, first, length;
  };
  /// The layer's cache and its place, which `inputs` then refers to.
  void use_cache(size_t layer, DecodingState& state, int64_t tokens, std::vector<Place>& places, LayerInputs& inputs) const;
  LazyTensor scaled(const LazyTensor& hidden) const;
  LazyTensor capped(const LazyTensor& logits) const;

  Embedding embedding_;
  std::optional<PerLayerEmbedding> per_layer_;
  std::vector<Layer> layers_;
  Norm norm_;
  Linear output_;
  std::vector<std::unique_ptr<RopeTables>> ropes_;
  bool bidirectional_;
  double embedding_multiplier_, logit_multiplier_, logit_softcap_;
};

/// What an architecture makes of a configuration for a model whose activations are in `dtype`.
using DecoderSpecOf = DecoderSpec(const ModelConfig& config, DType dtype);

/// Enters a decoder that `spec` describes.
template <DecoderSpecOf spec>
RegisterArchitecture register_decoder(std::string_view model_type, const ConfigRules& rules) {
  const MakeModel<LanguageModel> make = [](const ModelConfig& config, const std::string& folder,
                                           WeightReader& weights) -> std::shared_ptr<const LanguageModel> {
    return std::make_shared<DecoderModel>(config, spec(config, weights.dtype()), folder, weights);
  };
  return {model_type, rules, make};
}

}  // namespace lazuli
