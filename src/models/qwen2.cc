// Defines the Qwen2 architecture, alone or as the text part of Qwen2-VL and Qwen2.5-VL: query, key and value layers have a bias, nothing
// else does.
#include "models/decoder.h"

namespace lazuli {

namespace {

constexpr ConfigRules kQwen2Rules = {.windows = qwen_windows,
                                     .hidden_size = 4096,
                                     .intermediate_size = 22016,
                                     .num_hidden_layers = 32,
                                     .num_attention_heads = 32,
                                     .num_key_value_heads = 32,
                                     .vocab_size = 151936,
                                     .max_position_embeddings = 32768,
                                     .reads = {"sliding_window"}};

DecoderSpec qwen2_spec(const ModelConfig& config, DType) {
  DecoderSpec spec(config);
  spec.qkv_bias = true;
  return spec;
}

std::vector<int64_t> vision_text_windows(const JsonValue& root, const ModelConfig& config) { return qwen_windows_from(root, config, 80); }

/// In texts the three positions of a token, in time, height and width, are one and the same.
constexpr ConfigRules kVisionTextRules = {.windows = vision_text_windows,
                                          .hidden_size = 8192,
                                          .intermediate_size = 29568,
                                          .num_hidden_layers = 80,
                                          .num_attention_heads = 64,
                                          .num_key_value_heads = 8,
                                          .vocab_size = 152064,
                                          .max_position_embeddings = 32768,
                                          .rms_norm_eps = 1e-5,
                                          .rope_theta = 1e6,
                                          .reads = {"sliding_window"}};

const RegisterArchitecture kQwen2 = register_decoder<qwen2_spec>("qwen2", kQwen2Rules);
const RegisterArchitecture kQwen2VlText = register_decoder<qwen2_spec>("qwen2_vl_text", kVisionTextRules);
const RegisterArchitecture kQwen25VlText = register_decoder<qwen2_spec>("qwen2_5_vl_text", kVisionTextRules);
const RegisterWrapper kQwen2Vl{"qwen2_vl", {.text_type = "qwen2_vl_text", .only_type = true, .text_ties = true, .flat = true}};
const RegisterWrapper kQwen25Vl{"qwen2_5_vl", {.text_type = "qwen2_5_vl_text", .only_type = true, .text_ties = true, .flat = true}};

}  // namespace

}  // namespace lazuli
