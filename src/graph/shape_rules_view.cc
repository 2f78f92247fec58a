// Shape and dtype rules of views, data movement, gathers and scatters.
#include <fmt/format.h>

#include "base/checked.h"
#include "graph/attrs.h"
#include "graph/operands.h"
#include "graph/shape_rules_check.h"
#include "lazuli/op.h"

namespace lazuli::shape_rules {

namespace {

void need_target_dtype(const Request& r) {
  if (need_target(r).dtype != r.in(0).dtype) {
    fail_dtype(r, fmt::format("the result has the operand's dtype {}, not {}", name_of(r.in(0).dtype), name_of(r.target->dtype)));
  }
}

/// Elements start, start + step, ... (count of them) must lie inside a dimension.
void need_range(const Request& r, int axis, int64_t start, int64_t step, int64_t count, int64_t dim) {
  const auto fail = [&] {
    fail_shape(r,
               fmt::format("axis {}: {} elements from {} on with step {} do not lie in a dimension of {}", axis, count, start, step, dim));
  };
  if (start < 0 || start > dim || step < 1 || count < 0) fail();
  if (count == 0) return;
  const auto span = checked_mul(count - 1, step);
  const auto last = span ? checked_add(*span, start) : span;
  if (!last || *last >= dim) fail();
}

void need_list(const Request& r, int rank) {
  if (r.attrs.list.size() != 2 * static_cast<size_t>(rank)) {
    fail_value(r, fmt::format("{} list entries are expected for {} dimensions, got {}", 2 * rank, rank, r.attrs.list.size()));
  }
}

/// Every dimension but `axis` equals operand 0's.
void need_same_but_axis(const Request& r, size_t k, int axis) {
  const Shape& x = r.in(0).shape;
  const Shape& y = r.in(k).shape;
  bool same = x.rank() == y.rank();
  for (int i = 0; same && i < x.rank(); ++i) same = i == axis || x[i] == y[i];
  if (!same) {
    fail_shape(r, fmt::format("{}: shape {} differs from {} outside axis {}", operand_name(r.op, k), to_string(y), to_string(x), axis));
  }
}

}  // namespace

Specs infer_reshape(const Request& r) {
  need_target_dtype(r);
  r.target->shape.check(r.name(), size_of(r.target->dtype));
  if (r.target->shape.numel() != r.in(0).shape.numel()) {
    fail_shape(r, fmt::format("shape {} cannot become {}: {} and {} elements", to_string(r.in(0).shape), to_string(r.target->shape),
                              r.in(0).shape.numel(), r.target->shape.numel()));
  }
  return {*r.target};
}

Specs infer_expand(const Request& r) {
  need_target_dtype(r);
  if (!broadcasts_to(r.in(0).shape, r.target->shape)) {
    fail_shape(r, fmt::format("shape {} does not broadcast to {}", to_string(r.in(0).shape), to_string(r.target->shape)));
  }
  return {*r.target};
}

Specs infer_transpose(const Request& r) {
  const Shape& x = r.in(0).shape;
  TensorSpec out{r.in(0).dtype, {}};
  uint32_t seen = 0;
  for (int k = 0; k < x.rank(); ++k) {
    const int axis = need_axis(r, (r.attrs[attr::transpose::axes] >> (4 * k)) & 15, x.rank());
    if (((seen >> axis) & 1u) != 0) fail_value(r, fmt::format("axis {} is named twice", axis));
    seen |= 1u << axis;
    out.shape.push_back(x[axis]);
  }
  return {out};
}

Specs infer_slice(const Request& r) {
  need_target_dtype(r);
  const Shape& x = r.in(0).shape;
  const Shape& to = r.target->shape;
  need_list(r, x.rank());
  if (to.rank() != x.rank()) fail_shape(r, fmt::format("shape {} cannot be a slice of {}", to_string(to), to_string(x)));
  for (int i = 0; i < x.rank(); ++i) {
    const auto k = static_cast<size_t>(i);
    need_range(r, i, r.attrs.list[k], r.attrs.list[k + static_cast<size_t>(x.rank())], to[i], x[i]);
  }
  return {*r.target};
}

Specs infer_barrier(const Request& r) { return {r.in(0)}; }

Specs infer_checkpoint(const Request& r) {
  const int64_t arguments = r.attrs[attr::checkpoint::arguments];
  if (arguments < 0 || arguments >= static_cast<int64_t>(r.inputs.size())) {
    fail_value(r, fmt::format("{} arguments leave no result among {} operands", arguments, r.inputs.size()));
  }
  return {r.inputs.begin() + static_cast<std::ptrdiff_t>(arguments), r.inputs.end()};
}

Specs infer_gather(const Request& r) {
  namespace in = operand::gather;
  need_index(r, in::indices);
  const Shape& x = r.in(0).shape;
  const int axis = need_axis(r, r.attrs[attr::gather::axis], x.rank());
  if (x.rank() - 1 + r.in(in::indices).shape.rank() > kMaxRank) {
    fail_shape(r, fmt::format("shapes {} and {} give more than {} dimensions", to_string(x), to_string(r.in(in::indices).shape), kMaxRank));
  }
  return {{r.in(0).dtype, replace_axis(x, axis, r.in(in::indices).shape.span())}};
}

Specs infer_take_along(const Request& r) {
  namespace in = operand::take_along;
  need_index(r, in::indices);
  need_same_but_axis(r, in::indices, need_axis(r, r.attrs[attr::take_along::axis], r.in(0).shape.rank()));
  return {{r.in(0).dtype, r.in(in::indices).shape}};
}

Specs infer_scatter_add(const Request& r) {
  need_number(r, 0);
  need_same_dtype(r, operand::scatter_add::updates);
  const Specs gathered = r.op == Op::scatter_add ? infer_gather(r) : infer_take_along(r);
  need_shape(r, operand::scatter_add::updates, gathered[0].shape);
  return {r.in(0)};
}

Specs infer_concat(const Request& r) {
  const int axis = need_axis(r, r.attrs[attr::concat::axis], r.in(0).shape.rank());
  need_all_same_dtype(r, r.inputs.size());
  int64_t total = 0;
  for (size_t k = 0; k < r.inputs.size(); ++k) {
    need_same_but_axis(r, k, axis);
    const auto sum = checked_add(total, r.in(k).shape[axis]);
    if (!sum) fail_shape(r, "the result is too long");
    total = *sum;
  }
  return {{r.in(0).dtype, replace_axis(r.in(0).shape, axis, {&total, 1})}};
}

Specs infer_pad(const Request& r) {
  const Shape& x = r.in(0).shape;
  need_like_scalar(r, operand::pad::value);
  need_list(r, x.rank());
  TensorSpec out = r.in(0);
  for (int i = 0; i < x.rank(); ++i) {
    const int64_t low = r.attrs.list[static_cast<size_t>(i)], high = r.attrs.list[static_cast<size_t>(i + x.rank())];
    if (low < 0 || high < 0) fail_value(r, fmt::format("axis {}: at least 0 elements are expected, got {} and {}", i, low, high));
    const auto front = checked_add(x[i], low);
    const auto both = front ? checked_add(*front, high) : front;
    if (!both) fail_shape(r, "the result is too long");
    out.shape[i] = *both;
  }
  return {out};
}

namespace {

/// With an offset a row, the rows of axis 0 of x and of the update are the same.
void need_rows_of_update(const Request& r, const Shape& x, const Shape& update) {
  if (x.rank() < 2 || r.attrs[attr::slice_update::offset_axis] == 0)
    fail_shape(r, "offset: one number is expected where axis 0 is shifted");
  need_by_row(r, operand::slice_update::offset, x[0]);
  if (update[0] != x[0]) fail_shape(r, fmt::format("update {} must have the {} rows of {}", to_string(update), x[0], to_string(x)));
}

}  // namespace

Specs infer_slice_update(const Request& r) {
  namespace in = operand::slice_update;
  const Shape& x = r.in(0).shape;
  const Shape& update = r.in(in::update).shape;
  need_same_dtype(r, in::update);
  need_index(r, in::offset);
  need_list(r, x.rank());
  if (x.rank() > 0) need_axis(r, r.attrs[attr::slice_update::offset_axis], x.rank());
  if (update.rank() != x.rank()) {
    fail_shape(r, fmt::format("update {} must have as many dimensions as {}", to_string(update), to_string(x)));
  }
  if (r.in(in::offset).shape.rank() != 0) need_rows_of_update(r, x, update);
  for (int i = 0; i < x.rank(); ++i) {
    const auto k = static_cast<size_t>(i);
    need_range(r, i, r.attrs.list[k], r.attrs.list[k + static_cast<size_t>(x.rank())], update[i], x[i]);
  }
  return {r.in(0)};
}

Specs infer_page_update(const Request& r) {
  namespace in = operand::page_update;
  need_same_dtype(r, in::x);
  need_ranks(r, 2, 4);
  need_rank(r, in::blocks, 2);
  const Shape &pool = r.in(0).shape, &x = r.in(in::x).shape, &blocks = r.in(in::blocks).shape;
  if (x[1] != pool[1] || x[3] != pool[3]) {
    fail_shape(r, fmt::format("x {}: (batch, {}, tokens, {}) is expected for a pool {}", to_string(x), pool[1], pool[3], to_string(pool)));
  }
  if (pool[2] < 1) fail_shape(r, fmt::format("pool {}: pages of at least one token are expected", to_string(pool)));
  if (blocks[0] != x[0]) fail_shape(r, fmt::format("blocks: ({}, pages) is expected, got {}", x[0], to_string(blocks)));
  need_dtype(r, in::blocks, DType::i32);
  if (!checked_mul(blocks[1], pool[2])) fail_shape(r, fmt::format("blocks {}: there are too many tokens", to_string(blocks)));
  need_index(r, in::offset);
  need_by_row(r, in::offset, x[0]);
  return {r.in(0)};
}

Specs infer_slice_at(const Request& r) {
  need_target_dtype(r);
  need_offset(r, operand::slice_at::offset);
  const Shape& x = r.in(0).shape;
  const int axis = need_axis(r, r.attrs[attr::slice_at::axis], x.rank());
  const Shape& to = r.target->shape;
  bool fits = to.rank() == x.rank();
  for (int i = 0; fits && i < x.rank(); ++i) fits = i == axis ? to[i] <= x[i] : to[i] == x[i];
  if (!fits) fail_shape(r, fmt::format("shape {} cannot be cut out of {} along axis {}", to_string(to), to_string(x), axis));
  return {*r.target};
}

Specs infer_one_hot(const Request& r) {
  need_index(r, operand::one_hot::indices);
  TensorSpec out{dtype_attr(r, r.attrs[attr::one_hot::dtype]), r.in(0).shape};
  if (r.attrs[attr::one_hot::classes] < 0)
    fail_value(r, fmt::format("at least 0 classes are expected, got {}", r.attrs[attr::one_hot::classes]));
  out.shape.push_back(r.attrs[attr::one_hot::classes]);
  return {out};
}

Specs infer_sort(const Request& r) {
  const int axis = need_axis(r, r.attrs[attr::sort::axis], r.in(0).shape.rank());
  TensorSpec values = r.in(0);
  if (r.op == Op::topk) {
    const int64_t k = r.attrs[attr::topk::k];
    if (k < 0 || k > values.shape[axis]) fail_value(r, fmt::format("k must be in 0..{}, got {}", values.shape[axis], k));
    values.shape[axis] = k;
  }
  return {values, {DType::i32, values.shape}};
}

Specs infer_topk(const Request& r) { return infer_sort(r); }

}  // namespace lazuli::shape_rules
