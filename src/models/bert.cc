// Defines the BERT architecture (Devlin et al. 2019): learned positions, and embeddings of the kind of text, the first one unless types
// say otherwise.
#include "models/encoder.h"

namespace lazuli {

namespace {

constexpr ConfigRules kBertRules = {.windows = full_attention_only,
                                    .hidden_size = 768,
                                    .intermediate_size = 3072,
                                    .num_hidden_layers = 12,
                                    .num_attention_heads = 12,
                                    .vocab_size = 30522,
                                    .max_position_embeddings = 512,
                                    .hidden_act = "gelu",
                                    .decoder = false};

EncoderSpec bert_spec(const ModelConfig& config, WeightReader&) {
  require_plain_encoder(config.json->root());
  EncoderSpec spec(config);
  spec.prefix = "bert.";
  return spec;
}

const RegisterArchitecture kBert = register_encoder<bert_spec>("bert", kBertRules);

}  // namespace

}  // namespace lazuli
