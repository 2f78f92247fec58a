// Defines EncoderSpec, what an architecture's own file says about its encoder.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "io/model_config.h"
#include "models/activation.h"
#include "models/weights.h"

namespace lazuli {

/// How an architecture's files call what comes before the layers; without a name it is not there.
struct EncoderTableNames {
  const char* words = "embeddings.word_embeddings";
  const char* positions = "embeddings.position_embeddings";
  const char* types = "embeddings.token_type_embeddings";
  const char* norm = "embeddings.LayerNorm";
  const char* projection = nullptr;  ///< from rows of `embedding_size` to states
};

/// How an architecture's files call the parts of one layer.
struct EncoderLayerNames {
  const char* query = "attention.self.query";
  const char* key = "attention.self.key";
  const char* value = "attention.self.value";
  const char* fused = nullptr;  ///< makes queries, keys and values one after another, in place of these three
  const char* output = "attention.output.dense";
  const char* attention_norm = "attention.output.LayerNorm";
  const char* gate = nullptr;  ///< of a gated feed-forward part
  const char* inner = "intermediate.dense";
  const char* outer = "output.dense";
  const char* output_norm = "output.LayerNorm";
};

/// What may differ from layer to layer.
struct EncoderLayerSpec {
  static constexpr int kNoRope = -1;
  int64_t window = 0;  ///< tokens to either side that a token sees; 0: all
  int rope = kNoRope;  ///< index of EncoderSpec::ropes
  bool attention_norm = true;
};

/// Makes the mask of every layer's attention from the mask of tokens (batch, tokens).
using AttentionMask = std::function<LazyTensor(const LazyTensor& mask)>;

/// An encoder of embeddings, layers of attention to both sides and feed-forward part, and maybe a last norm.
struct EncoderSpec {
  /// What BERT has (Devlin et al. 2019): learned positions from 0 on, kinds of text, biases, and LayerNorm after each residual sum.
  explicit EncoderSpec(const ModelConfig& config);

  const char* prefix = "";  ///< what files of a model with a head put before all names
  EncoderTableNames tables;
  const char* layers_path = "encoder.layer.";
  EncoderLayerNames names;
  const char* last_norm = nullptr;
  int64_t embedding_size;          ///< numbers in rows of the tables
  std::optional<int64_t> padding;  ///< positions are counted from after this id, which is its own position; none: from 0
  double norm_eps;
  bool norm_bias = true;
  bool norms_first = false;  ///< each part's norm comes before it, not after its residual sum
  bool attention_bias = true;
  bool mlp_bias = true;
  bool fused_gate = false;  ///< `inner` makes the gate and what it scales, one after another
  bool pooler = true;       ///< transformers builds one, which PEFT adapts too
  std::vector<RopeSpec> ropes;
  std::vector<EncoderLayerSpec> layers;
  Activation activation;
  std::vector<std::string> inside;  ///< further beginnings of names inside the encoder
  AttentionMask mask;               ///< empty: tokens alone decide, and texts may be packed
};

/// Throws FormatError where config.json asks for positions or a direction that transformers' encoders no longer follow.
void require_plain_encoder(const JsonValue& root);

/// Throws FormatError for heads whose size is odd, since positions turn pairs.
void require_even_heads(const ModelConfig& config);

/// The part that the files of a model with a head put before all names, where this file has it.
std::string_view prefix_of(const WeightReader& weights, const EncoderSpec& spec);

/// (batch, tokens) -> (batch, 1, 1, tokens).
LazyTensor over_heads(const LazyTensor& mask);

}  // namespace lazuli
