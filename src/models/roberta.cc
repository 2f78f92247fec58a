// Defines RoBERTa (Liu et al. 2019), XLM-RoBERTa (Conneau et al. 2020) and CamemBERT (Martin et al. 2020): BERT with positions counted from
// after the padding id.
#include "models/encoder.h"

namespace lazuli {

namespace {

/// Only the size of a missing vocabulary differs.
constexpr ConfigRules rules_with(int64_t vocab_size) {
  return {.windows = full_attention_only,
          .hidden_size = 768,
          .intermediate_size = 3072,
          .num_hidden_layers = 12,
          .num_attention_heads = 12,
          .vocab_size = vocab_size,
          .max_position_embeddings = 512,
          .hidden_act = "gelu",
          .decoder = false};
}

EncoderSpec roberta_spec(const ModelConfig& config, WeightReader&) {
  const JsonValue root = config.json->root();
  require_plain_encoder(root);
  EncoderSpec spec(config);
  spec.prefix = "roberta.";
  spec.padding = int_key(root, "pad_token_id", 0, config.vocab_size - 1, 1);
  return spec;
}

const RegisterArchitecture kRoberta = register_encoder<roberta_spec>("roberta", rules_with(50265));
const RegisterArchitecture kXlmRoberta = register_encoder<roberta_spec>("xlm-roberta", rules_with(30522));
const RegisterArchitecture kCamembert = register_encoder<roberta_spec>("camembert", rules_with(30522));

}  // namespace

}  // namespace lazuli
