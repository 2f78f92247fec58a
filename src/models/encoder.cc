// Implements the encoder of BERT and its relatives.
#include "models/encoder.h"

#include <fmt/format.h>

#include <cmath>

#include "lazuli/error.h"
#include "models/layer_reader.h"
#include "models/recompute.h"

namespace lazuli {

LazyTensor Encoder::hidden_packed(const PackedInputs&) const {
  throw ValueError(fmt::format("[{}] padded texts are expected: this architecture does not take packed ones", info_.architecture));
}

namespace {

void check_inputs(const EncoderInputs& inputs, const ModelInfo& info) {
  const Shape& shape = inputs.ids.shape();
  if (shape.rank() != 2 || inputs.mask.shape() != shape) {
    throw ShapeError(fmt::format("[{}] ids and mask (batch, tokens) are expected, got {} and {}", info.architecture, to_string(shape),
                                 to_string(inputs.mask.shape())));
  }
  if (inputs.mask.dtype() != DType::boolean) {
    throw DTypeError(fmt::format("[{}] a bool mask is expected, got {}", info.architecture, name_of(inputs.mask.dtype())));
  }
  if (shape[1] > info.context) {
    throw ShapeError(fmt::format("[{}] at most {} tokens are expected, got {}", info.architecture, info.context, shape[1]));
  }
}

void check_packed(const PackedInputs& inputs, const ModelInfo& info) {
  const Shape& shape = inputs.ids.shape();
  if (shape.rank() == 1 && inputs.positions.shape() == shape && inputs.starts.rank() == 1) return;
  throw ShapeError(fmt::format("[{}] ids and positions (tokens) and starts (texts + 1) are expected, got {}, {} and {}", info.architecture,
                               to_string(shape), to_string(inputs.positions.shape()), to_string(inputs.starts.shape())));
}

const std::string kPooler = "pooler.dense";

}  // namespace

LazyTensor EncoderLayer::forward(const LazyTensor& x, const Mixing& mixing, const LowRankOf& low_rank) const {
  const LazyTensor mixed = mixing(apply(q, x, low_rank), apply(k, x, low_rank), apply(v, x, low_rank));
  const LazyTensor y = attention_norm.forward(add(apply(o, mixed, low_rank), x));
  return output_norm.forward(add(apply(outer, activation(apply(inner, y, low_rank), {}), low_rank), y));
}

EncoderModel::EncoderModel(const ModelConfig& config, const std::string& folder, WeightReader& weights, const EncoderLayerNames& names,
                           std::string_view prefix, int64_t first_position) {
  const int64_t hidden = config.hidden_size, inner = config.intermediate_size;
  if (config.max_position_embeddings <= first_position) {
    fail_key(config.json->root(), "max_position_embeddings", fmt::format("more than {} expected", first_position));
  }
  const double eps = real_key(config.json->root(), "layer_norm_eps", 0, 1, 1e-12);
  const std::string start = fmt::format("{}embeddings.", prefix);
  words_ = weights.embedding(start + "word_embeddings.weight", {config.vocab_size, hidden}, "vocab_size, hidden_size");
  positions_ = Embedding(
      weights.take(start + "position_embeddings.weight", {config.max_position_embeddings, hidden}, "max_position_embeddings, hidden_size"));
  norm_ = read_norm(weights, start + "LayerNorm", hidden, eps);
  LayerReader reader{weights, std::string(prefix), "", linears_};
  for (int64_t n = 0; n < config.num_hidden_layers; ++n) {
    const std::string path = fmt::format("encoder.layer.{}.", n);
    EncoderLayer layer;
    layer.q = reader.linear(path + names.query, hidden, hidden, true, "hidden_size, hidden_size");
    layer.k = reader.linear(path + names.key, hidden, hidden, true, "hidden_size, hidden_size");
    layer.v = reader.linear(path + names.value, hidden, hidden, true, "hidden_size, hidden_size");
    layer.o = reader.linear(path + names.output, hidden, hidden, true, "hidden_size, hidden_size");
    layer.attention_norm = read_norm(weights, fmt::format("{}{}{}", prefix, path, names.attention_norm), hidden, eps);
    layer.inner = reader.linear(path + "intermediate.dense", inner, hidden, true, "intermediate_size, hidden_size");
    layer.outer = reader.linear(path + "output.dense", hidden, inner, true, "hidden_size, intermediate_size");
    layer.output_norm = read_norm(weights, fmt::format("{}{}output.LayerNorm", prefix, path), hidden, eps);
    layer.activation = activation_of(config);
    layers_.push_back(std::move(layer));
  }
  // PEFT adapts it too, since transformers always builds it.
  const std::string pooler = fmt::format("{}{}.weight", prefix, kPooler);
  linears_.push_back({kPooler, hidden, hidden, false, weights.contains(pooler) ? pooler : std::string()});
  info_.architecture = config.model_type;
  info_.path = folder;
  info_.dtype = weights.dtype();
  info_.quantization = weights.quantization();
  info_.vocab_size = config.vocab_size;
  info_.context = config.max_position_embeddings - first_position;
  info_.hidden_size = hidden;
  info_.layers = config.num_hidden_layers;
  info_.kv_heads = config.num_attention_heads;
  info_.head_size = config.head_dim;
}

LayerNorm EncoderModel::read_norm(WeightReader& weights, const std::string& path, int64_t size, double eps) {
  // Files converted from TensorFlow keep its names.
  const bool old = weights.contains(path + ".gamma");
  Tensor weight = weights.take(path + (old ? ".gamma" : ".weight"), {size}, "hidden_size");
  return {std::move(weight), weights.take(path + (old ? ".beta" : ".bias"), {size}, "hidden_size"), eps};
}

void EncoderModel::finish(const WeightReader& weights, const ModelConfig& config, std::string_view prefix) {
  SpareTensors spare;
  spare.parts = {fmt::format("{}embeddings.", prefix), fmt::format("{}encoder.", prefix)};
  // Tables of numbers from 0 on that old files kept, and what vectors of sentences are made without.
  spare.silent = {"embeddings.position_ids", "embeddings.token_type_ids", kPooler + ".weight", kPooler + ".bias"};
  spare.layers = fmt::format("{}encoder.layer.", prefix);
  spare.layer_count = config.num_hidden_layers;
  weights.finish(spare);
}

LazyTensor EncoderModel::embed(const LazyTensor& ids, const LazyTensor& positions) const {
  LazyTensor x = words_.forward(ids);
  if (const LazyTensor more = offset(); more.defined()) x = add(x, more);
  return norm_.forward(add(x, positions_.forward(positions)));
}

LazyTensor EncoderModel::run_layers(LazyTensor x, const Mixing& mixing, const AdapterContext* adapter) const {
  const auto kept = kept_for_layers(adapter);
  const AdapterContext* used = kept ? kept.get() : adapter;
  const size_t again = kept ? static_cast<size_t>(kept->recomputed_layers()) : 0;
  const LowRankOf low_rank = [used](size_t layer) { return used == nullptr ? nullptr : used->low_rank(layer); };
  for (size_t k = 0; k < layers_.size(); ++k) {
    x = run_layer(x, k < again,
                  [&layer = layers_[k], mixing, low_rank, kept](const LazyTensor& in) { return layer.forward(in, mixing, low_rank); });
  }
  return x;
}

double EncoderModel::attention_scale() const { return 1.0 / std::sqrt(static_cast<double>(info_.head_size)); }

LazyTensor EncoderModel::hidden(const EncoderInputs& inputs) const {
  check_inputs(inputs, info_);
  const int64_t batch = inputs.ids.dim(0), tokens = inputs.ids.dim(1);
  // Layers that are computed again call these after this function has returned.
  const auto split = [this, batch, tokens](const LazyTensor& y) {
    return transpose(reshape(y, {batch, tokens, info_.kv_heads, info_.head_size}), 1, 2);
  };
  AttentionOptions options;
  options.mask = attention_mask(inputs.mask);
  const Mixing mixing = [this, batch, tokens, split, options](const LazyTensor& q, const LazyTensor& k, const LazyTensor& v) {
    const LazyTensor mixed = scaled_dot_product_attention(split(q), split(k), split(v), attention_scale(), options);
    return reshape(transpose(mixed, 1, 2), {batch, tokens, info_.hidden_size});
  };
  return run_layers(embed(inputs.ids, positions(inputs.ids)), mixing, inputs.adapter);
}

LazyTensor EncoderModel::hidden_packed(const PackedInputs& inputs) const {
  if (!packs()) return Encoder::hidden_packed(inputs);
  check_packed(inputs, info_);
  const int64_t tokens = inputs.ids.dim(0);
  const auto split = [this, tokens](const LazyTensor& y) { return reshape(y, {tokens, info_.kv_heads, info_.head_size}); };
  const Mixing mixing = [this, tokens, split, starts = inputs.starts](const LazyTensor& q, const LazyTensor& k, const LazyTensor& v) {
    const LazyTensor mixed = scaled_dot_product_attention_packed(split(q), split(k), split(v), attention_scale(), starts);
    return reshape(mixed, {tokens, info_.hidden_size});
  };
  return run_layers(embed(inputs.ids, inputs.positions), mixing, inputs.adapter);
}

std::string_view prefix_of(const WeightReader& weights, std::string_view prefix) {
  return weights.contains(fmt::format("{}embeddings.word_embeddings.weight", prefix)) ? prefix : std::string_view();
}

LazyTensor over_heads(const LazyTensor& mask) { return reshape(mask, {mask.dim(0), 1, 1, mask.dim(1)}); }

}  // namespace lazuli
