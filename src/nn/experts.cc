// Implements the layer of experts.
#include "nn/experts.h"

namespace lazuli {

namespace {

/// x w^T + bias, each row with the matrix and the bias that it chose.
LazyTensor product(const LazyTensor& x, const LazyTensor& w, const LazyTensor& bias, const LazyTensor& experts) {
  const LazyTensor y = gather_matmul(x, w, experts, true);
  return bias.defined() ? add(y, gather(bias, experts)) : y;
}

}  // namespace

Experts::Choice Experts::choose(const LazyTensor& rows) const {
  LazyTensor logits = matmul(rows, router, false, true);
  if (router_bias.defined()) logits = add(logits, router_bias);
  const LazyTensor wide = logits.dtype() == DType::f64 ? logits : cast(logits, DType::f32);
  if (routing == Routing::chosen) {
    const ValuesAndIndices best = topk(wide, chosen);
    return {best.indices, softmax(best.values)};
  }
  const ValuesAndIndices best = topk(softmax(wide), chosen);
  if (routing == Routing::all) return {best.indices, best.values};
  return {best.indices, div(best.values, sum(best.values, {1}, true))};
}

LazyTensor Experts::forward(const LazyTensor& x, const LowRankOf& /*low_rank*/) const {
  const int64_t hidden = x.dim(-1), tokens = x.dim(0) * x.dim(1), inner = down.dim(2);
  const LazyTensor rows = reshape(x, {tokens, hidden});
  const Choice choice = choose(rows);
  const LazyTensor both = product(reshape(rows, {tokens, 1, hidden}), gate_up, gate_up_bias, choice.experts);
  const LazyTensor mixed = combine(slice(both, 2, 0, inner), slice(both, 2, inner, 2 * inner));
  const LazyTensor made = product(mixed, down, down_bias, choice.experts);
  const LazyTensor weighted = mul(cast(made, choice.weights.dtype()), unsqueeze(choice.weights, 2));
  return reshape(cast(sum(weighted, {1}), x.dtype()), x.shape());
}

}  // namespace lazuli
