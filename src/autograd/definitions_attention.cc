// Implements the definitions of attention and rotary embedding in primitive ops.
#include <limits>

#include "autograd/definitions.h"

namespace lazuli::autograd {

Outputs define_rope(const DefinitionRequest& r) {
  const LazyTensor x = cast(r.in(0), compute_dtype(r.in(0)));
  const int64_t tokens = x.dim(-2), size = x.dim(-1), half = r.in(1).dim(1);
  const LazyTensor c = cast(slice_at(r.in(1), r.in(3), tokens, 0), x.dtype());
  const LazyTensor forward = cast(slice_at(r.in(2), r.in(3), tokens, 0), x.dtype());
  const LazyTensor s = r.attrs.i[0] != 0 ? neg(forward) : forward;
  const LazyTensor a = slice(x, -1, 0, half), b = slice(x, -1, half, 2 * half);
  std::vector<LazyTensor> parts{a * c - b * s, b * c + a * s};
  if (2 * half < size) parts.push_back(slice(x, -1, 2 * half, size));
  return {cast(concat(parts, -1), r.in(0).dtype())};
}

namespace {

/// Scores of attention and what their derivative needs. Heads of q are split as (kv_heads, group), so that k and v broadcast over the
/// group.
struct Attention {
  Shape heads;  ///< batch, kv_heads, group
  LazyTensor q, k, v, scale;
  LazyTensor scores;  ///< (batch, kv_heads, group, nq, nk), -inf where a query does not see a key

  Attention(const DefinitionRequest& r, size_t scale_at) {
    const DType t = compute_dtype(r.in(0));
    const Shape &qs = r.in(0).shape(), &ks = r.in(1).shape();
    heads = {qs[0], ks[1], qs[1] / ks[1]};
    q = split_heads(cast(r.in(0), t), qs[2], qs[3]);
    k = reshape(cast(r.in(1), t), {ks[0], ks[1], 1, ks[2], ks[3]});
    v = reshape(cast(r.in(2), t), {ks[0], ks[1], 1, ks[2], r.in(2).dim(3)});
    scale = cast(r.in(scale_at), t);
    LazyTensor s = mul(matmul(q, k, false, true), scale);
    LazyTensor seen = visible(r, r.in(scale_at + 1), qs[2], ks[2]);
    if (r.inputs.size() > scale_at + 2) {
      const LazyTensor mask = split_heads(expand(r.in(scale_at + 2), {qs[0], qs[1], qs[2], ks[2]}), qs[2], ks[2]);
      if (mask.dtype() == DType::boolean) {
        seen = logical_and(seen, mask);
      } else {
        s = s + cast(mask, t);
      }
    }
    scores = where(seen, s, constant(s, -std::numeric_limits<double>::infinity()));
  }

  LazyTensor split_heads(const LazyTensor& x, int64_t rows, int64_t columns) const {
    return reshape(x, {heads[0], heads[1], heads[2], rows, columns});
  }
  /// exp(scores - lse); a row that sees no key has lse -inf and gives zeros.
  LazyTensor weights(const LazyTensor& lse) const { return exp(scores - where(is_finite(lse), lse, constant(lse, 0))); }

 private:
  static LazyTensor visible(const DefinitionRequest& r, const LazyTensor& length, int64_t queries, int64_t keys) {
    const LazyTensor key = arange(0, keys);
    if (r.attrs.i[0] == 0) return less(key, length);
    const LazyTensor query = reshape(arange(1 - queries, 1), {queries, 1});
    return less(key, add(query, length));
  }
};

}  // namespace

Outputs define_sdpa(const DefinitionRequest& r) {
  const Attention a(r, 3);
  const Shape &q = r.in(0).shape(), &v = r.in(2).shape();
  const int last[] = {-1};
  const LazyTensor lse = logsumexp(a.scores, last, true);
  const LazyTensor result = matmul(a.weights(lse), a.v);
  return {cast(reshape(result, {q[0], q[1], q[2], v[3]}), r.in(0).dtype()), reshape(lse, {q[0], q[1], q[2]})};
}

// With p the weights and ds = p (g v^T - sum(g result)): dq = scale ds k, dk = scale ds^T q, dv = p^T g.
Outputs define_sdpa_backward(const DefinitionRequest& r) {
  const Attention a(r, 6);
  const Shape &q = r.in(0).shape(), &k = r.in(1).shape(), &v = r.in(2).shape();
  const DType t = compute_dtype(r.in(0));
  const LazyTensor result = a.split_heads(cast(r.in(3), t), q[2], v[3]);
  const LazyTensor g = a.split_heads(cast(r.in(5), t), q[2], v[3]);
  const LazyTensor p = a.weights(a.split_heads(cast(r.in(4), t), q[2], 1));
  const LazyTensor ds = mul(p * (matmul(g, a.v, false, true) - sum(g * result, {-1}, true)), a.scale);
  const LazyTensor dq = reshape(matmul(ds, a.k), q);
  const LazyTensor dk = reshape(sum(matmul(ds, a.q, true), {2}), k);
  const LazyTensor dv = reshape(sum(matmul(p, g, true), {2}), v);
  return {cast(dq, r.in(0).dtype()), cast(dk, r.in(1).dtype()), cast(dv, r.in(2).dtype())};
}

}  // namespace lazuli::autograd
