// Defines DecoderModel::Builder, which reads the layers that a spec describes.
#pragma once

#include <memory>
#include <string>

#include "models/decoder.h"
#include "models/layer_reader.h"

namespace lazuli {

struct DecoderModel::Builder {
  const ModelConfig& config;
  const DecoderSpec& spec;
  LayerReader& reader;

  Layer layer(size_t k);
  /// Empty for a place without a norm.
  Norm norm(const std::string& path, const char* name, int64_t size, const char* meaning);
  Norm norm(const std::string& path, const char* name) { return norm(path, name, config.hidden_size, "hidden_size"); }

 private:
  Attention attention(const std::string& path, const LayerSpec& layer);
  void read_projections(const std::string& path, const LayerSpec& layer, Attention& a);
  void read_latent(const std::string& path, Attention& a);
  void read_norms(const std::string& path, const LayerSpec& layer, Attention& a);
  Norm query_key_norm(const std::string& path, const char* name, int64_t heads, int64_t head_dim, const char* meaning);
  /// Files of models with shared keys and values may have some that nothing reads.
  void leave_keys_and_values(const std::string& path);
  std::shared_ptr<const FeedForward> mlp(const std::string& path, const LayerSpec& layer);
  PerLayerPart per_layer_part(const std::string& path);
  double layer_scalar(const std::string& path);
  bool is_read_by_others(size_t k) const;
};

}  // namespace lazuli
