// Defines the encoder that BERT and its relatives share; an architecture states its differences as EncoderSpec.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "io/model_config.h"
#include "lazuli/encoder.h"
#include "models/encoder_spec.h"
#include "models/registry.h"
#include "models/weights.h"
#include "nn/attention.h"
#include "nn/rope_tables.h"

namespace lazuli {

/// Attention to both sides (Vaswani et al. 2017), then a feed-forward part, each with a residual sum and a norm.
struct EncoderLayer {
  AdaptedLinear q, k, v, o;
  Norm attention_norm, output_norm;
  bool fused = false;        ///< q makes queries, keys and values one after another, and k and v are empty
  bool norms_first = false;  ///< norms come before both parts, not after the sums
  std::shared_ptr<const FeedForward> feed_forward;
  int64_t window = 0;  ///< tokens to either side that a token sees; 0: all
  int rope = EncoderLayerSpec::kNoRope;

  /// What the attention of this layer makes of queries, keys and values, each (..., width) like the result.
  using Mixing = std::function<LazyTensor(const EncoderLayer& layer, const LazyTensor& q, const LazyTensor& k, const LazyTensor& v)>;
  /// x (..., hidden) -> the same shape.
  LazyTensor forward(const LazyTensor& x, const Mixing& mixing, const LowRankOf& low_rank) const;

 private:
  LazyTensor attend(const LazyTensor& x, const Mixing& mixing, const LowRankOf& low_rank) const;
};

class EncoderModel : public Encoder {
 public:
  /// Throws FormatError naming the file and what was expected of it.
  EncoderModel(const ModelConfig& config, const EncoderSpec& spec, const std::string& folder, WeightReader& weights);
  LazyTensor hidden(const EncoderInputs& inputs) const override;
  bool packs() const override { return !mask_; }
  LazyTensor hidden_packed(const PackedInputs& inputs) const override;

 private:
  struct Builder;
  /// Words, positions (those of `positions` where they are not defined) and kind of text (the first where `types` is not defined), normed;
  /// all may have leading dims.
  LazyTensor embed(const LazyTensor& ids, const LazyTensor& positions, const LazyTensor& types, const AdapterContext* adapter) const;
  LazyTensor run_layers(LazyTensor x, const EncoderLayer::Mixing& mixing, const AdapterContext* adapter) const;
  /// Tables of all ropes, of at least so many rows.
  std::vector<RopeTables::Pair> tables(int64_t positions) const;
  double attention_scale() const;

  Embedding words_, positions_;
  bool has_positions_ = false;
  LazyTensor types_;  ///< a row for each kind of text; not defined where there are none
  LazyTensor type_;   ///< the first of these rows
  std::optional<AdaptedLinear> projection_;
  Norm norm_, last_norm_;
  std::vector<EncoderLayer> layers_;
  std::vector<std::unique_ptr<RopeTables>> ropes_;
  std::optional<int64_t> padding_;
  AttentionMask mask_;
};

/// What an architecture makes of a configuration. It may rename tensors of `weights`, and take those that only it has.
using EncoderSpecOf = EncoderSpec(const ModelConfig& config, WeightReader& weights);

/// Enters an encoder that `spec` describes.
template <EncoderSpecOf spec>
RegisterArchitecture register_encoder(std::string_view model_type, const ConfigRules& rules) {
  const MakeModel<Encoder> make = [](const ModelConfig& config, const std::string& folder,
                                     WeightReader& weights) -> std::shared_ptr<const Encoder> {
    return std::make_shared<EncoderModel>(config, spec(config, weights), folder, weights);
  };
  return {model_type, rules, make};
}

}  // namespace lazuli
