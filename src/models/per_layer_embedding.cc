// Implements the embeddings of tokens for each layer.
#include "models/per_layer_embedding.h"

#include <cmath>

#include "models/decoder_spec.h"

namespace lazuli {

PerLayerEmbedding::PerLayerEmbedding(const ModelConfig& config, int64_t rows, int64_t size, LayerReader& reader)
    : layers_(config.num_hidden_layers),
      size_(size),
      table_scale_(square_root_in(reader.weights.dtype(), static_cast<double>(size))),
      projection_scale_(1 / std::sqrt(static_cast<double>(config.hidden_size))) {
  const int64_t all = layers_ * size;
  table_ = reader.weights.embedding(reader.stored + "embed_tokens_per_layer.weight", {rows, all},
                                    "vocab_size_per_layer_input, num_hidden_layers * hidden_size_per_layer_input");
  projection_ = reader.linear("per_layer_model_projection", all, config.hidden_size, false,
                              "num_hidden_layers * hidden_size_per_layer_input, hidden_size");
  norm_ = RMSNorm(reader.weights.take(reader.stored + "per_layer_projection_norm.weight", {size}, "hidden_size_per_layer_input"),
                  config.rms_norm_eps);
}

LazyTensor PerLayerEmbedding::forward(const LazyTensor& ids, const LazyTensor& embeddings, const LowRankOf& low_rank) const {
  const Shape whole{ids.dim(0), ids.dim(1), layers_ * size_}, by_layer{ids.dim(0), ids.dim(1), layers_, size_};
  const LazyTensor projected = mul_scalar(apply(projection_, embeddings, low_rank), projection_scale_);
  const LazyTensor normed = reshape(norm_.forward(reshape(projected, by_layer)), whole);
  return mul_scalar(add(normed, mul_scalar(table_.forward(ids), table_scale_)), std::sqrt(0.5));
}

LazyTensor PerLayerEmbedding::of_layer(const LazyTensor& all, size_t layer) const {
  const int64_t first = static_cast<int64_t>(layer) * size_;
  return slice(all, 2, first, first + size_);
}

LazyTensor PerLayerPart::forward(const LazyTensor& x, const LazyTensor& input, const LowRankOf& low_rank) const {
  const LazyTensor gated = mul(activation(apply(gate, x, low_rank), {}), input);
  return add(x, norm.forward(apply(projection, gated, low_rank)));
}

}  // namespace lazuli
