// Defines the Nomic BERT architecture (Nussbaum et al. 2024): BERT with rotary positions, a gated feed-forward part and few biases, in the
// names of transformers or in those of the files that came before its class.
#include <fmt/format.h>

#include "models/encoder.h"

namespace lazuli {

namespace {

constexpr ConfigRules kNomicRules = {.windows = full_attention_only,
                                     .hidden_size = 768,
                                     .intermediate_size = 3072,
                                     .num_hidden_layers = 12,
                                     .num_attention_heads = 12,
                                     .vocab_size = 30528,
                                     .max_position_embeddings = 2048,
                                     .hidden_act = "silu",
                                     .rope_theta = 1000.0,
                                     .reads = {"head_dim"},
                                     .aliases = {{{"hidden_size", "n_embd"},
                                                  {"intermediate_size", "n_inner"},
                                                  {"num_hidden_layers", "n_layer"},
                                                  {"num_attention_heads", "n_head"},
                                                  {"max_position_embeddings", "n_positions"}}},
                                     .decoder = false};

/// Keys of the older files that would want another computation, and the one value that does not.
void require_published_kind(const JsonValue& root) {
  for (const char* key :
       {"prenorm", "qkv_proj_bias", "mlp_fc1_bias", "mlp_fc2_bias", "rotary_emb_interleaved", "use_rms_norm", "parallel_block"}) {
    if (const auto value = root.find_set(key); value && value->is_bool() && value->as_bool()) {
      value->fail("false expected: other variants of the architecture are not supported");
    }
  }
  if (const auto part = root.find_set("rotary_emb_fraction"); part && part->as_double() != 1) {
    part->fail(fmt::format("1 expected, since whole heads turn, got {}", part->as_double()));
  }
  if (const auto experts = root.find_set("num_experts"); experts && experts->as_int() > 0) {
    experts->fail("0 expected: experts are not supported in this architecture");
  }
  if (const auto scaling = root.find_set("rotary_scaling_factor"))
    scaling->fail("null expected: stretched positions are not supported here");
  if (const auto act = root.find_set("activation_function"); act && act->as_string() != "swiglu") {
    act->fail(fmt::format("swiglu expected, got '{}'", act->as_string()));
  }
}

/// Queries, keys and values are one tensor in older files, and the parts have other names.
void use_current_names(const ModelConfig& config, WeightReader& weights) {
  const auto rename = [&](const std::string& name, const std::string& old) { weights.rename(name, {old}); };
  for (const char* part : {".weight", ".bias"}) rename(fmt::format("embeddings.LayerNorm{}", part), fmt::format("emb_ln{}", part));
  for (int64_t n = 0; n < config.num_hidden_layers; ++n) {
    const std::string now = fmt::format("layers.{}.", n), old = fmt::format("encoder.layers.{}.", n);
    for (const char* part : {".weight", ".bias"}) {
      rename(fmt::format("{}post_attention_layernorm{}", now, part), fmt::format("{}norm1{}", old, part));
      rename(fmt::format("{}post_mlp_layernorm{}", now, part), fmt::format("{}norm2{}", old, part));
    }
    const int64_t rows = config.num_attention_heads * config.head_dim;
    int64_t row = 0;
    for (const char* name : {"q_proj", "k_proj", "v_proj"}) {
      weights.rename(fmt::format("{}self_attn.{}.weight", now, name), {old + "attn.Wqkv.weight", row, 3 * rows});
      row += rows;
    }
    rename(now + "self_attn.o_proj.weight", old + "attn.out_proj.weight");
    rename(now + "mlp.up_proj.weight", old + "mlp.fc11.weight");
    rename(now + "mlp.gate_proj.weight", old + "mlp.fc12.weight");
    rename(now + "mlp.down_proj.weight", old + "mlp.fc2.weight");
  }
}

EncoderSpec nomic_spec(const ModelConfig& config, WeightReader& weights) {
  const JsonValue root = config.json->root();
  require_published_kind(root);
  EncoderSpec spec(config);
  spec.prefix = "nomic_bert.";
  spec.tables.positions = nullptr;
  spec.layers_path = "layers.";
  spec.names = {.query = "self_attn.q_proj",
                .key = "self_attn.k_proj",
                .value = "self_attn.v_proj",
                .output = "self_attn.o_proj",
                .attention_norm = "post_attention_layernorm",
                .gate = "mlp.gate_proj",
                .inner = "mlp.up_proj",
                .outer = "mlp.down_proj",
                .output_norm = "post_mlp_layernorm"};
  spec.attention_bias = spec.mlp_bias = spec.pooler = false;
  if (!root.find("layer_norm_eps")) spec.norm_eps = real_key(root, "layer_norm_epsilon", 0, 1, spec.norm_eps);
  require_even_heads(config);
  spec.ropes = {read_rope(root, kNomicRules, config)};
  if (root.find("rotary_emb_base") && !root.find("rope_parameters")) {
    spec.ropes[0].theta = real_key(root, "rotary_emb_base", 1, 1e12, spec.ropes[0].theta);
  }
  for (EncoderLayerSpec& layer : spec.layers) layer.rope = 0;
  if (weights.contains("encoder.layers.0.attn.Wqkv.weight")) {
    use_current_names(config, weights);
    spec.inside = {"encoder.", "emb_ln."};
  }
  return spec;
}

const RegisterArchitecture kNomicBert = register_encoder<nomic_spec>("nomic_bert", kNomicRules);

}  // namespace

}  // namespace lazuli
