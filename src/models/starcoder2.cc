// Defines the StarCoder2 architecture: LayerNorm, biases everywhere, a feed-forward part without a gate, and a window in every layer.
#include "models/decoder.h"

namespace lazuli {

namespace {

constexpr ConfigRules kStarcoder2Rules = {.windows = equal_windows,
                                          .hidden_size = 3072,
                                          .intermediate_size = 12288,
                                          .num_hidden_layers = 30,
                                          .num_attention_heads = 24,
                                          .num_key_value_heads = 2,
                                          .vocab_size = 49152,
                                          .max_position_embeddings = 4096,
                                          .hidden_act = "gelu_pytorch_tanh",
                                          .tie_word_embeddings = true,
                                          .reads = {"sliding_window"}};

DecoderSpec starcoder2_spec(const ModelConfig& config, DType) {
  const JsonValue root = config.json->root();
  const bool bias = bool_key(root, "use_bias", true);
  DecoderSpec spec(config);
  spec.norm = NormKind::layer;
  spec.norm_eps = real_key(root, "norm_epsilon", 0, 1, 1e-5);
  spec.qkv_bias = spec.output_bias = bias;
  spec.feed_forward = [bias, hidden = config.hidden_size, inner = config.intermediate_size, activation = spec.activation](
                          LayerReader& reader, const std::string& path) {
    const auto mlp = std::make_shared<PlainMLP>();
    mlp->up = reader.linear(path + ".c_fc", inner, hidden, bias, "intermediate_size, hidden_size");
    mlp->down = reader.linear(path + ".c_proj", hidden, inner, bias, "hidden_size, intermediate_size");
    mlp->activation = activation;
    return mlp;
  };
  return spec;
}

const RegisterArchitecture kStarcoder2 = register_decoder<starcoder2_spec>("starcoder2", kStarcoder2Rules);

}  // namespace

}  // namespace lazuli
