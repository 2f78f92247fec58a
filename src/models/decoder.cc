// Implements the decoder of Llama and its relatives.
#include "models/decoder.h"

#include <fmt/format.h>

#include <filesystem>
#include <utility>

#include "lazuli/error.h"
#include "lazuli/notice.h"
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

/// Makes the layers that a spec describes.
struct DecoderModel::Builder {
  const ModelConfig& config;
  const DecoderSpec& spec;
  LayerReader& reader;

  /// Empty for a place without a norm.
  Norm norm(const std::string& path, const char* name, int64_t size, const char* meaning) {
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
  Norm norm(const std::string& path, const char* name) { return norm(path, name, config.hidden_size, "hidden_size"); }
  Norm query_key_norm(const std::string& path, const char* name, int64_t heads, const char* meaning) {
    if (spec.query_key_norm == QueryKeyNorm::none) return {};
    if (spec.query_key_norm == QueryKeyNorm::by_head) return norm(path, name, config.head_dim, "head_dim");
    return norm(path, name, heads * config.head_dim, meaning);
  }
  Attention attention(const std::string& path, const LayerSpec& layer) {
    const int64_t hidden = config.hidden_size, queries = config.num_attention_heads * config.head_dim,
                  keys = config.num_key_value_heads * config.head_dim;
    const std::string kv = "num_key_value_heads * head_dim, hidden_size";
    // Rounding keys, values and what is made of them to 4 bits harms most, and they are few numbers.
    Attention a;
    a.fused = spec.fused;
    if (spec.fused) {
      a.q = reader.linear(path + ".qkv_proj", queries + 2 * keys, hidden, spec.qkv_bias,
                          "(num_attention_heads + 2 * num_key_value_heads) * head_dim, hidden_size", WeightRole::sensitive);
    } else {
      a.q = reader.linear(path + ".q_proj", queries, hidden, spec.qkv_bias, "num_attention_heads * head_dim, hidden_size");
      a.k = reader.linear(path + ".k_proj", keys, hidden, spec.qkv_bias, kv, WeightRole::sensitive);
      a.v = reader.linear(path + ".v_proj", keys, hidden, spec.qkv_bias, kv, WeightRole::sensitive);
    }
    a.o = reader.linear(path + ".o_proj", hidden, queries, spec.output_bias, "hidden_size, num_attention_heads * head_dim",
                        WeightRole::sensitive);
    a.q_norm = query_key_norm(path, ".q_norm", config.num_attention_heads, "num_attention_heads * head_dim");
    a.k_norm = query_key_norm(path, ".k_norm", config.num_key_value_heads, "num_key_value_heads * head_dim");
    a.norms_by_head = spec.query_key_norm != QueryKeyNorm::whole;
    a.heads = config.num_attention_heads;
    a.kv_heads = config.num_key_value_heads;
    a.head_size = config.head_dim;
    a.scale = spec.attention_scale;
    a.softcap = spec.score_softcap;
    a.window = layer.window;
    return a;
  }
  std::shared_ptr<const FeedForward> mlp(const std::string& path) {
    if (spec.feed_forward) return spec.feed_forward(reader, path);
    const int64_t hidden = config.hidden_size, inner = config.intermediate_size;
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
    return m;
  }
  Layer layer(size_t k) {
    const std::string path = fmt::format("layers.{}.", k);
    const LayerSpec& own = spec.layers[k];
    Layer l;
    l.before_attention = norm(path, spec.norms.before_attention);
    l.attention = attention(path + "self_attn", own);
    l.after_attention = norm(path, spec.norms.after_attention);
    l.before_mlp = norm(path, spec.norms.before_mlp);
    l.mlp = mlp(path + "mlp");
    l.after_mlp = norm(path, spec.norms.after_mlp);
    l.residual_multiplier = spec.residual_multiplier;
    l.rope = own.rope;
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

DecoderModel::DecoderModel(const ModelConfig& config, const DecoderSpec& spec, const std::string& folder, WeightReader& weights)
    : embedding_multiplier_(spec.embedding_multiplier), logit_multiplier_(spec.logit_multiplier), logit_softcap_(spec.logit_softcap) {
  const std::string prefix = prefix_of_names(weights);
  LayerReader reader{weights, prefix, kModel, linears_};
  Builder builder{config, spec, reader};
  for (const RopeSpec& rope : spec.ropes) ropes_.push_back(std::make_unique<RopeTables>(rope));
  read_tables(config, prefix, weights);
  for (size_t k = 0; k < spec.layers.size(); ++k) layers_.push_back(builder.layer(k));
  norm_ = builder.norm("", "norm");
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

void DecoderModel::check_state(const DecodingState& state) const {
  if (state.layers.size() != layers_.size()) {
    throw ShapeError(fmt::format("[{}] a state of {} layers is expected, got {}", info_.architecture, layers_.size(), state.layers.size()));
  }
  for (const DecodingState::Layer& layer : state.layers) {
    if (layer.tensors.size() == 2) continue;
    throw ShapeError(
        fmt::format("[{}] keys and values of each layer are expected, got {} tensors", info_.architecture, layer.tensors.size()));
  }
}

std::vector<LayerState> DecoderModel::states() const {
  std::vector<LayerState> out;
  for (const Layer& layer : layers_) {
    const Attention& a = layer.attention;
    out.push_back({StateKind::attention, a.kv_heads, a.head_size, a.head_size, a.window});
  }
  return out;
}

LazyTensor DecoderModel::hidden(ForwardContext& context) const {
  if (context.ids.rank() != 2) {
    throw ShapeError(fmt::format("[{}] ids (batch, tokens) are expected, got {}", info_.architecture, to_string(context.ids.shape())));
  }
  const int64_t tokens = context.ids.dim(1);
  AttentionInputs inputs;
  inputs.offset = context.offset.defined() ? context.offset : LazyTensor::scalar_int(0);
  LazyTensor whole;  // keys in use where all are kept
  if (context.state != nullptr) {
    check_state(*context.state);
    whole = add(inputs.offset, LazyTensor::scalar_int(tokens));
  }
  const int64_t positions = context.state == nullptr ? tokens : context.state->positions;
  std::vector<RopeTables::Rows> tables;
  for (const auto& rope : ropes_) tables.push_back(rope->rows(positions));
  const auto kept = kept_for_layers(context.state == nullptr ? context.adapter : nullptr);
  const AdapterContext* adapter = kept ? kept.get() : context.adapter;
  const int64_t again = kept ? kept->recomputed_layers() : 0;
  LazyTensor x = embedding_.forward(context.ids);
  if (embedding_multiplier_ != 1) x = mul_scalar(x, embedding_multiplier_);
  for (size_t k = 0; k < layers_.size(); ++k) {
    if (context.state != nullptr) {
      DecodingState::Layer& layer_state = context.state->layers[k];
      inputs.keys = layer_state.tensors.data();
      inputs.values = inputs.keys + 1;
      inputs.place = inputs.offset;
      inputs.length = whole;
      if (layer_state.start.defined()) {
        inputs.place = sub(inputs.offset, layer_state.start);
        inputs.length = add(inputs.place, LazyTensor::scalar_int(tokens));
      }
    }
    inputs.rope = layers_[k].rope == LayerSpec::kNoRope ? RopeTables::Rows{} : tables[static_cast<size_t>(layers_[k].rope)];
    x = run_layer(x, static_cast<int64_t>(k) < again,
                  [&layer = layers_[k], inputs, adapter, kept](const LazyTensor& in) { return layer.forward(in, inputs, adapter); });
  }
  return norm_.forward(x);
}

LazyTensor DecoderModel::Layer::add_part(const LazyTensor& x, const LazyTensor& part, const Norm& after) const {
  const LazyTensor normed = after.forward(part);
  return add(x, residual_multiplier == 1 ? normed : mul_scalar(normed, residual_multiplier));
}

LazyTensor DecoderModel::Layer::forward(const LazyTensor& x, const AttentionInputs& inputs, const AdapterContext* adapter) const {
  const LowRankOf low_rank = [adapter](size_t layer) { return adapter == nullptr ? nullptr : adapter->low_rank(layer); };
  const LazyTensor y = add_part(x, attention.forward(before_attention.forward(x), inputs, low_rank), after_attention);
  return add_part(y, mlp->forward(before_mlp.forward(y), low_rank), after_mlp);
}

LazyTensor DecoderModel::scaled(const LazyTensor& hidden) const {
  return logit_multiplier_ == 1 ? hidden : mul_scalar(hidden, logit_multiplier_);
}

LazyTensor DecoderModel::capped(const LazyTensor& logits) const {
  if (logit_softcap_ == 0) return logits;
  const LazyTensor cap = ScalarArg(logit_softcap_).operand(logits.dtype());
  return mul(tanh(div(logits, cap)), cap);
}

LazyTensor DecoderModel::logits(const LazyTensor& hidden) const { return capped(output_.forward(scaled(hidden))); }

LazyTensor DecoderModel::loss_logits(const LazyTensor& hidden) const { return capped(output_.float_forward(scaled(hidden))); }

}  // namespace lazuli
