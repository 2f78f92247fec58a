// Implements one layer of a decoder.
#include <array>
#include <utility>

#include "models/decoder.h"
#include "models/recompute.h"

namespace lazuli {

std::vector<LazyTensor> DecoderModel::Layer::run(std::span<const LazyTensor> args, LayerInputs inputs,
                                                 const AdapterContext* adapter) const {
  std::array<LazyTensor, 2> pair;
  const bool cached = inputs.length.defined();
  inputs.shared = keys_of.has_value();
  if (!cached && (inputs.shared || hands_on)) {
    if (inputs.shared) pair = {args[args.size() - 2], args[args.size() - 1]};
    inputs.keys = pair.data();
    inputs.values = inputs.keys + 1;
  }
  const LowRankOf low_rank = low_rank_of(adapter);
  LazyTensor x = forward(args[0], inputs, low_rank);
  if (per_layer) x = per_layer->forward(x, args[1], low_rank);
  if (scalar != 1) x = mul_scalar(x, scalar);
  if (cached || !hands_on) return {x};
  return {x, pair[0], pair[1]};
}

LazyTensor DecoderModel::Layer::add_part(const LazyTensor& x, const LazyTensor& part, const Norm& after) const {
  const LazyTensor normed = after.forward(part);
  return add(x, residual_multiplier == 1 ? normed : mul_scalar(normed, residual_multiplier));
}

LazyTensor DecoderModel::Layer::forward(const LazyTensor& x, const LayerInputs& inputs, const LowRankOf& low_rank) const {
  const LazyTensor normed = before_attention.forward(x);
  const LazyTensor mixed = delta_net ? delta_net->forward(normed, inputs.linear, low_rank) : attention.forward(normed, inputs, low_rank);
  const LazyTensor y = add_part(x, mixed, after_attention);
  return add_part(y, mlp->forward(before_mlp.forward(y), low_rank), after_mlp);
}

}  // namespace lazuli
