// Implements the encoder of BERT and its relatives.
#include "models/encoder.h"

#include <fmt/format.h>

#include <cmath>
#include <utility>

#include "models/encoder_inputs.h"
#include "models/layer_reader.h"
#include "models/recompute.h"
#include "models/token_positions.h"

namespace lazuli {

namespace {

const std::string kPooler = "pooler.dense";

/// Rows of a position table that are not for tokens.
int64_t first_position(const ModelConfig& config, const EncoderSpec& spec) {
  const int64_t first = spec.padding ? *spec.padding + 1 : 0;
  if (spec.tables.positions != nullptr && config.max_position_embeddings <= first) {
    fail_key(config.json->root(), "max_position_embeddings", fmt::format("more than {} expected", first));
  }
  return first;
}

}  // namespace

LazyTensor EncoderLayer::attend(const LazyTensor& x, const Mixing& mixing, const LowRankOf& low_rank) const {
  if (!fused) return apply(o, mixing(*this, apply(q, x, low_rank), apply(k, x, low_rank), apply(v, x, low_rank)), low_rank);
  const LazyTensor all = apply(q, x, low_rank);
  const int64_t width = all.dim(-1) / 3;
  return apply(o, mixing(*this, slice(all, -1, 0, width), slice(all, -1, width, 2 * width), slice(all, -1, 2 * width, 3 * width)),
               low_rank);
}

LazyTensor EncoderLayer::forward(const LazyTensor& x, const Mixing& mixing, const LowRankOf& low_rank) const {
  if (norms_first) {
    const LazyTensor y = add(attend(attention_norm.forward(x), mixing, low_rank), x);
    return add(feed_forward->forward(output_norm.forward(y), low_rank), y);
  }
  const LazyTensor y = attention_norm.forward(add(attend(x, mixing, low_rank), x));
  return output_norm.forward(add(feed_forward->forward(y, low_rank), y));
}

/// Makes the parts that a spec describes.
struct EncoderModel::Builder {
  const ModelConfig& config;
  const EncoderSpec& spec;
  LayerReader reader;

  /// Empty for a place without a norm.
  Norm norm(const char* name, const std::string& path, int64_t size, const char* meaning) {
    if (name == nullptr) return {};
    const std::string stored = reader.stored + path + name;
    // Files converted from TensorFlow keep its names.
    const bool old = reader.weights.contains(stored + ".gamma");
    Tensor weight = reader.weights.take(stored + (old ? ".gamma" : ".weight"), {size}, meaning);
    Tensor bias = spec.norm_bias ? reader.weights.take(stored + (old ? ".beta" : ".bias"), {size}, meaning)
                                 : Tensor::zeros(weight.dtype(), {size}).to(weight.device());
    return LayerNorm(std::move(weight), std::move(bias), spec.norm_eps);
  }
  LazyTensor type_rows(const JsonValue& root) {
    const int64_t types = int_key(root, "type_vocab_size", 1, config.vocab_size, 2);
    const Tensor table = reader.weights.take(fmt::format("{}{}.weight", reader.stored, spec.tables.types), {types, spec.embedding_size},
                                             "type_vocab_size, hidden_size");
    return LazyTensor::from_tensor(table);
  }
  void read_attention(const std::string& path, EncoderLayer& layer) {
    const EncoderLayerNames& n = spec.names;
    const int64_t hidden = config.hidden_size, width = config.num_attention_heads * config.head_dim;
    const std::string meaning = "num_attention_heads * head_dim, hidden_size";
    layer.fused = n.fused != nullptr;
    if (layer.fused) {
      layer.q = reader.linear(path + n.fused, 3 * width, hidden, spec.attention_bias, "3 * " + meaning);
    } else {
      layer.q = reader.linear(path + n.query, width, hidden, spec.attention_bias, meaning);
      layer.k = reader.linear(path + n.key, width, hidden, spec.attention_bias, meaning);
      layer.v = reader.linear(path + n.value, width, hidden, spec.attention_bias, meaning);
    }
    layer.o = reader.linear(path + n.output, hidden, width, spec.attention_bias, "hidden_size, num_attention_heads * head_dim");
  }
  std::shared_ptr<const FeedForward> feed_forward(const std::string& path) {
    const EncoderLayerNames& n = spec.names;
    const int64_t hidden = config.hidden_size, inner = config.intermediate_size;
    const std::string meaning = "intermediate_size, hidden_size";
    if (n.gate == nullptr && !spec.fused_gate) {
      const auto plain = std::make_shared<PlainMLP>();
      plain->up = reader.linear(path + n.inner, inner, hidden, spec.mlp_bias, meaning);
      plain->down = reader.linear(path + n.outer, hidden, inner, spec.mlp_bias, "hidden_size, intermediate_size");
      plain->activation = spec.activation;
      return plain;
    }
    const auto gated = std::make_shared<GatedMLP>();
    gated->fused = spec.fused_gate;
    if (spec.fused_gate) {
      gated->gate = reader.linear(path + n.inner, 2 * inner, hidden, spec.mlp_bias, "2 * " + meaning);
    } else {
      gated->gate = reader.linear(path + n.gate, inner, hidden, spec.mlp_bias, meaning);
      gated->up = reader.linear(path + n.inner, inner, hidden, spec.mlp_bias, meaning);
    }
    gated->down = reader.linear(path + n.outer, hidden, inner, spec.mlp_bias, "hidden_size, intermediate_size");
    gated->activation = spec.activation;
    return gated;
  }
  EncoderLayer layer(size_t number) {
    const std::string path = fmt::format("{}{}.", spec.layers_path, number);
    const EncoderLayerSpec& own = spec.layers[number];
    EncoderLayer l;
    read_attention(path, l);
    if (own.attention_norm) l.attention_norm = norm(spec.names.attention_norm, path, config.hidden_size, "hidden_size");
    l.feed_forward = feed_forward(path);
    l.output_norm = norm(spec.names.output_norm, path, config.hidden_size, "hidden_size");
    l.norms_first = spec.norms_first;
    l.window = own.window;
    l.rope = own.rope;
    return l;
  }
  void add_pooler() {
    const std::string weight = fmt::format("{}{}.weight", reader.stored, kPooler);
    reader.linears.push_back(
        {kPooler, config.hidden_size, config.hidden_size, false, reader.weights.contains(weight) ? weight : std::string()});
  }
  /// A tensor inside the encoder that nobody took is an error; heads for other tasks are told of.
  void finish() const {
    const std::string layers(spec.layers_path);
    SpareTensors spare;
    spare.parts = {reader.stored + "embeddings.", reader.stored + layers.substr(0, layers.find('.') + 1)};
    spare.parts.insert(spare.parts.end(), spec.inside.begin(), spec.inside.end());
    for (const char* name : {spec.tables.projection, spec.last_norm}) {
      if (name != nullptr) spare.parts.push_back(fmt::format("{}{}.", reader.stored, name));
    }
    // Tables of numbers from 0 on that old files kept, and what vectors of sentences are made without.
    spare.silent = {"embeddings.position_ids", "embeddings.token_type_ids", kPooler + ".weight", kPooler + ".bias", "rotary_emb.inv_freq"};
    spare.layers = reader.stored + layers;
    spare.layer_count = config.num_hidden_layers;
    reader.weights.finish(spare);
  }
};

EncoderModel::EncoderModel(const ModelConfig& config, const EncoderSpec& spec, const std::string& folder, WeightReader& weights)
    : padding_(spec.padding), mask_(spec.mask) {
  const int64_t hidden = config.hidden_size, width = spec.embedding_size, first = first_position(config, spec);
  const std::string sizes = width == hidden ? "hidden_size" : "embedding_size";
  Builder builder{config, spec, {weights, std::string(prefix_of(weights, spec)), "", linears_}};
  const std::string& prefix = builder.reader.stored;
  words_ = weights.embedding(fmt::format("{}{}.weight", prefix, spec.tables.words), {config.vocab_size, width}, "vocab_size, " + sizes);
  if (spec.tables.positions != nullptr) {
    has_positions_ = true;
    positions_ = Embedding(weights.take(fmt::format("{}{}.weight", prefix, spec.tables.positions), {config.max_position_embeddings, width},
                                        "max_position_embeddings, " + sizes));
  }
  if (spec.tables.types != nullptr) {
    types_ = builder.type_rows(config.json->root());
    type_ = LazyTensor::from_tensor(slice(types_, 0, 0, 1).eval().contiguous());
  }
  norm_ = builder.norm(spec.tables.norm, "", width, sizes.c_str());
  if (spec.tables.projection != nullptr) {
    projection_ = builder.reader.linear(spec.tables.projection, hidden, width, true, "hidden_size, embedding_size");
  }
  for (const RopeSpec& rope : spec.ropes) ropes_.push_back(std::make_unique<RopeTables>(rope));
  for (size_t n = 0; n < spec.layers.size(); ++n) layers_.push_back(builder.layer(n));
  last_norm_ = builder.norm(spec.last_norm, "", hidden, "hidden_size");
  if (spec.pooler) builder.add_pooler();
  builder.finish();
  info_.architecture = config.model_type;
  info_.path = folder;
  info_.dtype = weights.dtype();
  info_.quantization = weights.quantization();
  info_.vocab_size = config.vocab_size;
  info_.context = config.max_position_embeddings - first;
  info_.hidden_size = hidden;
  info_.layers = config.num_hidden_layers;
  info_.kv_heads = config.num_attention_heads;
  info_.head_size = config.head_dim;
  info_.parameters = weights.count();
}

LazyTensor EncoderModel::embed(const LazyTensor& ids, const LazyTensor& positions, const LazyTensor& types,
                               const AdapterContext* adapter) const {
  LazyTensor x = words_.forward(ids);
  if (type_.defined()) x = add(x, types.defined() ? embedding(types_, types) : type_);
  x = norm_.forward(has_positions_ ? add(x, positions_.forward(positions)) : x);
  return projection_ ? apply(*projection_, x, low_rank_of(adapter)) : x;
}

LazyTensor EncoderModel::run_layers(LazyTensor x, const EncoderLayer::Mixing& mixing, const AdapterContext* adapter) const {
  const auto kept = kept_for_layers(adapter);
  const size_t again = kept ? static_cast<size_t>(kept->recomputed_layers()) : 0;
  const LowRankOf low_rank = low_rank_of(kept ? kept.get() : adapter);
  for (size_t k = 0; k < layers_.size(); ++k) {
    x = run_layer(x, k < again,
                  [&layer = layers_[k], mixing, low_rank, kept](const LazyTensor& in) { return layer.forward(in, mixing, low_rank); });
  }
  return last_norm_.forward(x);
}

std::vector<RopeTables::Pair> EncoderModel::tables(int64_t positions) const {
  std::vector<RopeTables::Pair> all;
  for (const auto& rope : ropes_) all.push_back(rope->rows(positions).keys);
  return all;
}

double EncoderModel::attention_scale() const { return 1.0 / std::sqrt(static_cast<double>(info_.head_size)); }

LazyTensor EncoderModel::hidden(const EncoderInputs& inputs) const {
  check_inputs(inputs, info_);
  const int64_t batch = inputs.ids.dim(0), tokens = inputs.ids.dim(1);
  AttentionOptions options;
  options.mask = mask_ ? mask_(inputs.mask) : over_heads(inputs.mask);
  // Layers that are computed again call this after this function has returned.
  const auto mixing = [this, batch, tokens, options, ropes = tables(tokens)](const EncoderLayer& layer, const LazyTensor& q,
                                                                             const LazyTensor& k, const LazyTensor& v) {
    const auto split = [&](const LazyTensor& y) { return transpose(reshape(y, {batch, tokens, info_.kv_heads, info_.head_size}), 1, 2); };
    const auto turned = [&](const LazyTensor& y) {
      if (layer.rope == EncoderLayerSpec::kNoRope) return split(y);
      const RopeTables::Pair& table = ropes[static_cast<size_t>(layer.rope)];
      return rope(split(y), table.cos, table.sin, LazyTensor::scalar_int(0));
    };
    AttentionOptions own = options;
    if (layer.window > 0) own.window_left = own.window_right = layer.window;
    const LazyTensor mixed = scaled_dot_product_attention(turned(q), turned(k), split(v), attention_scale(), own);
    return reshape(transpose(mixed, 1, 2), {batch, tokens, info_.kv_heads * info_.head_size});
  };
  const LazyTensor positions = padding_ ? positions_after_padding(inputs.ids, *padding_) : reshape(arange(0, tokens), {1, tokens});
  return run_layers(embed(inputs.ids, positions, inputs.types, inputs.adapter), mixing, inputs.adapter);
}

LazyTensor EncoderModel::hidden_packed(const PackedInputs& inputs) const {
  if (!packs()) return Encoder::hidden_packed(inputs);
  check_packed(inputs, info_);
  const int64_t tokens = inputs.ids.dim(0), heads = info_.kv_heads, size = info_.head_size;
  const auto mixing = [this, tokens, heads, size, starts = inputs.starts, positions = inputs.positions,
                       ropes = tables(std::min(tokens, info_.context))](const EncoderLayer& layer, const LazyTensor& q, const LazyTensor& k,
                                                                        const LazyTensor& v) {
    const auto split = [&](const LazyTensor& y) { return reshape(y, {tokens, heads, size}); };
    const auto turned = [&](const LazyTensor& y) {
      if (layer.rope == EncoderLayerSpec::kNoRope) return split(y);
      const RopeTables::Pair& table = ropes[static_cast<size_t>(layer.rope)];
      // Each token is a row of its own, which starts at its own position.
      return reshape(rope(reshape(y, {tokens, heads, 1, size}), table.cos, table.sin, positions), {tokens, heads, size});
    };
    const int64_t window = layer.window > 0 ? layer.window : -1;
    const LazyTensor mixed =
        scaled_dot_product_attention_packed(turned(q), turned(k), split(v), attention_scale(), starts, false, window, window);
    return reshape(mixed, {tokens, heads * size});
  };
  const LazyTensor positions =
      padding_ ? packed_positions_after_padding(inputs.ids, inputs.positions, inputs.starts, *padding_) : inputs.positions;
  return run_layers(embed(inputs.ids, positions, {}, inputs.adapter), mixing, inputs.adapter);
}

}  // namespace lazuli
