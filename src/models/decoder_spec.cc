// Implements what most decoders have.
#include "models/decoder_spec.h"

#include <fmt/format.h>

#include <cmath>

#include "lazuli/tensor.h"

namespace lazuli {

DecoderSpec::DecoderSpec(const ModelConfig& config)
    : norm_eps(config.rms_norm_eps),
      attention_scale(1.0 / std::sqrt(static_cast<double>(config.head_dim))),
      ropes{config.rope},
      activation(activation_of(config)) {
  if (config.head_dim % 2 != 0) {
    fail_key(config.json->root(), "head_dim",
             fmt::format("an even size of heads expected, since positions turn pairs, got {}", config.head_dim));
  }
  for (const int64_t window : config.windows)
    layers.push_back({window, 0, config.head_dim, config.num_key_value_heads, config.intermediate_size});
}

double square_root_in(DType dtype, double x) {
  const auto root = static_cast<float>(std::sqrt(x));
  return static_cast<double>(Tensor::from_vector(std::vector<float>{root}, {1}).to(dtype).to_vector<float>()[0]);
}

}  // namespace lazuli
