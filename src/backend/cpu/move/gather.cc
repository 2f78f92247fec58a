// Gathers: rows are copied whole; without rows, elements are picked one by one.
#include "graph/ops/gather.h"

#include <algorithm>
#include <cstring>

#include "backend/cpu/common/common.h"
#include "backend/cpu/common/index.h"
#include "backend/cpu/common/thresholds.h"
#include "graph/ops/scatter_add.h"
#include "graph/ops/scatter_along_add.h"
#include "graph/ops/take_along.h"

namespace lazuli::cpu {

namespace {

uint32_t strided_inputs(const KernelRequest& request, size_t first) {
  uint32_t mask = 0;
  for (size_t k = first; k < request.inputs.size(); ++k) {
    if (!request.inputs[k].contiguous) mask |= 1u << k;
  }
  return mask;
}

/// x (outer, count, inner), indices (many) -> (outer, many, inner). A task is a run of rows of `inner` elements.
struct Gather {
  Indices indices;
  AxisSplit x;
  int64_t many;
  int64_t element;
  int64_t rows_per_task;

  void run(const KernelArgs& args, int64_t begin, int64_t end) const {
    const int64_t first = begin * rows_per_task, last = std::min(end * rows_per_task, x.outer * many);
    const auto bytes = static_cast<size_t>(x.inner * element);
    for (int64_t row = first; row < last; ++row) {
      const int64_t from = row / many * x.count + indices.at(args.in[operand::gather::indices], row % many);
      const void* source = element_at(args.in[0], from * x.inner, static_cast<size_t>(element));
      std::memcpy(element_at(args.out[0], row * x.inner, static_cast<size_t>(element)), source, bytes);
    }
  }
};

/// Where the elements of `indices` point to in a row-major x of the same rank: everything but the axis keeps its coordinates.
struct Along {
  Along(const Shape& x, const Shape& picked, int64_t a) : axis(static_cast<int>(a)), shape(picked), strides(contiguous_strides(x)) {}
  /// Element of x below the axis' coordinate for element k.
  int64_t base(int64_t k) const {
    int64_t offset = 0;
    for (int i = shape.rank() - 1; i >= 0; --i) {
      const int64_t next = k / shape[i];
      if (i != axis) offset += (k - next * shape[i]) * strides[i];
      k = next;
    }
    return offset;
  }
  int64_t step() const { return strides[axis]; }
  /// The last dim: neighbouring elements move by one in x too, unless it is the axis.
  int64_t row() const { return shape.back(); }
  int64_t row_step() const { return axis == shape.rank() - 1 ? 0 : 1; }

  int axis;
  Shape shape;
  Strides strides;
};

template <class T>
struct TakeAlong {
  Indices indices;
  Along along;
  int64_t rows_per_task;
  void run(const KernelArgs& args, int64_t begin, int64_t end) const {
    const int64_t row = along.row(), step = along.step(), move = along.row_step();
    const auto* x = static_cast<const T*>(args.in[0]);
    auto* out = static_cast<T*>(args.out[0]);
    const int64_t last = std::min(end * rows_per_task * row, along.shape.numel());
    for (int64_t k = begin * rows_per_task * row; k < last; k += row) {
      const T* from = x + along.base(k);
      for (int64_t j = 0; j < row; ++j) out[k + j] = from[indices.at(args.in[operand::gather::indices], k + j) * step + j * move];
    }
  }
};

template <class T>
PreparedOp take_along(const KernelRequest& request) {
  const Shape &x = request.inputs[0].shape, &picked = request.inputs[operand::gather::indices].shape;
  const int64_t axis = request.attrs[attr::take_along::axis];
  const int64_t row = std::max<int64_t>(picked.back(), 1), rows_per_task = std::max<int64_t>(threshold::gather::kTaskBytes / 8 / row, 1);
  const TakeAlong<T> state{
      {request.op, request.inputs[operand::gather::indices].dtype, x[static_cast<int>(axis)]}, Along(x, picked, axis), rows_per_task};
  return make_op(request, "take_along", state, tasks_for(picked.numel() / row, rows_per_task), 0);
}

}  // namespace

PreparedOp prepare_gather(const KernelRequest& request) {
  const AxisSplit x(request.inputs[0].shape, request.attrs[attr::gather::axis]);
  const int64_t many = request.inputs[operand::gather::indices].shape.numel();
  const auto element = static_cast<int64_t>(size_of(request.inputs[0].dtype));
  const int64_t rows_per_task = std::max<int64_t>(threshold::gather::kTaskBytes / (x.inner * element + 16), 1);
  const Gather state{{request.op, request.inputs[operand::gather::indices].dtype, x.count}, x, many, element, rows_per_task};
  PreparedOp op = make_op(request, "gather", state, tasks_for(x.outer * many, rows_per_task), 0);
  const double moved = 2 * static_cast<double>(request.outputs[0].shape.numel() * element);
  op.bytes = std::min(op.bytes, moved + static_cast<double>(many) * 8);
  op.needs_contiguous = strided_inputs(request, 0);
  return op;
}

PreparedOp prepare_take_along(const KernelRequest& request) {
  PreparedOp op;
  switch (size_of(request.outputs[0].dtype)) {
    case 1:
      op = take_along<uint8_t>(request);
      break;
    case 2:
      op = take_along<uint16_t>(request);
      break;
    case 4:
      op = take_along<uint32_t>(request);
      break;
    default:
      op = take_along<uint64_t>(request);
  }
  op.needs_contiguous = strided_inputs(request, 0);
  return op;
}

namespace {

// a += b; integers wrap around, 16-bit floats round after every addition.
template <class T>
T sum(T a, T b) {
  if constexpr (std::is_same_v<T, float>) {
    return a + b;
  } else if constexpr (std::is_integral_v<T>) {
    return static_cast<T>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
  } else {
    return static_cast<T>(static_cast<float>(a) + static_cast<float>(b));
  }
}

/// A task adds a block of columns of all rows of one outer index, in the order of the indices.
template <class T>
struct ScatterAdd {
  static constexpr int64_t kColumns = threshold::gather::kColumns;
  Indices indices;
  AxisSplit x;
  int64_t many;
  int64_t blocks() const { return tasks_for(x.inner, kColumns); }

  void run(const KernelArgs& args, int64_t begin, int64_t end) const {
    for (int64_t task = begin; task < end; ++task) {
      const int64_t outer = task / blocks(), first = task % blocks() * kColumns, n = std::min(kColumns, x.inner - first);
      const auto* updates = static_cast<const T*>(args.in[operand::scatter_add::updates]) + outer * many * x.inner + first;
      auto* out = static_cast<T*>(args.out[0]) + outer * x.count * x.inner + first;
      for (int64_t k = 0; k < many; ++k) {
        T* row = out + indices.at(args.in[operand::scatter_add::indices], k) * x.inner;
        const T* from = updates + k * x.inner;
        for (int64_t j = 0; j < n; ++j) row[j] = sum(row[j], from[j]);
      }
    }
  }
};

/// A task adds everything that falls on one coordinate of the dims before the axis.
template <class T>
struct ScatterAlongAdd {
  Indices indices;
  Along along;
  int64_t per_task;
  void run(const KernelArgs& args, int64_t begin, int64_t end) const {
    const int64_t row = along.row(), step = along.step(), move = along.row_step();
    const auto* updates = static_cast<const T*>(args.in[operand::scatter_add::updates]);
    auto* out = static_cast<T*>(args.out[0]);
    for (int64_t k = begin * per_task; k < end * per_task; k += row) {
      T* to = out + along.base(k);
      for (int64_t j = 0; j < row; ++j) {
        T& element = to[indices.at(args.in[operand::scatter_add::indices], k + j) * step + j * move];
        element = sum(element, updates[k + j]);
      }
    }
  }
};

template <class T>
PreparedOp scatter_add(const KernelRequest& request) {
  const AxisSplit x(request.inputs[0].shape, request.attrs[attr::scatter_add::axis]);
  const int64_t many = request.inputs[operand::scatter_add::indices].shape.numel();
  const ScatterAdd<T> state{{request.op, request.inputs[operand::scatter_add::indices].dtype, x.count}, x, many};
  return make_op(request, "scatter_add", state, many == 0 ? 0 : x.outer * state.blocks());
}

template <class T>
PreparedOp scatter_along_add(const KernelRequest& request) {
  const Shape &x = request.inputs[0].shape, &picked = request.inputs[operand::scatter_add::indices].shape;
  const int64_t axis = request.attrs[attr::scatter_along_add::axis];
  const AxisSplit split(picked, axis);
  const ScatterAlongAdd<T> state{{request.op, request.inputs[operand::scatter_add::indices].dtype, x[static_cast<int>(axis)]},
                                 Along(x, picked, axis),
                                 split.count * split.inner};
  return make_op(request, "scatter_along_add", state, picked.numel() == 0 ? 0 : split.outer);
}

template <class Prepare>
PreparedOp scatter(const KernelRequest& request, Prepare&& prepare) {
  PreparedOp op;
  switch (request.outputs[0].dtype) {
    case DType::f32:
      op = prepare(float{});
      break;
    case DType::bf16:
      op = prepare(bf16{});
      break;
    case DType::f16:
      op = prepare(f16{});
      break;
    case DType::i64:
      op = prepare(int64_t{});
      break;
    case DType::i32:
      op = prepare(int32_t{});
      break;
    case DType::i8:
      op = prepare(int8_t{});
      break;
    case DType::u8:
      op = prepare(uint8_t{});
      break;
    default:
      fail_dtype(request, request.outputs[0].dtype);
  }
  op.needs_contiguous = strided_inputs(request, 1);
  op.in_place = {0};
  return op;
}

}  // namespace

PreparedOp prepare_scatter_add(const KernelRequest& request) {
  if (has_f64(request)) return reference_backend().prepare(request);
  return scatter(request, [&](auto tag) { return scatter_add<decltype(tag)>(request); });
}
PreparedOp prepare_scatter_along_add(const KernelRequest& request) {
  if (has_f64(request)) return reference_backend().prepare(request);
  return scatter(request, [&](auto tag) { return scatter_along_add<decltype(tag)>(request); });
}

}  // namespace lazuli::cpu
