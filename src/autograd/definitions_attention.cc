// Implements the definitions of attention and rotary embedding in primitive ops.
#include <limits>

#include "autograd/definitions.h"
#include "graph/attention_operands.h"
#include "graph/attrs.h"
#include "graph/operands.h"
#include "lazuli/op.h"

namespace lazuli::autograd {

namespace {

/// Rows of a table that the tokens of x take, so that they broadcast to x.
LazyTensor rows_of_table(const LazyTensor& table, const LazyTensor& offset, const LazyTensor& x) {
  const int64_t tokens = x.dim(-2);
  if (offset.rank() == 0) return cast(slice_at(table, offset, tokens, 0), x.dtype());
  const LazyTensor positions = unsqueeze(offset, -1) + arange(0, tokens);
  Shape shape = x.shape();
  for (int i = 1; i < x.rank() - 2; ++i) shape[i] = 1;
  shape[x.rank() - 1] = table.dim(1);
  return reshape(cast(gather(table, positions, 0), x.dtype()), shape);
}

}  // namespace

Capped capped(const LazyTensor& x, const LazyTensor& cap) {
  const LazyTensor part = tanh(x / cap);
  return {cap * part, constant(part, 1) - square(part)};
}

Outputs define_rope(const DefinitionRequest& r) {
  namespace in = operand::rope;
  const LazyTensor x = cast(r.in(in::x), compute_dtype(r.in(in::x)));
  const int64_t size = x.dim(-1), half = r.in(in::cos).dim(1);
  const LazyTensor c = rows_of_table(r.in(in::cos), r.in(in::offset), x), forward = rows_of_table(r.in(in::sin), r.in(in::offset), x);
  const LazyTensor s = r.attrs[attr::rope::back] != 0 ? neg(forward) : forward;
  const LazyTensor a = slice(x, -1, 0, half), b = slice(x, -1, half, 2 * half);
  std::vector<LazyTensor> parts{a * c - b * s, b * c + a * s};
  if (2 * half < size) parts.push_back(slice(x, -1, 2 * half, size));
  return {cast(concat(parts, -1), r.in(in::x).dtype())};
}

namespace {

/// Scores of attention and what their derivative needs. Heads of q are split as (kv_heads, group), so that k and v broadcast over the
/// group.
struct Attention {
  Shape heads;  ///< batch, kv_heads, group
  LazyTensor q, k, v, scale;
  LazyTensor scores;  ///< (batch, kv_heads, group, nq, nk), -inf where a query does not see a key
  LazyTensor slope;   ///< of scores by the scaled products; not defined where it is 1
  LazyTensor sinks;   ///< (1, kv_heads, group, 1, 1), or not defined

  Attention(const DefinitionRequest& r, Op op) {
    const AttentionOperands told(op, r.attrs);
    namespace in = operand::sdpa;
    const DType t = compute_dtype(r.in(in::q));
    const Shape &qs = r.in(in::q).shape(), &ks = r.in(in::k).shape();
    heads = {qs[0], ks[1], qs[1] / ks[1]};
    q = split_heads(cast(r.in(in::q), t), qs[2], qs[3]);
    k = reshape(cast(r.in(in::k), t), {ks[0], ks[1], 1, ks[2], ks[3]});
    v = reshape(cast(r.in(in::v), t), {ks[0], ks[1], 1, ks[2], r.in(in::v).dim(3)});
    scale = cast(r.in(told.scale), t);
    LazyTensor s = mul(matmul(q, k, false, true), scale);
    if (const auto at = told.find(AttentionPart::softcap)) {
      const Capped c = capped(s, cast(r.in(*at), t));
      s = c.value;
      slope = c.slope;
    }
    LazyTensor seen = visible(r, told, qs, ks[2]);
    if (const auto at = told.find(AttentionPart::mask)) {
      const LazyTensor mask = split_heads(expand(r.in(*at), {qs[0], qs[1], qs[2], ks[2]}), qs[2], ks[2]);
      if (mask.dtype() == DType::boolean) {
        seen = logical_and(seen, mask);
      } else {
        s = s + cast(mask, t);
      }
    }
    scores = where(seen, s, constant(s, -std::numeric_limits<double>::infinity()));
    if (const auto at = told.find(AttentionPart::sinks)) sinks = reshape(cast(r.in(*at), t), {1, heads[1], heads[2], 1, 1});
  }

  LazyTensor split_heads(const LazyTensor& x, int64_t rows, int64_t columns) const {
    return reshape(x, {heads[0], heads[1], heads[2], rows, columns});
  }
  /// (batch, kv_heads, group, nq, 1).
  LazyTensor log_sum() const {
    const int last[] = {-1};
    if (!sinks.defined()) return logsumexp(scores, last, true);
    Shape column = scores.shape();
    column[4] = 1;
    return logsumexp(concat({scores, expand(sinks, column)}, -1), last, true);
  }
  /// exp(scores - lse); a row that sees no key has lse -inf and gives zeros.
  LazyTensor weights(const LazyTensor& lse) const { return exp(scores - where(is_finite(lse), lse, constant(lse, 0))); }

 private:
  /// (batch or 1, 1, 1, nq or 1, nk).
  static LazyTensor visible(const DefinitionRequest& r, const AttentionOperands& told, const Shape& q, int64_t keys) {
    const LazyTensor& given = r.in(told.length);
    const LazyTensor key = arange(0, keys);
    const LazyTensor length = given.rank() == 0 ? given : reshape(given, {q[0], 1, 1, 1, 1});
    const LazyTensor position = add(reshape(arange(-q[2], 0), {1, 1, 1, q[2], 1}), length);
    LazyTensor seen = less(key, length);
    if (told.left < AttentionOperands::kAll) seen = logical_and(seen, greater_equal(key, sub(position, LazyTensor::scalar_int(told.left))));
    if (told.right < AttentionOperands::kAll) seen = logical_and(seen, less_equal(key, add(position, LazyTensor::scalar_int(told.right))));
    if (const auto at = told.find(AttentionPart::first_key)) {
      seen = logical_and(seen, greater_equal(key, reshape(r.in(*at), {q[0], 1, 1, q[2], 1})));
    }
    return seen;
  }
};

}  // namespace

Outputs define_sdpa(const DefinitionRequest& r) {
  namespace in = operand::sdpa;
  const Attention a(r, Op::sdpa);
  const Shape &q = r.in(in::q).shape(), &v = r.in(in::v).shape();
  const LazyTensor lse = a.log_sum();
  const LazyTensor result = matmul(a.weights(lse), a.v);
  return {cast(reshape(result, {q[0], q[1], q[2], v[3]}), r.in(in::q).dtype()), reshape(lse, {q[0], q[1], q[2]})};
}

// With p the weights and ds = p (g v^T - sum(g result)): dq = scale ds k, dk = scale ds^T q, dv = p^T g.
Outputs define_sdpa_backward(const DefinitionRequest& r) {
  namespace in = operand::sdpa_backward;
  const Attention a(r, Op::sdpa_backward);
  const Shape &q = r.in(in::q).shape(), &k = r.in(in::k).shape(), &v = r.in(in::v).shape();
  const DType t = compute_dtype(r.in(in::q));
  const LazyTensor result = a.split_heads(cast(r.in(in::result), t), q[2], v[3]);
  const LazyTensor g = a.split_heads(cast(r.in(in::g), t), q[2], v[3]);
  const LazyTensor p = a.weights(a.split_heads(cast(r.in(in::lse), t), q[2], 1));
  LazyTensor ds = mul(p * (matmul(g, a.v, false, true) - sum(g * result, {-1}, true)), a.scale);
  if (a.slope.defined()) ds = ds * a.slope;
  const LazyTensor dq = reshape(matmul(ds, a.k), q);
  const LazyTensor dk = reshape(sum(matmul(ds, a.q, true), {2}), k);
  const LazyTensor dv = reshape(sum(matmul(p, g, true), {2}), v);
  return {cast(dq, r.in(in::q).dtype()), cast(dk, r.in(in::k).dtype()), cast(dv, r.in(in::v).dtype())};
}

}  // namespace lazuli::autograd
