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

LazyTensor Router::in_best_groups(const LazyTensor& probabilities) const {
  if (chosen_groups >= groups) return probabilities;
  const int64_t tokens = probabilities.dim(0), experts = probabilities.dim(1);
  const LazyTensor by_group = reshape(probabilities, {tokens, groups, experts / groups});
  const LazyTensor best = topk(max(by_group, {2}), chosen_groups).indices;
  const LazyTensor allowed = sum(one_hot(best, groups, probabilities.dtype()), {1});
  return reshape(mul(by_group, unsqueeze(allowed, 2)), {tokens, experts});
}

Router::Choice Router::choose(const LazyTensor& rows) const {
  const LazyTensor wide = rows.dtype() == DType::f64 ? rows : cast(rows, DType::f32);
  LazyTensor logits = matmul(wide, weight, false, true);
  if (bias.defined()) logits = add(logits, bias);
  Choice choice;
  if (routing == Routing::chosen) {
    const ValuesAndIndices best = topk(logits, chosen);
    choice = {best.indices, softmax(best.values)};
  } else {
    const ValuesAndIndices best = topk(in_best_groups(softmax(logits)), chosen);
    choice = {best.indices, best.values};
  }
  if (routing == Routing::normalised) choice.weights = div(choice.weights, sum(choice.weights, {1}, true));
  if (expert_scale.defined()) choice.weights = mul(choice.weights, gather(expert_scale, choice.experts));
  if (scale != 1) choice.weights = mul_scalar(choice.weights, scale);
  return choice;
}

LazyTensor Experts::mix(const LazyTensor& rows, const Router::Choice& choice) const {
  const int64_t tokens = rows.dim(0), hidden = rows.dim(1), inner = down.dim(2);
  const LazyTensor both = product(reshape(rows, {tokens, 1, hidden}), gate_up, gate_up_bias, choice.experts);
  const LazyTensor mixed = combine(slice(both, 2, 0, inner), slice(both, 2, inner, 2 * inner));
  const LazyTensor made = product(mixed, down, down_bias, choice.experts);
  const LazyTensor weighted = mul(cast(made, choice.weights.dtype()), unsqueeze(choice.weights, 2));
  return cast(sum(weighted, {1}), rows.dtype());
}

LazyTensor Experts::forward(const LazyTensor& x, const LowRankOf& low_rank) const {
  const LazyTensor rows = reshape(x, {x.dim(0) * x.dim(1), x.dim(2)});
  const LazyTensor mixed = reshape(mix(rows, router.choose(rows)), x.shape());
  if (!shared) return mixed;
  const LazyTensor part = shared->forward(x, low_rank);
  return add(mixed, shared_gate ? mul(part, sigmoid(apply(*shared_gate, x, low_rank))) : part);
}

LazyTensor GatedAndExperts::forward(const LazyTensor& x, const LowRankOf& low_rank) const {
  const LazyTensor rows = reshape(x, {x.dim(0) * x.dim(1), x.dim(2)});
  const LazyTensor mixed = experts->mix(before_experts.forward(rows), experts->router.choose(before_router.forward(rows)));
  const LazyTensor plain = after_gated.forward(gated->forward(before_gated.forward(x), low_rank));
  return add(plain, reshape(after_experts.forward(mixed), x.shape()));
}

}  // namespace lazuli
