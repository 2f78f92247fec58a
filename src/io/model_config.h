// Defines ModelConfig, the hyper-parameters of a model as its `config.json` states them.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "lazuli/dtype.h"

namespace lazuli {

/// How rotary frequencies are stretched for long contexts.
struct RopeScaling {
  enum class Kind : uint8_t { none, linear, llama3 };
  Kind kind = Kind::none;
  double factor = 1.0;
  // Only for llama3.
  double low_freq_factor = 1.0;
  double high_freq_factor = 4.0;
  int64_t original_max_position_embeddings = 0;
};

/// Hyper-parameters of a transformer in the words of Hugging Face's `config.json`. Every number is in a range where products
/// of two of them fit int64.
struct ModelConfig {
  std::string model_type;
  std::vector<std::string> architectures;
  int64_t hidden_size = 0;
  int64_t intermediate_size = 0;
  int64_t num_hidden_layers = 0;
  int64_t num_attention_heads = 0;
  int64_t num_key_value_heads = 0;  ///< divides num_attention_heads; as many as those when the file does not say
  int64_t head_dim = 0;             ///< hidden_size / num_attention_heads when the file does not say
  int64_t vocab_size = 0;
  int64_t max_position_embeddings = 0;
  double rms_norm_eps = 1e-6;
  double rope_theta = 10000.0;
  RopeScaling rope_scaling;
  bool tie_word_embeddings = false;
  bool attention_bias = false;  ///< as in the file; some architectures have a bias of their own accord
  bool mlp_bias = false;
  std::string hidden_act = "silu";
  std::vector<int64_t> eos_token_ids;
  std::optional<int64_t> bos_token_id;
  std::optional<DType> dtype;  ///< of the stored weights
  double initializer_range = 0.02;

  /// The whole file, for keys that only some architectures have.
  std::shared_ptr<const JsonDocument> json;

  /// Throws IoError, and FormatError that names the file and the key.
  static ModelConfig read(const std::string& path);
  static ModelConfig parse(std::string_view text, const std::string& name);
};

}  // namespace lazuli
