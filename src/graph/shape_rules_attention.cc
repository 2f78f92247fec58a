// Shape and dtype rules of attention and of the rotary embedding.
#include <fmt/format.h>

#include "base/checked.h"
#include "graph/attention_operands.h"
#include "graph/attrs.h"
#include "graph/operands.h"
#include "graph/shape_rules_check.h"
#include "lazuli/op.h"

namespace lazuli::shape_rules {

namespace {

void need_mask(const Request& r, size_t k, const Shape& scores) {
  const TensorSpec& mask = r.in(k);
  if (mask.dtype != DType::boolean && !is_float(mask.dtype)) {
    fail_dtype(r, fmt::format("mask: bool or a float dtype is expected, got {}", name_of(mask.dtype)));
  }
  if (!broadcasts_to(mask.shape, scores)) {
    fail_shape(r, fmt::format("mask {} does not broadcast to (batch, heads, nq, nk) = {}", to_string(mask.shape), to_string(scores)));
  }
}

void need_statistics_dtype(const Request& r, const Operand& k) { need_dtype(r, k, statistics_dtype(r)); }

/// An i32: one for all rows, or one for each of the `batch` rows of axis 0.
void need_i32_by_row(const Request& r, const Operand& k, int64_t batch) {
  need_by_row(r, k, batch);
  need_dtype(r, k, DType::i32);
}

struct AttentionShapes {
  Shape result, lse, scores;
};

/// Checks the block table, operand `at`, and what it makes of k and v. Returns the keys of a row.
int64_t paged_keys(const Request& r, size_t at) {
  const Shape &k = r.in(operand::sdpa::k).shape, &v = r.in(operand::sdpa::v).shape;
  if (k[0] != v[0]) fail_shape(r, fmt::format("k {} and v {}: numbers of blocks differ", to_string(k), to_string(v)));
  if (k[2] < 1 || k[2] % kPageUnit != 0) {
    fail_shape(r, fmt::format("k {}: pages of a positive multiple of {} keys are expected, got {}", to_string(k), kPageUnit, k[2]));
  }
  need_rank(r, {at, "blocks"}, 2);
  need_dtype(r, {at, "blocks"}, DType::i32);
  const Shape& blocks = r.in(at).shape;
  if (blocks[0] != r.in(0).shape[0]) {
    fail_shape(r, fmt::format("blocks: ({}, pages) is expected, got {}", r.in(0).shape[0], to_string(blocks)));
  }
  const auto keys = checked_mul(blocks[1], k[2]);
  if (!keys) fail_shape(r, fmt::format("blocks {}: there are too many keys", to_string(blocks)));
  return *keys;
}

/// Checks q, k, v, which are the first operands of all.
AttentionShapes attention_shapes(const Request& r) {
  need_float(r, 0);
  need_all_same_dtype(r, 3);
  need_ranks(r, 3, 4);
  const Shape &q = r.in(0).shape, &k = r.in(operand::sdpa::k).shape, &v = r.in(operand::sdpa::v).shape;
  const std::string shapes = fmt::format("q {}, k {} and v {}", to_string(q), to_string(k), to_string(v));
  const AttentionOperands o(r.op, r.attrs);
  const auto blocks = o.find(AttentionPart::blocks);
  if (!blocks && (q[0] != k[0] || q[0] != v[0])) fail_shape(r, shapes + ": batch sizes differ");
  if (k[1] != v[1] || k[2] != v[2]) fail_shape(r, shapes + ": heads or lengths of k and v differ");
  if (q[3] != k[3]) fail_shape(r, shapes + ": sizes of q and k differ");
  if (k[1] == 0 || q[1] % k[1] != 0) fail_shape(r, shapes + ": heads of q are not a multiple of heads of k");
  const int64_t keys = blocks ? paged_keys(r, *blocks) : k[2];
  return {{q[0], q[1], q[2], v[3]}, {q[0], q[1], q[2]}, {q[0], q[1], q[2], keys}};
}

/// Which optional operands there are.
void need_parts(const Request& r) {
  const int64_t with = r.attrs[attr::sdpa::with];
  if (with < 0 || with > 31) fail_value(r, fmt::format("optional operands {} are not known", with));
  const AttentionOperands o(r.op, r.attrs);
  if (r.op == Op::sdpa_backward && o.find(AttentionPart::blocks)) fail_value(r, "there is no gradient through keys in pages");
  if (r.inputs.size() != o.count) {
    fail_value(r, fmt::format("{} operands are expected by the attribute `with`, got {}", o.count, r.inputs.size()));
  }
}

void need_windows(const Request& r) {
  for (const AttrKey window : {attr::sdpa::window_left, attr::sdpa::window_right}) {
    if (r.attrs[window] < 0 || r.attrs[window] > AttentionOperands::kAll) {
      fail_value(r, fmt::format("a window of 0 to {} keys, or -1 for none, is expected, got {}", AttentionOperands::kAll - 1,
                                r.attrs[window] - 1));
    }
  }
}

/// Windows, scale, length and the optional operands of attention whose scores have this shape.
void need_attention(const Request& r, const Shape& scores) {
  const AttentionOperands o(r.op, r.attrs);
  need_windows(r);
  need_factor(r, o.scale);
  need_i32_by_row(r, o.length, scores[0]);
  if (const auto k = o.find(AttentionPart::mask)) need_mask(r, *k, scores);
  if (const auto k = o.find(AttentionPart::softcap)) need_factor(r, {*k, "softcap"});
  if (const auto k = o.find(AttentionPart::sinks)) {
    need_shape(r, {*k, "sinks"}, {scores[1]});
    need_statistics_dtype(r, {*k, "sinks"});
  }
  if (const auto k = o.find(AttentionPart::first_key)) {
    need_shape(r, {*k, "first_key"}, {scores[0], scores[2]});
    need_dtype(r, {*k, "first_key"}, DType::i32);
  }
}

/// Operands [0, count) rotated by the tables and the offset behind them, of rope and of rope_pair.
Specs rotated(const Request& r, size_t count) {
  const size_t cos = count, sin = count + 1, offset = count + 2;
  need_float(r, 0);
  need_all_same_dtype(r, count);
  need_rank(r, cos, 2);
  need_shape(r, sin, r.in(cos).shape);
  for (const size_t k : {cos, sin}) {
    const DType t = r.in(k).dtype;
    if (t != DType::f32 && t != r.in(0).dtype)
      fail_dtype(r, fmt::format("tables: f32 or {} is expected, got {}", name_of(r.in(0).dtype), name_of(t)));
  }
  Specs results;
  for (size_t k = 0; k < count; ++k) {
    need_min_rank(r, k, r.in(offset).shape.rank() == 0 ? 2 : 3);
    need_i32_by_row(r, offset, r.in(k).shape[0]);
    const Shape &x = r.in(k).shape, &table = r.in(cos).shape;
    const int64_t tokens = x[x.rank() - 2];
    if (table[0] < tokens || table[1] > x.back() / 2) {
      fail_shape(
          r, fmt::format("tables {} do not fit x {}: (positions >= tokens, at most size/2) is expected", to_string(table), to_string(x)));
    }
    results.push_back(r.in(k));
  }
  return results;
}

}  // namespace

Specs infer_rope(const Request& r) { return rotated(r, 1); }
Specs infer_rope_pair(const Request& r) { return rotated(r, 2); }

Specs infer_sdpa(const Request& r) {
  need_parts(r);
  const AttentionShapes s = attention_shapes(r);
  need_attention(r, s.scores);
  return {{r.in(0).dtype, s.result}, {statistics_dtype(r), s.lse}};
}

Specs infer_sdpa_backward(const Request& r) {
  namespace in = operand::sdpa_backward;
  need_parts(r);
  const AttentionShapes s = attention_shapes(r);
  need_same_dtype(r, in::result);
  need_shape(r, in::result, s.result);
  need_shape(r, in::lse, s.lse);
  need_statistics_dtype(r, in::lse);
  need_same_dtype(r, in::g);
  need_shape(r, in::g, s.result);
  need_attention(r, s.scores);
  return {r.in(0), r.in(in::k), r.in(in::v)};
}

Specs infer_sdpa_packed(const Request& r) {
  namespace in = operand::sdpa_packed;
  need_float(r, 0);
  need_all_same_dtype(r, 3);
  need_ranks(r, 3, 3);
  const Shape &q = r.in(0).shape, &k = r.in(in::k).shape, &v = r.in(in::v).shape;
  if (k[0] != q[0] || v[0] != q[0] || k[1] != v[1] || k[2] != q[2]) {
    fail_shape(r, fmt::format("q {}, k {} and v {} do not fit: (tokens, heads, size), (tokens, kv_heads, size) twice is expected",
                              to_string(q), to_string(k), to_string(v)));
  }
  if (k[1] < 1 || q[1] % k[1] != 0) fail_shape(r, fmt::format("{} heads do not divide into {} key heads", q[1], k[1]));
  need_windows(r);
  need_factor(r, in::scale);
  need_rank(r, in::starts, 1);
  need_dtype(r, in::starts, DType::i32);
  if (r.in(in::starts).shape[0] < 1) fail_shape(r, "starts: at least one number is expected");
  return {{r.in(0).dtype, with_last(q, v[2])}};
}

}  // namespace lazuli::shape_rules
