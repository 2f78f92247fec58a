// Implements the decoder of Llama and its relatives.
#include "models/decoder.h"

#include <fmt/format.h>

#include <filesystem>
#include <utility>

#include "lazuli/error.h"
#include "lazuli/notice.h"
#include "models/activation.h"
#include "models/recompute.h"

namespace lazuli {

namespace {

const std::string kModel = "model.";
const std::string kHead = "lm_head.weight";
constexpr const char* kTableMeaning = "vocab_size, hidden_size";

/// Checkpoints of the model without its head have names without the first part.
std::string prefix_of_names(const WeightReader& weights) {
  return weights.contains("norm.weight") && !weights.contains("model.norm.weight") ? std::string() : kModel;
}

SpareTensors spare_tensors(const std::string& prefix, int64_t layers) {
  SpareTensors spare;
  // Under both names: which of two sets of layers is meant, nobody can tell.
  spare.parts = {"model.", "embed_tokens.", "layers.", "norm.", "lm_head."};
  spare.silent = {"rotary_emb.inv_freq"};
  spare.layers = prefix + "layers.";
  spare.layer_count = layers;
  return spare;
}

[[noreturn]] void fail_without_head(const WeightReader& weights, const std::string& prefix, const Shape& shape) {
  const std::vector<std::string> others = weights.names_outside(spare_tensors(prefix, 0).parts, 1);
  const std::string other = others.empty() ? "" : fmt::format(" (it has '{}', a part for another task)", others[0]);
  throw FormatError(
      fmt::format("{}: tensor '{}' of shape {} ({}) is missing, and config.json does not tie it to the embeddings: a model "
                  "with the head that makes text is expected{}",
                  weights.place(), kHead, to_string(shape), kTableMeaning, other));
}

}  // namespace

/// Takes the weights of the layers in the model's order and lists the linear ones.
struct DecoderModel::Builder {
  const ModelConfig& config;
  const DecoderTraits& traits;
  const std::string& prefix;
  WeightReader& weights;
  std::vector<LinearInfo>& linears;
  Activation activation;

  /// PEFT's names are those of a model with its head, whatever the file's are.
  AdaptedLinear linear(const std::string& path, int64_t out, int64_t in, bool bias, const std::string& meaning, bool sensitive = false) {
    const std::string stored = prefix + path;
    Linear layer = weights.linear(stored + ".weight", bias ? stored + ".bias" : "", out, in, meaning, sensitive);
    linears.push_back({kModel + path, in, out, true, stored + ".weight"});
    return {std::move(layer), linears.size() - 1};
  }
  RMSNorm norm(const std::string& path) {
    return {weights.take(prefix + path + ".weight", {config.hidden_size}, "hidden_size"), config.rms_norm_eps};
  }
  Attention attention(const std::string& path) {
    const int64_t hidden = config.hidden_size, queries = config.num_attention_heads * config.head_dim,
                  keys = config.num_key_value_heads * config.head_dim;
    const std::string kv = "num_key_value_heads * head_dim, hidden_size";
    // Rounding keys, values and what is made of them to 4 bits harms most, and they are few numbers.
    Attention a;
    a.q = linear(path + ".q_proj", queries, hidden, traits.qkv_bias, "num_attention_heads * head_dim, hidden_size");
    a.k = linear(path + ".k_proj", keys, hidden, traits.qkv_bias, kv, true);
    a.v = linear(path + ".v_proj", keys, hidden, traits.qkv_bias, kv, true);
    a.o = linear(path + ".o_proj", hidden, queries, traits.output_bias, "hidden_size, num_attention_heads * head_dim", true);
    a.heads = config.num_attention_heads;
    a.kv_heads = config.num_key_value_heads;
    a.head_size = config.head_dim;
    return a;
  }
  GatedMLP mlp(const std::string& path) {
    const int64_t hidden = config.hidden_size, inner = config.intermediate_size;
    GatedMLP m;
    m.gate = linear(path + ".gate_proj", inner, hidden, traits.mlp_bias, "intermediate_size, hidden_size");
    m.up = linear(path + ".up_proj", inner, hidden, traits.mlp_bias, "intermediate_size, hidden_size");
    m.down = linear(path + ".down_proj", hidden, inner, traits.mlp_bias, "hidden_size, intermediate_size");
    m.activation = activation;
    return m;
  }
  Layer layer(int64_t k) {
    const std::string path = fmt::format("layers.{}", k);
    Layer l;
    l.attention_norm = norm(path + ".input_layernorm");
    l.attention = attention(path + ".self_attn");
    l.mlp_norm = norm(path + ".post_attention_layernorm");
    l.mlp = mlp(path + ".mlp");
    return l;
  }
};

void DecoderModel::read_tables(const ModelConfig& config, const std::string& prefix, WeightReader& weights) {
  const Shape shape{config.vocab_size, config.hidden_size};
  const std::string table = prefix + "embed_tokens.weight";
  const bool has_head = weights.contains(kHead);
  if (config.tie_word_embeddings && (!has_head || !weights.contains(table) || weights.same(table, kHead))) {
    embedding_ = weights.embedding(has_head && !weights.contains(table) ? kHead : table, shape, kTableMeaning, &output_);
    if (has_head) weights.leave(kHead);
    return;
  }
  embedding_ = weights.embedding(table, shape, kTableMeaning);
  if (!has_head) fail_without_head(weights, prefix, shape);
  output_ = weights.output(kHead, shape, kTableMeaning);
  if (!config.tie_word_embeddings) return;
  notice(fmt::format("{}: '{}' differs from the embeddings, to which config.json ties it: the file's own is used", weights.place(), kHead));
}

DecoderModel::DecoderModel(const ModelConfig& config, const DecoderTraits& traits, const std::string& folder, WeightReader& weights)
    : rope_(config.head_dim, config.rope_theta, config.rope_scaling) {
  const std::string prefix = prefix_of_names(weights);
  Builder builder{config, traits, prefix, weights, linears_, activation_of(config)};
  read_tables(config, prefix, weights);
  for (int64_t k = 0; k < config.num_hidden_layers; ++k) layers_.push_back(builder.layer(k));
  norm_ = builder.norm("norm");
  weights.finish(spare_tensors(prefix, config.num_hidden_layers));
  info_.architecture = config.model_type;
  info_.path = folder;
  info_.dtype = weights.dtype();
  info_.quantization = weights.quantization();
  info_.vocab_size = config.vocab_size;
  info_.context = config.max_position_embeddings;
  info_.hidden_size = config.hidden_size;
  info_.layers = config.num_hidden_layers;
  info_.kv_heads = config.num_key_value_heads;
  info_.head_size = config.head_dim;
  info_.parameters = weights.count();
  info_.eos_token_ids = config.eos_token_ids;
}

void DecoderModel::check_cache(const ForwardContext& context) const {
  const KVCache& cache = *context.cache;
  if (cache.keys.size() != layers_.size() || cache.values.size() != layers_.size()) {
    throw ShapeError(fmt::format("[{}] a cache of {} layers is expected, got {} and {}", info_.architecture, layers_.size(),
                                 cache.keys.size(), cache.values.size()));
  }
}

LazyTensor DecoderModel::hidden(ForwardContext& context) const {
  if (context.ids.rank() != 2) {
    throw ShapeError(fmt::format("[{}] ids (batch, tokens) are expected, got {}", info_.architecture, to_string(context.ids.shape())));
  }
  const int64_t tokens = context.ids.dim(1);
  AttentionInputs inputs;
  inputs.offset = context.offset.defined() ? context.offset : LazyTensor::scalar_int(0);
  if (context.cache != nullptr) {
    check_cache(context);
    inputs.length = add(inputs.offset, LazyTensor::scalar_int(tokens));
  }
  const RopeTables::Pair rope = rope_.rows(context.cache != nullptr && !layers_.empty() ? context.cache->keys[0].dim(2) : tokens);
  inputs.cos = rope.cos;
  inputs.sin = rope.sin;
  const auto kept = kept_for_layers(context.cache == nullptr ? context.adapter : nullptr);
  const AdapterContext* adapter = kept ? kept.get() : context.adapter;
  const int64_t again = kept ? kept->recomputed_layers() : 0;
  LazyTensor x = embedding_.forward(context.ids);
  for (size_t k = 0; k < layers_.size(); ++k) {
    if (context.cache != nullptr) {
      inputs.keys = &context.cache->keys[k];
      inputs.values = &context.cache->values[k];
    }
    x = run_layer(x, static_cast<int64_t>(k) < again,
                  [&layer = layers_[k], inputs, adapter, kept](const LazyTensor& in) { return layer.forward(in, inputs, adapter); });
  }
  return norm_.forward(x);
}

LazyTensor DecoderModel::Layer::forward(const LazyTensor& x, const AttentionInputs& inputs, const AdapterContext* adapter) const {
  const LowRankOf low_rank = [adapter](size_t layer) { return adapter == nullptr ? nullptr : adapter->low_rank(layer); };
  const LazyTensor y = add(x, attention.forward(attention_norm.forward(x), inputs, low_rank));
  return add(y, mlp.forward(mlp_norm.forward(y), low_rank));
}

LazyTensor DecoderModel::logits(const LazyTensor& hidden) const { return output_.forward(hidden); }

LazyTensor DecoderModel::loss_logits(const LazyTensor& hidden) const { return output_.float_forward(hidden); }

}  // namespace lazuli
