// Data movement: concat, pad, slice_update, slice_at. Elements are moved by size; operands may have any strides.
#include <algorithm>
#include <cstring>
#include <vector>

#include "backend/cpu/common/common.h"
#include "backend/cpu/common/index.h"
#include "backend/cpu/common/thresholds.h"
#include "graph/ops/concat.h"
#include "graph/ops/pad.h"
#include "graph/ops/slice_at.h"
#include "graph/ops/slice_update.h"

namespace lazuli::cpu {

namespace {

using threshold::move::kFew;

template <class F>
decltype(auto) by_size(size_t size, F&& f) {
  switch (size) {
    case 1:
      return f(uint8_t{});
    case 2:
      return f(uint16_t{});
    case 4:
      return f(uint32_t{});
    default:
      return f(uint64_t{});
  }
}

struct Concat {
  struct Part {
    StridedView view;
    int64_t length;  ///< elements for each outer index
  };
  std::vector<Part> parts;
  int64_t row;  ///< elements of the result for each outer index
  int64_t numel;
  size_t element;

  void run(const KernelArgs& args, int64_t begin, int64_t end) const {
    int64_t k = begin * threshold::move::kTaskElements;
    const int64_t last = std::min(end * threshold::move::kTaskElements, numel);
    while (k < last) {
      const int64_t outer = k / row;
      int64_t at = k % row;
      for (size_t p = 0; p < parts.size() && k < last; ++p) {
        if (at >= parts[p].length) {
          at -= parts[p].length;
          continue;
        }
        const int64_t n = std::min(parts[p].length - at, last - k);
        gather(parts[p].view, args.in[p], element, outer * parts[p].length + at, n, element_at(args.out[0], k, element));
        k += n;
        at = 0;
      }
    }
  }
};

/// A task is a run of rows of the result.
struct Pad {
  Shape in, out;
  Strides strides;
  std::vector<int64_t> low;
  int64_t rows_per_task;
  size_t element;

  void run(const KernelArgs& args, int64_t begin, int64_t end) const {
    by_size(element, [&](auto tag) {
      using T = decltype(tag);
      const int last = out.rank() - 1;
      const int64_t n = out[last], rows = std::min(end * rows_per_task, out.numel() / n);
      const T value = *static_cast<const T*>(args.in[operand::pad::value]);
      for (int64_t row = begin * rows_per_task; row < rows; ++row) {
        T* to = static_cast<T*>(args.out[0]) + row * n;
        int64_t offset = 0;
        if (!inside(row, offset)) {
          std::fill_n(to, n, value);
          continue;
        }
        const T* from = static_cast<const T*>(args.in[0]) + offset;
        to = std::fill_n(to, low.back(), value);
        for (int64_t j = 0; j < in[last]; ++j) to[j] = from[j * strides[last]];
        std::fill_n(to + in[last], n - in[last] - low.back(), value);
      }
    });
  }
  /// Whether a row holds elements of x, and where they start.
  bool inside(int64_t row, int64_t& offset) const {
    for (int axis = out.rank() - 2; axis >= 0; --axis) {
      const int64_t at = row % out[axis] - low[static_cast<size_t>(axis)];
      if (at < 0 || at >= in[axis]) return false;
      offset += at * strides[axis];
      row /= out[axis];
    }
    return true;
  }
};

struct SliceUpdate {
  Op op;
  Shape x, update;
  std::vector<int64_t> starts, steps;
  int axis;
  DType offset_dtype;
  StridedView source, target;  ///< in the order of the update's elements
  Strides row_major;
  size_t element;
  int64_t each;  ///< elements of the update that share an offset

  /// The element of x that takes the first one of the update under an offset.
  int64_t first(const KernelArgs& args, int64_t entry) const {
    int64_t at = 0;
    for (int i = 0; i < x.rank(); ++i) {
      const auto k = static_cast<size_t>(i);
      const int64_t start = starts[k] + (i == axis ? integer_at(args.in[operand::slice_update::offset], offset_dtype, entry) : 0);
      const int64_t end = start + (update[i] - 1) * steps[k];
      if (start < 0 || start >= x[i]) fail_index(op, "start", start, x[i]);
      if (end < 0 || end >= x[i]) fail_index(op, "end", end, x[i]);
      at += start * row_major[i];
    }
    return at;
  }
  void run(const KernelArgs& args, int64_t begin, int64_t end) const {
    if (begin >= end) return;
    by_size(element, [&](auto tag) {
      using T = decltype(tag);
      int64_t k = begin * threshold::move::kTaskElements;
      const int64_t last = std::min(end * threshold::move::kTaskElements, update.numel());
      while (k < last) {
        const int64_t entry = k / each, stop = std::min(last, (entry + 1) * each);
        put(args, k, stop, static_cast<T*>(args.out[0]) + first(args, entry));
        k = stop;
      }
    });
  }
  /// Elements [k, last) of the update, which share an offset.
  template <class T>
  void put(const KernelArgs& args, int64_t k, int64_t last, T* out) const {
    T few[kFew];
    while (k < last) {
      const StridedRun place = run_at(target, k);
      T* to = out + place.offset;
      const bool straight = place.stride == 1;
      const int64_t n = std::min({last - k, place.length, straight ? last : kFew});
      gather(source, args.in[operand::slice_update::update], element, k, n, straight ? to : few);
      for (int64_t j = 0; !straight && j < n; ++j) to[j * place.stride] = few[j];
      k += n;
    }
  }
};

struct SliceAt {
  Op op;
  StridedView view;
  int64_t size, most, stride;
  DType offset_dtype;
  size_t element;
  void run(const KernelArgs& args, int64_t begin, int64_t end) const {
    const int64_t offset = integer_at(args.in[operand::slice_at::offset], offset_dtype);
    if (offset < 0 || offset > most - size) {
      throw ValueError("[" + std::string(name_of(op)) + "] offset " + std::to_string(offset) + " with size " + std::to_string(size) +
                       " is out of range for size " + std::to_string(most));
    }
    const int64_t first = begin * threshold::move::kTaskElements, last = std::min(end * threshold::move::kTaskElements, view.numel);
    if (first < last) {
      gather(view, element_at(args.in[0], offset * stride, element), element, first, last - first, element_at(args.out[0], first, element));
    }
  }
};

}  // namespace

PreparedOp prepare_concat(const KernelRequest& request) {
  const AxisSplit out(request.outputs[0].shape, request.attrs[attr::concat::axis]);
  Concat state{{}, out.count * out.inner, request.outputs[0].shape.numel(), size_of(request.outputs[0].dtype)};
  for (const OperandSpec& in : request.inputs) {
    const AxisSplit part(in.shape, request.attrs[attr::concat::axis]);
    state.parts.push_back({StridedView(in, in.shape), part.count * part.inner});
  }
  const int64_t tasks = tasks_for(state.numel, threshold::move::kTaskElements);
  return make_op(request, "concat", std::move(state), tasks, 0);
}

PreparedOp prepare_pad(const KernelRequest& request) {
  Shape in = request.inputs[0].shape, out = request.outputs[0].shape;
  Strides strides = request.inputs[0].strides;
  const auto list = request.attrs.list.span();
  std::vector<int64_t> low(list.begin(), list.begin() + in.rank());
  if (in.rank() == 0) {
    in.push_back(1);
    out.push_back(1);
    strides.push_back(1);
    low.push_back(0);
  }
  const int64_t row = std::max<int64_t>(out.back(), 1), rows_per_task = std::max<int64_t>(threshold::move::kTaskElements / row, 1);
  Pad state{in, out, strides, std::move(low), rows_per_task, size_of(request.outputs[0].dtype)};
  return make_op(request, "pad", std::move(state), tasks_for(out.numel() / row, rows_per_task), 0);
}

PreparedOp prepare_slice_update(const KernelRequest& request) {
  namespace in = operand::slice_update;
  const Shape &x = request.inputs[0].shape, &update = request.inputs[in::update].shape;
  const auto list = request.attrs.list.span();
  const auto rank = static_cast<size_t>(x.rank());
  const Strides row_major = contiguous_strides(x);
  Strides places = row_major;
  for (int i = 0; i < x.rank(); ++i) places[i] *= list[rank + static_cast<size_t>(i)];
  SliceUpdate state{request.op,
                    x,
                    update,
                    {list.begin(), list.begin() + x.rank()},
                    {list.begin() + x.rank(), list.end()},
                    static_cast<int>(request.attrs[attr::slice_update::offset_axis]),
                    request.inputs[in::offset].dtype,
                    StridedView(request.inputs[in::update], update),
                    StridedView(update, places),
                    row_major,
                    size_of(request.outputs[0].dtype),
                    update.numel() / std::max<int64_t>(request.inputs[in::offset].shape.numel(), 1)};
  PreparedOp op = make_op(request, "slice_update", std::move(state), tasks_for(update.numel(), threshold::move::kTaskElements), 0);
  op.bytes = 2 * static_cast<double>(update.numel()) * static_cast<double>(size_of(request.outputs[0].dtype));
  op.in_place = {0};
  if (!request.inputs[in::offset].contiguous) op.needs_contiguous = 1U << 2;
  return op;
}

PreparedOp prepare_slice_at(const KernelRequest& request) {
  const auto axis = static_cast<int>(request.attrs[attr::slice_at::axis]);
  const OperandSpec& x = request.inputs[0];
  const Shape& out = request.outputs[0].shape;
  const SliceAt state{request.op,
                      StridedView(out, x.strides),
                      out[axis],
                      x.shape[axis],
                      x.strides[axis],
                      request.inputs[operand::slice_at::offset].dtype,
                      size_of(request.outputs[0].dtype)};
  PreparedOp op = make_op(request, "slice_at", state, std::max<int64_t>(tasks_for(out.numel(), threshold::move::kTaskElements), 1), 0);
  op.bytes = 2 * static_cast<double>(out.numel()) * static_cast<double>(size_of(request.outputs[0].dtype));
  return op;
}

}  // namespace lazuli::cpu
