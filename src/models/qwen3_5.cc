// Defines the text part of the Qwen3.5 architecture: most layers are gated delta nets, the others attend to all positions with queries that
// bring a gate for what they find.
#include "models/linear_layers.h"

namespace lazuli {

namespace {

constexpr ConfigRules kQwen35Rules = {.windows = linear_or_full_attention,
                                      .hidden_size = 4096,
                                      .intermediate_size = 12288,
                                      .num_hidden_layers = 32,
                                      .num_attention_heads = 16,
                                      .num_key_value_heads = 4,
                                      .vocab_size = 248320,
                                      .max_position_embeddings = 32768,
                                      .head_dim = 256,
                                      .partial_rotary_factor = 0.25,
                                      .reads = {"attention_bias", "partial_rotary_factor"}};

DecoderSpec qwen3_5_spec(const ModelConfig& config, DType) { return linear_layers_spec(config); }

const RegisterArchitecture kQwen35 = register_decoder<qwen3_5_spec>("qwen3_5_text", kQwen35Rules);
const RegisterWrapper kQwen35Whole{"qwen3_5", {.text_type = "qwen3_5_text", .only_type = true}};

}  // namespace

}  // namespace lazuli
