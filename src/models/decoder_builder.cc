// Implements the reading of a decoder's layers.
#include "models/decoder_builder.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "nn/latent_attention.h"

namespace lazuli {

Norm DecoderModel::Builder::norm(const std::string& path, const char* name, int64_t size, const char* meaning) {
  if (name == nullptr) return {};
  const std::string stored = reader.stored + path + name;
  Tensor weight = reader.weights.take(stored + ".weight", {size}, meaning);
  switch (spec.norm) {
    case NormKind::rms:
      return RMSNorm(std::move(weight), spec.norm_eps);
    case NormKind::rms_plus_one:
      return RMSNorm(add_scalar(cast(LazyTensor::from_tensor(weight), DType::f32), 1.0).eval(), spec.norm_eps);
    case NormKind::layer:
      return LayerNorm(std::move(weight), reader.weights.take(stored + ".bias", {size}, meaning), spec.norm_eps);
  }
  return {};
}

Norm DecoderModel::Builder::query_key_norm(const std::string& path, const char* name, int64_t heads, int64_t head_dim,
                                           const char* meaning) {
  if (spec.query_key_norm == QueryKeyNorm::none) return {};
  if (spec.query_key_norm == QueryKeyNorm::by_head) return norm(path, name, head_dim, "head_dim");
  return norm(path, name, heads * head_dim, meaning);
}

void DecoderModel::Builder::leave_keys_and_values(const std::string& path) {
  for (const char* name : {".k_proj.weight", ".v_proj.weight", ".k_proj.bias", ".v_proj.bias", ".k_norm.weight", ".v_norm.weight"}) {
    if (reader.weights.contains(reader.stored + path + name)) reader.weights.leave(reader.stored + path + name);
  }
}

void DecoderModel::Builder::read_projections(const std::string& path, const LayerSpec& layer, Attention& a) {
  const int64_t hidden = config.hidden_size, queries = config.num_attention_heads * layer.head_dim, keys = layer.kv_heads * layer.head_dim;
  const std::string kv = "num_key_value_heads * head_dim, hidden_size";
  // Rounding keys, values and what is made of them to 4 bits harms most, and they are few numbers.
  a.fused = spec.fused;
  if (spec.fused) {
    a.q = reader.linear(path + ".qkv_proj", queries + 2 * keys, hidden, spec.qkv_bias,
                        "(num_attention_heads + 2 * num_key_value_heads) * head_dim, hidden_size", WeightRole::sensitive);
  } else {
    a.gated = spec.output_gate;
    a.q = reader.linear(path + ".q_proj", a.gated ? 2 * queries : queries, hidden, spec.qkv_bias,
                        fmt::format("{}num_attention_heads * head_dim, hidden_size", a.gated ? "2 * " : ""));
    a.values_are_keys = layer.values_are_keys;
    if (layer.keys_of) {
      leave_keys_and_values(path);
    } else {
      a.k = reader.linear(path + ".k_proj", keys, hidden, spec.qkv_bias, kv, WeightRole::sensitive);
      if (!layer.values_are_keys) a.v = reader.linear(path + ".v_proj", keys, hidden, spec.qkv_bias, kv, WeightRole::sensitive);
    }
  }
  a.o = reader.linear(path + ".o_proj", hidden, queries, spec.output_bias, "hidden_size, num_attention_heads * head_dim",
                      WeightRole::sensitive);
}

void DecoderModel::Builder::read_norms(const std::string& path, const LayerSpec& layer, Attention& a) {
  a.norms_by_head = spec.query_key_norm != QueryKeyNorm::whole;
  a.q_norm = query_key_norm(path, ".q_norm", config.num_attention_heads, layer.head_dim, "num_attention_heads * head_dim");
  if (layer.keys_of) return;
  a.k_norm = query_key_norm(path, ".k_norm", layer.kv_heads, layer.head_dim, "num_key_value_heads * head_dim");
  if (spec.value_norm) a.v_norm = RMSNorm(LazyTensor::ones({layer.head_dim}, reader.weights.dtype()).eval(), spec.norm_eps);
}

void DecoderModel::Builder::read_latent(const std::string& path, Attention& a) {
  const LatentSpec& sizes = *spec.latent;
  const int64_t hidden = config.hidden_size, heads = config.num_attention_heads;
  const int64_t queries = heads * (sizes.plain_size + sizes.rope_size), both = heads * (sizes.plain_size + sizes.value_size);
  constexpr double kEps = 1e-6;  // whatever rms_norm_eps is
  const auto own = std::make_shared<LatentProjections>();
  const std::string sizes_of_queries = "num_attention_heads * (qk_nope_head_dim + qk_rope_head_dim), ";
  if (sizes.query_rank == 0) {
    own->q = reader.linear(path + ".q_proj", queries, hidden, false, sizes_of_queries + "hidden_size");
  } else {
    own->q_down = reader.linear(path + ".q_a_proj", sizes.query_rank, hidden, sizes.bias, "q_lora_rank, hidden_size");
    own->q_norm = RMSNorm(reader.weights.take(reader.stored + path + ".q_a_layernorm.weight", {sizes.query_rank}, "q_lora_rank"), kEps);
    own->q = reader.linear(path + ".q_b_proj", queries, sizes.query_rank, false, sizes_of_queries + "q_lora_rank");
  }
  own->kv_down = reader.linear(path + ".kv_a_proj_with_mqa", sizes.rank + sizes.rope_size, hidden, sizes.bias,
                               "kv_lora_rank + qk_rope_head_dim, hidden_size", WeightRole::sensitive);
  own->kv_norm = RMSNorm(reader.weights.take(reader.stored + path + ".kv_a_layernorm.weight", {sizes.rank}, "kv_lora_rank"), kEps);
  own->kv_up = reader.linear(path + ".kv_b_proj", both, sizes.rank, false,
                             "num_attention_heads * (qk_nope_head_dim + v_head_dim), kv_lora_rank", WeightRole::sensitive);
  own->two_steps = sizes.query_rank > 0;
  own->heads = heads;
  own->rank = sizes.rank;
  own->plain_size = sizes.plain_size;
  own->rope_size = sizes.rope_size;
  own->value_size = sizes.value_size;
  a.value_size = sizes.value_size;
  a.o = reader.linear(path + ".o_proj", hidden, heads * sizes.value_size, spec.output_bias, "hidden_size, num_attention_heads * v_head_dim",
                      WeightRole::sensitive);
  a.latent = own;
}

Attention DecoderModel::Builder::attention(const std::string& path, const LayerSpec& layer) {
  Attention a;
  a.value_size = layer.head_dim;
  if (spec.latent) {
    read_latent(path, a);
  } else {
    read_projections(path, layer, a);
    read_norms(path, layer, a);
  }
  a.heads = config.num_attention_heads;
  a.kv_heads = layer.kv_heads;
  a.head_size = layer.head_dim;
  a.scale = spec.attention_scale;
  a.softcap = spec.score_softcap;
  a.window = layer.window;
  a.causal = !spec.bidirectional;
  if (spec.sinks) {
    const Tensor sinks = reader.weights.take(reader.stored + path + ".sinks", {config.num_attention_heads}, "num_attention_heads");
    a.sinks = LazyTensor::from_tensor(sinks.to(DType::f32));
  }
  return a;
}

std::shared_ptr<const FeedForward> DecoderModel::Builder::mlp(const std::string& path, const LayerSpec& layer) {
  if (spec.feed_forward && !layer.gated) return spec.feed_forward(reader, path);
  const int64_t hidden = config.hidden_size, inner = layer.intermediate_size;
  const auto m = std::make_shared<GatedMLP>();
  m->fused = spec.fused;
  if (spec.fused) {
    m->gate = reader.linear(path + ".gate_up_proj", 2 * inner, hidden, spec.mlp_bias, "2 * intermediate_size, hidden_size");
  } else {
    m->gate = reader.linear(path + ".gate_proj", inner, hidden, spec.mlp_bias, "intermediate_size, hidden_size");
    m->up = reader.linear(path + ".up_proj", inner, hidden, spec.mlp_bias, "intermediate_size, hidden_size");
  }
  m->down = reader.linear(path + ".down_proj", hidden, inner, spec.mlp_bias, "hidden_size, intermediate_size");
  m->activation = spec.activation;
  if (spec.around_gated) return spec.around_gated(reader, path, m);
  return m;
}

PerLayerPart DecoderModel::Builder::per_layer_part(const std::string& path) {
  PerLayerPart part;
  part.gate = reader.linear(path + "per_layer_input_gate", spec.per_layer_size, config.hidden_size, false,
                            "hidden_size_per_layer_input, hidden_size");
  part.projection = reader.linear(path + "per_layer_projection", config.hidden_size, spec.per_layer_size, false,
                                  "hidden_size, hidden_size_per_layer_input");
  part.norm = norm(path, "post_per_layer_input_norm");
  part.activation = spec.activation;
  return part;
}

double DecoderModel::Builder::layer_scalar(const std::string& path) {
  const Tensor scalar = reader.weights.take(reader.stored + path + "layer_scalar", {1}, "a factor of the layer");
  return static_cast<double>(scalar.to(DType::f32).to_vector<float>()[0]);
}

bool DecoderModel::Builder::is_read_by_others(size_t k) const {
  return std::any_of(spec.layers.begin(), spec.layers.end(), [k](const LayerSpec& other) { return other.keys_of == k; });
}

DecoderModel::Layer DecoderModel::Builder::layer(size_t k) {
  const std::string path = fmt::format("layers.{}.", k);
  const LayerSpec& own = spec.layers[k];
  Layer l;
  l.before_attention = norm(path, spec.norms.before_attention);
  if (own.linear) {
    l.delta_net = read_delta_net(reader, path + "linear_attn", spec.delta_net);
  } else {
    l.attention = attention(path + "self_attn", own);
  }
  l.after_attention = norm(path, spec.norms.after_attention);
  l.before_mlp = norm(path, spec.norms.before_mlp);
  l.mlp = mlp(path + "mlp", own);
  l.after_mlp = norm(path, spec.norms.after_mlp);
  l.residual_multiplier = spec.residual_multiplier;
  l.rope = own.rope;
  l.keys_of = own.keys_of;
  l.hands_on = is_read_by_others(k);
  if (spec.per_layer_size > 0) l.per_layer = per_layer_part(path);
  if (spec.layer_scalar) l.scalar = layer_scalar(path);
  return l;
}

}  // namespace lazuli
