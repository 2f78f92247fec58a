// Defines the DistilBERT architecture (Sanh et al. 2019): BERT without kinds of text and without a pooler, under other names.
#include "models/encoder.h"

namespace lazuli {

namespace {

constexpr ConfigRules kDistilbertRules = {.windows = full_attention_only,
                                          .hidden_size = 768,
                                          .intermediate_size = 3072,
                                          .num_hidden_layers = 6,
                                          .num_attention_heads = 12,
                                          .vocab_size = 30522,
                                          .max_position_embeddings = 512,
                                          .activation_key = "activation",
                                          .hidden_act = "gelu",
                                          .aliases = {{{"hidden_size", "dim"},
                                                       {"intermediate_size", "hidden_dim"},
                                                       {"num_hidden_layers", "n_layers"},
                                                       {"num_attention_heads", "n_heads"}}},
                                          .decoder = false};

EncoderSpec distilbert_spec(const ModelConfig& config, WeightReader&) {
  EncoderSpec spec(config);
  spec.prefix = "distilbert.";
  spec.tables.types = nullptr;
  spec.layers_path = "transformer.layer.";
  spec.names = {.query = "attention.q_lin",
                .key = "attention.k_lin",
                .value = "attention.v_lin",
                .output = "attention.out_lin",
                .attention_norm = "sa_layer_norm",
                .inner = "ffn.lin1",
                .outer = "ffn.lin2",
                .output_norm = "output_layer_norm"};
  spec.norm_eps = 1e-12;  // whatever config.json says
  spec.pooler = false;
  return spec;
}

const RegisterArchitecture kDistilbert = register_encoder<distilbert_spec>("distilbert", kDistilbertRules);

}  // namespace

}  // namespace lazuli
