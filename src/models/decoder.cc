// Implements the decoder of Llama and its relatives.
#include "models/decoder.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "lazuli/error.h"
#include "lazuli/notice.h"
#include "models/decoder_builder.h"
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

void DecoderModel::read_tables(const ModelConfig& config, const std::string& prefix, WeightReader& weights) {
  const Shape shape{config.vocab_size, config.hidden_size};
  const std::string table = prefix + "embed_tokens.weight";
  const bool has_head = weights.contains(kHead);
  if (config.states_only) {
    embedding_ =
        weights.embedding(has_head && config.tie_word_embeddings && !weights.contains(table) ? kHead : table, shape, kTableMeaning);
    if (has_head) weights.leave(kHead);
    return;
  }
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
    : bidirectional_(spec.bidirectional),
      embedding_multiplier_(spec.embedding_multiplier),
      logit_multiplier_(spec.logit_multiplier),
      logit_softcap_(spec.logit_softcap) {
  const std::string prefix = prefix_of_names(weights);
  LayerReader reader{weights, prefix, kModel, linears_};
  Builder builder{config, spec, reader};
  for (const RopeSpec& rope : spec.ropes) ropes_.push_back(std::make_unique<RopeTables>(rope));
  read_tables(config, prefix, weights);
  if (spec.per_layer_size > 0) per_layer_.emplace(config, spec.per_layer_vocabulary, spec.per_layer_size, reader);
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
  info_.media_tokens = config.media_tokens;
}

void DecoderModel::check_state(const DecodingState& state) const {
  if (state.layers.size() != layers_.size()) {
    throw ShapeError(fmt::format("[{}] a state of {} layers is expected, got {}", info_.architecture, layers_.size(), state.layers.size()));
  }
  for (size_t k = 0; k < layers_.size(); ++k) {
    const size_t count = state.layers[k].tensors.size();
    if (count == (layers_[k].keys_of ? 0 : 2)) continue;
    throw ShapeError(fmt::format("[{}] two tensors of each layer with a state are expected, got {}", info_.architecture, count));
  }
}

std::vector<LayerState> DecoderModel::states() const {
  std::vector<LayerState> out;
  for (const Layer& layer : layers_) {
    if (const auto* net = layer.delta_net.get()) {
      out.push_back({.kind = StateKind::recurrent,
                     .tensors = {{info_.dtype, {net->taps.dim(0) - 1, net->channels()}},
                                 {DType::f32, {net->value_heads, net->key_size, net->value_size}}}});
      continue;
    }
    const Attention& a = layer.attention;
    const StateKind kind = layer.keys_of ? StateKind::shared : StateKind::attention;
    out.push_back({kind, a.kv_heads, a.head_size, a.value_size, a.window});
  }
  return out;
}

LazyTensor DecoderModel::hidden(ForwardContext& context) const {
  if (context.ids.rank() != 2) {
    throw ShapeError(fmt::format("[{}] ids (batch, tokens) are expected, got {}", info_.architecture, to_string(context.ids.shape())));
  }
  const int64_t tokens = context.ids.dim(1);
  LayerInputs inputs;
  inputs.mask = context.mask;
  inputs.offset = context.offset.defined() ? context.offset : LazyTensor::scalar_int(0);
  if (context.state != nullptr) check_state(*context.state);
  const int64_t positions = context.state == nullptr ? tokens : context.state->positions;
  std::vector<RopeTables::Rows> tables;
  for (const auto& rope : ropes_) tables.push_back(rope->rows(positions));
  const auto kept = kept_for_layers(context.state == nullptr ? context.adapter : nullptr);
  const AdapterContext* adapter = kept ? kept.get() : context.adapter;
  const int64_t again = kept ? kept->recomputed_layers() : 0;
  LazyTensor x = embedding_.forward(context.ids);
  if (embedding_multiplier_ != 1) x = mul_scalar(x, embedding_multiplier_);
  const LowRankOf low_rank = low_rank_of(adapter);
  const LazyTensor per_layer = per_layer_ ? per_layer_->forward(context.ids, x, low_rank) : LazyTensor();
  std::vector<Place> places;
  std::vector<std::vector<LazyTensor>> handed(layers_.size());  // keys and values for later layers, without a cache
  for (size_t k = 0; k < layers_.size(); ++k) {
    const Layer& layer = layers_[k];
    std::vector<LazyTensor> args{x};
    if (per_layer_) args.push_back(per_layer_->of_layer(per_layer, k));
    if (context.state != nullptr) {
      use_cache(k, *context.state, tokens, places, inputs);
    } else if (layer.keys_of) {
      args.insert(args.end(), handed[*layer.keys_of].begin(), handed[*layer.keys_of].end());
    }
    inputs.rope = layer.rope == LayerSpec::kNoRope ? RopeTables::Rows{} : tables[static_cast<size_t>(layer.rope)];
    std::vector<LazyTensor> made =
        run_layer(args, static_cast<int64_t>(k) < again,
                  [&layer, inputs, adapter, kept](std::span<const LazyTensor> in) { return layer.run(in, inputs, adapter); });
    x = std::move(made[0]);
    handed[k].assign(made.begin() + 1, made.end());
  }
  return norm_.forward(x);
}

void DecoderModel::use_cache(size_t layer, DecodingState& state, int64_t tokens, std::vector<Place>& places, LayerInputs& inputs) const {
  DecodingState::Layer& kept = state.layers[layers_[layer].keys_of.value_or(layer)];
  if (layers_[layer].delta_net) {
    inputs.linear = {kept.tensors.data(), kept.tensors.data() + 1, state.count};
    return;
  }
  inputs.keys = kept.tensors.data();
  inputs.values = inputs.keys + 1;
  auto place = std::find_if(places.begin(), places.end(), [&](const Place& p) { return p.start.node() == kept.start.node(); });
  if (place == places.end()) {
    const LazyTensor first = kept.start.defined() ? sub(inputs.offset, kept.start) : inputs.offset;
    place = places.insert(places.end(), {kept.start, first, add(first, LazyTensor::scalar_int(tokens))});
  }
  inputs.place = place->first;
  inputs.length = place->length;
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
