// Defines the ELECTRA architecture (Clark et al. 2020): BERT whose embeddings may have a size of their own, without a pooler.
#include "models/encoder.h"

namespace lazuli {

namespace {

constexpr ConfigRules kElectraRules = {.windows = full_attention_only,
                                       .hidden_size = 256,
                                       .intermediate_size = 1024,
                                       .num_hidden_layers = 12,
                                       .num_attention_heads = 4,
                                       .vocab_size = 30522,
                                       .max_position_embeddings = 512,
                                       .hidden_act = "gelu",
                                       .decoder = false};

EncoderSpec electra_spec(const ModelConfig& config, WeightReader&) {
  const JsonValue root = config.json->root();
  require_plain_encoder(root);
  EncoderSpec spec(config);
  spec.prefix = "electra.";
  spec.embedding_size = int_key(root, "embedding_size", 1, int64_t{1} << 24, 128);
  if (spec.embedding_size != config.hidden_size) spec.tables.projection = "embeddings_project";
  spec.pooler = false;
  return spec;
}

const RegisterArchitecture kElectra = register_encoder<electra_spec>("electra", kElectraRules);

}  // namespace

}  // namespace lazuli
