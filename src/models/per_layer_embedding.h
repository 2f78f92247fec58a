// Defines PerLayerEmbedding, which gives each layer a vector of every token, and PerLayerPart, by which a layer adds its own.
#pragma once

#include "models/activation.h"
#include "models/layer_reader.h"
#include "nn/attention.h"

namespace lazuli {

/// The vectors of a token for all layers: a table's, and a projection of the token's embedding, as Gemma 4 joins them.
class PerLayerEmbedding {
 public:
  /// Takes `embed_tokens_per_layer` (rows, layers * size), `per_layer_model_projection` and `per_layer_projection_norm`. Throws
  /// FormatError.
  PerLayerEmbedding(const ModelConfig& config, int64_t rows, int64_t size, LayerReader& reader);
  /// ids (batch, tokens) and their embeddings (batch, tokens, hidden) -> (batch, tokens, layers * size).
  LazyTensor forward(const LazyTensor& ids, const LazyTensor& embeddings, const LowRankOf& low_rank) const;
  /// That of one layer: (batch, tokens, size).
  LazyTensor of_layer(const LazyTensor& all, size_t layer) const;

 private:
  Embedding table_;
  AdaptedLinear projection_;
  RMSNorm norm_;
  int64_t layers_, size_;
  double table_scale_, projection_scale_;
};

/// x + norm(projection(act(gate(x)) * input)).
struct PerLayerPart {
  AdaptedLinear gate, projection;
  Norm norm;
  Activation activation = nullptr;
  /// x (batch, tokens, hidden), input (batch, tokens, size) -> the shape of x.
  LazyTensor forward(const LazyTensor& x, const LazyTensor& input, const LowRankOf& low_rank) const;
};

}  // namespace lazuli
