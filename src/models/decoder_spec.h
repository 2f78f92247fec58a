// Defines DecoderSpec, what an architecture's own file says about its decoder.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "io/model_config.h"
#include "models/activation.h"
#include "models/delta_net.h"
#include "models/layer_reader.h"
#include "nn/attention.h"

namespace lazuli {

/// How the norms of a decoder scale: RMSNorm by its weight, RMSNorm by 1 + weight, LayerNorm with weight and bias.
enum class NormKind : uint8_t { rms, rms_plus_one, layer };

/// Whether queries and keys are normed: not, each head alone, or all heads of a token as one row.
enum class QueryKeyNorm : uint8_t { none, by_head, whole };

/// Names of a layer's norms; without a name there is none in that place.
struct NormNames {
  const char* before_attention = "input_layernorm";
  const char* after_attention = nullptr;  ///< before the residual sum
  const char* before_mlp = "post_attention_layernorm";
  const char* after_mlp = nullptr;
};

/// What may differ from layer to layer.
struct LayerSpec {
  static constexpr int kNoRope = -1;
  int64_t window = 0;  ///< positions up to its own that a query sees; 0: all
  int rope = 0;        ///< index of DecoderSpec::ropes, or kNoRope
  int64_t head_dim = 0, kv_heads = 0, intermediate_size = 0;
  bool values_are_keys = false;        ///< keys before their norm are the values too
  std::optional<size_t> keys_of = {};  ///< the earlier layer whose keys and values it reads in place of its own
  bool linear = false;                 ///< a gated delta net in place of attention
  bool gated = false;                  ///< the gated feed-forward part, whatever DecoderSpec::feed_forward is
};

/// Reads the feed-forward part of the layer with this path.
using ReadFeedForward = std::function<std::shared_ptr<const FeedForward>(LayerReader& reader, const std::string& path)>;

/// What stands around the gated feed-forward part of the layer whose part is at this path, with the gated part in it.
using AroundGated = std::function<std::shared_ptr<const FeedForward>(LayerReader& reader, const std::string& path,
                                                                     std::shared_ptr<const FeedForward> gated)>;

/// Sizes of attention whose keys and values are made of a small latent vector.
struct LatentSpec {
  int64_t rank = 0;        ///< of the latent vector
  int64_t query_rank = 0;  ///< of the one that queries are made of; 0: queries are made of the state
  int64_t plain_size = 0;  ///< numbers of a head's query and key that do not turn
  int64_t rope_size = 0;   ///< those that do, after the others
  int64_t value_size = 0;
  bool bias = false;  ///< of the layers that make latent vectors
};

/// A decoder of embedding, layers of attention and feed-forward part, a last norm and an output layer.
struct DecoderSpec {
  /// What most architectures have: RMSNorm before both parts of a layer, one rope over whole heads, windows as `config` says, scores by
  /// 1 / sqrt(head_dim), a gated feed-forward part and no biases.
  explicit DecoderSpec(const ModelConfig& config);

  NormKind norm = NormKind::rms;
  double norm_eps;
  NormNames norms;
  QueryKeyNorm query_key_norm = QueryKeyNorm::none;
  bool qkv_bias = false;
  bool output_bias = false;    ///< of the attention's last layer
  bool output_gate = false;    ///< queries bring a gate of what attention finds, head by head
  bool mlp_bias = false;       ///< of the gated feed-forward part
  bool value_norm = false;     ///< values are normed head by head, by RMSNorm without a weight
  bool layer_scalar = false;   ///< what a layer gives is multiplied by a number of its own, layer_scalar
  bool fused = false;          ///< queries, keys and values are one layer, qkv_proj, and gate and up another, gate_up_proj
  bool bidirectional = false;  ///< tokens attend to both sides, as far as a window goes to the one before them
  double attention_scale;
  bool sinks = false;        ///< each head has a score without a value
  double score_softcap = 0;  ///< 0: none
  double logit_softcap = 0;  ///< 0: none
  double embedding_multiplier = 1;
  double residual_multiplier = 1;  ///< of what a part adds to the residual stream
  double logit_multiplier = 1;
  int64_t per_layer_size = 0;  ///< of the vectors that tokens have for each layer; 0: none
  int64_t per_layer_vocabulary = 0;
  DeltaNetSpec delta_net;  ///< of layers whose attention is linear
  std::vector<RopeSpec> ropes;
  std::vector<LayerSpec> layers;
  Activation activation;
  ReadFeedForward feed_forward;  ///< empty: the gated one
  AroundGated around_gated;      ///< empty: nothing
  std::optional<LatentSpec> latent;
};

/// sqrt(x) as a number of `dtype`, as architectures scale their embeddings that hold the factor in the model's own dtype.
double square_root_in(DType dtype, double x);

}  // namespace lazuli
