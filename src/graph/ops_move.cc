// Implements the recording functions of gathers, scatters, data movement and sources of data.
#include <fmt/format.h>

#include <limits>

#include "base/checked.h"
#include "graph/attrs.h"
#include "graph/ops_common.h"
#include "lazuli/error.h"
#include "lazuli/op.h"

namespace lazuli {

namespace {

using ops::to_dtype;
using ops::to_index;

Attrs axis_attr(std::string_view who, int axis, int rank) {
  Attrs attrs;
  attrs[attr::gather::axis] = normalize_axis(who, axis, rank);
  return attrs;
}

LazyTensor record_slice_update(const LazyTensor& x, const LazyTensor& update, std::span<const int64_t> starts,
                               std::span<const int64_t> steps, const LazyTensor& offset, int offset_axis, Where where, uint32_t donate) {
  const auto rank = static_cast<size_t>(x.rank());
  if (starts.size() != rank || (!steps.empty() && steps.size() != rank)) {
    throw ShapeError(fmt::format("[slice_update] {} starts and steps are expected for shape {}, got {} and {}", rank, to_string(x.shape()),
                                 starts.size(), steps.size()));
  }
  std::vector<int64_t> list(2 * rank, 1);
  for (size_t k = 0; k < rank; ++k) {
    list[k] = starts[k] < 0 ? starts[k] + x.shape()[static_cast<int>(k)] : starts[k];
    if (!steps.empty()) list[rank + k] = steps[k];
  }
  Attrs attrs;
  if (rank > 0) attrs[attr::slice_update::offset_axis] = normalize_axis("slice_update", offset_axis, x.rank());
  attrs.list = IntList(std::move(list));
  const LazyTensor at = offset.defined() ? offset : LazyTensor::scalar_int(0);
  return record(Op::slice_update, {x, to_dtype(update, x.dtype(), where), at}, attrs, nullptr, where, donate);
}

LazyTensor record_page_update(const LazyTensor& pool, const LazyTensor& x, const LazyTensor& blocks, const LazyTensor& offset, Where where,
                              uint32_t donate) {
  return record(Op::page_update, {pool, to_dtype(x, pool.dtype(), where), to_dtype(blocks, DType::i32, where), offset}, {}, nullptr, where,
                donate);
}

LazyTensor record_random(Op op, const Shape& shape, const LazyTensor& seed, DType dtype, Where where) {
  const TensorSpec target{dtype, shape};
  return record(op, {to_dtype(seed, DType::i64, where)}, {}, &target, where);
}

ValuesAndIndices record_sort(Op op, const LazyTensor& x, const Attrs& attrs, Where where) {
  auto out = record_all(op, {&x, 1}, attrs, nullptr, {}, where);
  return {std::move(out[0]), std::move(out[1])};
}

}  // namespace

LazyTensor gather(const LazyTensor& x, const LazyTensor& indices, int axis, Where where) {
  return record(Op::gather, {x, to_index(indices, where)}, axis_attr("gather", axis, x.rank()), nullptr, where);
}
LazyTensor embedding(const LazyTensor& table, const LazyTensor& ids, Where where) {
  if (table.rank() != 2)
    throw ShapeError(fmt::format("[embedding] a table (rows, size) is expected, got shape {}", to_string(table.shape())));
  return gather(table, ids, 0, where);
}
LazyTensor take_along(const LazyTensor& x, const LazyTensor& indices, int axis, Where where) {
  return record(Op::take_along, {x, to_index(indices, where)}, axis_attr("take_along", axis, x.rank()), nullptr, where);
}
LazyTensor scatter_add(const LazyTensor& x, const LazyTensor& indices, const LazyTensor& updates, int axis, Where where) {
  return record(Op::scatter_add, {x, to_index(indices, where), to_dtype(updates, x.dtype(), where)},
                axis_attr("scatter_add", axis, x.rank()), nullptr, where);
}
LazyTensor scatter_along_add(const LazyTensor& x, const LazyTensor& indices, const LazyTensor& updates, int axis, Where where) {
  return record(Op::scatter_along_add, {x, to_index(indices, where), to_dtype(updates, x.dtype(), where)},
                axis_attr("scatter_along_add", axis, x.rank()), nullptr, where);
}

LazyTensor concat(std::span<const LazyTensor> parts, int axis, Where where) {
  if (parts.empty()) throw ValueError("[concat] at least one part is expected");
  DType t = parts[0].dtype();
  for (const LazyTensor& p : parts) t = promote(t, p.dtype());
  std::vector<LazyTensor> same;
  same.reserve(parts.size());
  for (const LazyTensor& p : parts) same.push_back(to_dtype(p, t, where));
  const Attrs attrs = axis_attr("concat", axis, parts[0].rank());
  if (same.size() == 1) return same[0];
  return record_all(Op::concat, same, attrs, nullptr, {}, where)[0];
}
LazyTensor concat(std::initializer_list<LazyTensor> parts, int axis, Where where) {
  return concat(std::span<const LazyTensor>(parts.begin(), parts.size()), axis, where);
}

LazyTensor pad(const LazyTensor& x, std::span<const int64_t> low, std::span<const int64_t> high, const ScalarArg& value, Where where) {
  const auto rank = static_cast<size_t>(x.rank());
  if (low.size() != rank || high.size() != rank) {
    throw ShapeError(fmt::format("[pad] {} entries of low and high are expected for shape {}, got {} and {}", rank, to_string(x.shape()),
                                 low.size(), high.size()));
  }
  std::vector<int64_t> list(low.begin(), low.end());
  list.insert(list.end(), high.begin(), high.end());
  bool any = false;
  for (int64_t n : list) any = any || n != 0;
  if (!any) return x;
  Attrs attrs;
  attrs.list = IntList(std::move(list));
  return record(Op::pad, {x, ops::exact_operand(Op::pad, value, x.dtype())}, attrs, nullptr, where);
}

LazyTensor slice_update(LazyTensor&& x, const LazyTensor& update, std::span<const int64_t> starts, std::span<const int64_t> steps,
                        const LazyTensor& offset, int offset_axis, Where where) {
  LazyTensor out = record_slice_update(x, update, starts, steps, offset, offset_axis, where, 1);
  x = LazyTensor();
  return out;
}
LazyTensor slice_update(const LazyTensor& x, const LazyTensor& update, std::span<const int64_t> starts, std::span<const int64_t> steps,
                        const LazyTensor& offset, int offset_axis, Where where) {
  return record_slice_update(x, update, starts, steps, offset, offset_axis, where, 0);
}

LazyTensor page_update(LazyTensor&& pool, const LazyTensor& x, const LazyTensor& blocks, const LazyTensor& offset, Where where) {
  LazyTensor out = record_page_update(pool, x, blocks, offset, where, 1);
  pool = LazyTensor();
  return out;
}
LazyTensor page_update(const LazyTensor& pool, const LazyTensor& x, const LazyTensor& blocks, const LazyTensor& offset, Where where) {
  return record_page_update(pool, x, blocks, offset, where, 0);
}

LazyTensor slice_at(const LazyTensor& x, const LazyTensor& offset, int64_t size, int axis, Where where) {
  const Attrs attrs = axis_attr("slice_at", axis, x.rank());
  TensorSpec target{x.dtype(), x.shape()};
  target.shape[static_cast<int>(attrs[attr::slice_at::axis])] = size;
  return record(Op::slice_at, {x, offset}, attrs, &target, where);
}

LazyTensor one_hot(const LazyTensor& indices, int64_t classes, DType dtype, Where where) {
  Attrs attrs;
  attrs[attr::one_hot::classes] = classes;
  attrs[attr::one_hot::dtype] = static_cast<int64_t>(dtype);
  return record(Op::one_hot, {to_index(indices, where)}, attrs, nullptr, where);
}

ValuesAndIndices sort(const LazyTensor& x, int axis, bool descending, Where where) {
  Attrs attrs = axis_attr("sort", axis, x.rank());
  attrs[attr::sort::descending] = descending ? 1 : 0;
  return record_sort(Op::sort, x, attrs, where);
}
ValuesAndIndices topk(const LazyTensor& x, int64_t k, int axis, Where where) {
  Attrs attrs = axis_attr("topk", axis, x.rank());
  attrs[attr::topk::descending] = 1;
  attrs[attr::topk::k] = k;
  return record_sort(Op::topk, x, attrs, where);
}

LazyTensor random_uniform(const Shape& shape, const LazyTensor& seed, DType dtype, Where where) {
  return record_random(Op::random_uniform, shape, seed, dtype, where);
}
LazyTensor random_normal(const Shape& shape, const LazyTensor& seed, DType dtype, Where where) {
  return record_random(Op::random_normal, shape, seed, dtype, where);
}
LazyTensor random_bits(const Shape& shape, const LazyTensor& seed, Where where) {
  return record_random(Op::random_bits, shape, seed, DType::i64, where);
}

LazyTensor arange(int64_t start, int64_t stop, int64_t step, DType dtype, Where where) {
  if (step == 0) throw ValueError("[arange] a step other than 0 is expected");
  const auto length = step > 0 ? checked_sub(stop, start) : checked_sub(start, stop);
  if (!length || step == std::numeric_limits<int64_t>::min()) throw ValueError("[arange] the range is too long");
  const int64_t stride = step > 0 ? step : -step;
  const int64_t count = *length <= 0 ? 0 : (*length - 1) / stride + 1;
  Attrs attrs;
  attrs[attr::arange::start] = start;
  attrs[attr::arange::step] = step;
  const TensorSpec target{dtype, {count}};
  return record(Op::arange, {}, attrs, &target, where);
}

LazyTensor dequantize(const LazyTensor& q, const LazyTensor& scales, const LazyTensor& zero_points, int64_t group, DType dtype,
                      Where where) {
  Attrs attrs;
  attrs[attr::dequantize::group] = group;
  attrs[attr::dequantize::dtype] = static_cast<int64_t>(dtype);
  if (!zero_points.defined()) return record(Op::dequantize, {q, scales}, attrs, nullptr, where);
  return record(Op::dequantize, {q, scales, to_dtype(zero_points, scales.dtype(), where)}, attrs, nullptr, where);
}

LazyTensor dequantize(std::span<const LazyTensor> parts, QuantFormatId format, DType dtype, Where where) {
  Attrs attrs;
  attrs[attr::dequantize::format] = static_cast<int64_t>(format);
  attrs[attr::dequantize::dtype] = static_cast<int64_t>(dtype);
  return record_all(Op::dequantize, parts, attrs, nullptr, {}, where)[0];
}

}  // namespace lazuli
