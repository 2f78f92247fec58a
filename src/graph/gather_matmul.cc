// Implements the products of rows with the matrices that they chose: the functions and their shape rules.
#include "graph/ops/gather_matmul.h"

#include <fmt/format.h>

#include "graph/ops/gather_outer.h"
#include "graph/ops_common.h"
#include "graph/shape_rules_check.h"
#include "lazuli/op.h"

namespace lazuli {

namespace {

DType float_of(const LazyTensor& a, const LazyTensor& b) {
  const DType t = promote(a.dtype(), b.dtype());
  return is_float(t) ? t : DType::f32;
}

}  // namespace

LazyTensor gather_matmul(const LazyTensor& x, const LazyTensor& w, const LazyTensor& chosen, bool transpose_w, Where where) {
  const DType t = float_of(x, w);
  Attrs attrs;
  attrs[attr::gather_matmul::transpose_w] = transpose_w ? 1 : 0;
  return record(Op::gather_matmul, {ops::to_dtype(x, t, where), ops::to_dtype(w, t, where), ops::to_dtype(chosen, DType::i32, where)},
                attrs, nullptr, where);
}

LazyTensor gather_outer(const LazyTensor& a, const LazyTensor& b, const LazyTensor& chosen, int64_t experts, Where where) {
  const DType t = float_of(a, b);
  Attrs attrs;
  attrs[attr::gather_outer::experts] = experts;
  return record(Op::gather_outer, {ops::to_dtype(a, t, where), ops::to_dtype(b, t, where), ops::to_dtype(chosen, DType::i32, where)}, attrs,
                nullptr, where);
}

namespace shape_rules {

namespace {

/// Operand k is (rows, each or 1, size) beside `chosen` (rows, each).
void need_rows(const Request& r, const Operand& k, const Shape& chosen) {
  const Shape& rows = r.in(k.number).shape;
  if (rows[0] == chosen[0] && (rows[1] == chosen[1] || rows[1] == 1)) return;
  fail_shape(r, fmt::format("{} {} and chosen {}: (rows, each or 1, size) and (rows, each) are expected", k.name, to_string(rows),
                            to_string(chosen)));
}

}  // namespace

Specs infer_gather_matmul(const Request& r) {
  namespace in = operand::gather_matmul;
  need_float(r, in::x);
  need_all_same_dtype(r, 2);
  need_ranks(r, 2, 3);
  need_rank(r, in::chosen, 2);
  need_dtype(r, in::chosen, DType::i32);
  const Shape &x = r.in(in::x).shape, &w = r.in(in::w).shape, &chosen = r.in(in::chosen).shape;
  need_rows(r, {in::x, "x"}, chosen);
  const bool transposed = r.attrs[attr::gather_matmul::transpose_w] != 0;
  if (w[transposed ? 2 : 1] != x[2]) {
    fail_shape(r, fmt::format("x {} and w {}: inner dimensions differ", to_string(x), to_string(w)));
  }
  return {{r.in(in::x).dtype, {chosen[0], chosen[1], w[transposed ? 1 : 2]}}};
}

Specs infer_gather_outer(const Request& r) {
  namespace in = operand::gather_outer;
  need_float(r, in::a);
  need_all_same_dtype(r, 2);
  need_ranks(r, 2, 3);
  need_rank(r, in::chosen, 2);
  need_dtype(r, in::chosen, DType::i32);
  const Shape& chosen = r.in(in::chosen).shape;
  need_rows(r, {in::a, "a"}, chosen);
  need_rows(r, {in::b, "b"}, chosen);
  const int64_t experts = r.attrs[attr::gather_outer::experts];
  if (experts < 0 || experts > INT32_MAX) fail_value(r, fmt::format("a number of experts is expected, got {}", experts));
  return {{r.in(in::a).dtype, {experts, r.in(in::a).shape[2], r.in(in::b).shape[2]}}};
}

}  // namespace shape_rules

}  // namespace lazuli
