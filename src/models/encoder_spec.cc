// Implements what most encoders have.
#include "models/encoder_spec.h"

#include <fmt/format.h>

#include "lazuli/ops.h"

namespace lazuli {

EncoderSpec::EncoderSpec(const ModelConfig& config)
    : embedding_size(config.hidden_size),
      norm_eps(real_key(config.json->root(), "layer_norm_eps", 0, 1, 1e-12)),
      layers(static_cast<size_t>(config.num_hidden_layers)),
      activation(activation_of(config)) {}

void require_plain_encoder(const JsonValue& root) {
  if (const std::string kind = root.string_or("position_embedding_type", "absolute"); kind != "absolute") {
    root.get("position_embedding_type").fail(fmt::format("absolute expected, got '{}'", kind));
  }
  if (bool_key(root, "is_decoder", false)) root.get("is_decoder").fail("a model that attends to both sides is expected");
}

void require_even_heads(const ModelConfig& config) {
  if (config.head_dim % 2 == 0) return;
  fail_key(config.json->root(), config.json->root().find("head_dim") ? "head_dim" : "hidden_size",
           fmt::format("an even size of heads expected, since positions turn pairs, got {}", config.head_dim));
}

std::string_view prefix_of(const WeightReader& weights, const EncoderSpec& spec) {
  return weights.contains(fmt::format("{}{}.weight", spec.prefix, spec.tables.words)) ? spec.prefix : std::string_view();
}

LazyTensor over_heads(const LazyTensor& mask) { return reshape(mask, {mask.dim(0), 1, 1, mask.dim(1)}); }

}  // namespace lazuli
