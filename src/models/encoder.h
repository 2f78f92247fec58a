// Defines the encoder that BERT and its relatives share; an architecture adds its embeddings and its attention's mask.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "io/model_config.h"
#include "lazuli/encoder.h"
#include "models/activation.h"
#include "models/weights.h"
#include "nn/attention.h"

namespace lazuli {

/// How an architecture's files call the parts of one layer.
struct EncoderLayerNames {
  const char* query;
  const char* key;
  const char* value;
  const char* output;
  const char* attention_norm;
};

/// What a layer's attention makes of queries, keys and values, each (..., hidden) like the result.
using Mixing = std::function<LazyTensor(const LazyTensor& q, const LazyTensor& k, const LazyTensor& v)>;

/// Attention to both sides, then a feed-forward part, each with a LayerNorm after its residual sum (Vaswani et al. 2017).
struct EncoderLayer {
  AdaptedLinear q, k, v, o, inner, outer;
  LayerNorm attention_norm, output_norm;
  Activation activation = nullptr;
  /// x (..., hidden) -> the same shape.
  LazyTensor forward(const LazyTensor& x, const Mixing& mixing, const LowRankOf& low_rank) const;
};

class EncoderModel : public Encoder {
 public:
  LazyTensor hidden(const EncoderInputs& inputs) const override;
  LazyTensor hidden_packed(const PackedInputs& inputs) const override;

 protected:
  /// Takes the tensors of all layers and those of the embeddings that every architecture has, below `prefix`: `bert.`, or nothing.
  /// `first_position` rows of the table of positions are not for tokens. Throws FormatError.
  EncoderModel(const ModelConfig& config, const std::string& folder, WeightReader& weights, const EncoderLayerNames& names,
               std::string_view prefix, int64_t first_position);
  /// Row ids of the table of positions, (1 or batch, tokens) i32.
  virtual LazyTensor positions(const LazyTensor& ids) const = 0;
  /// What the words' embeddings are increased by besides positions; nothing where not defined.
  virtual LazyTensor offset() const { return {}; }
  /// The mask of every layer's attention, from `mask` (batch, tokens).
  virtual LazyTensor attention_mask(const LazyTensor& mask) const = 0;

  /// Throws FormatError for a tensor inside the encoder that it does not know; heads for other tasks are told of.
  static void finish(const WeightReader& weights, const ModelConfig& config, std::string_view prefix);
  static LayerNorm read_norm(WeightReader& weights, const std::string& path, int64_t size, double eps);

 private:
  /// Words, positions and offset, normalised; all may have leading dims.
  LazyTensor embed(const LazyTensor& ids, const LazyTensor& positions) const;
  LazyTensor run_layers(LazyTensor x, const Mixing& mixing, const AdapterContext* adapter) const;
  double attention_scale() const;

  Embedding words_, positions_;
  LayerNorm norm_;
  std::vector<EncoderLayer> layers_;
};

/// The part that the files of a model with a head put before all names, where this file has it.
std::string_view prefix_of(const WeightReader& weights, std::string_view prefix);

/// (batch, tokens) -> (batch, 1, 1, tokens).
LazyTensor over_heads(const LazyTensor& mask);

}  // namespace lazuli
