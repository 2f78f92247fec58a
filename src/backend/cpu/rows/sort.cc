// Sort and topk along an axis: stable, NaN last in either direction. A task is one lane.
#include "graph/ops/sort.h"

#include <algorithm>
#include <cmath>
#include <type_traits>

#include "backend/cpu/common/common.h"
#include "backend/cpu/common/index.h"

namespace lazuli::cpu {

namespace {

template <class T>
struct Sort {
  /// An element in the form that is compared, and where it was.
  using Key = std::conditional_t<std::is_integral_v<T>, T, float>;
  struct Item {
    Key key;
    int32_t index;
  };

  AxisSplit x;
  int64_t kept;
  bool descending;

  void run(const KernelArgs& args, int64_t begin, int64_t end) const {
    auto* items = static_cast<Item*>(args.thread_scratch);
    for (int64_t lane = begin; lane < end; ++lane) {
      const int64_t outer = lane / x.inner, inner = lane % x.inner;
      const T* from = static_cast<const T*>(args.in[0]) + outer * x.count * x.inner + inner;
      for (int64_t j = 0; j < x.count; ++j) items[j] = {static_cast<Key>(from[j * x.inner]), static_cast<int32_t>(j)};
      if (descending) {
        order(items, [](const Item& a, const Item& b) { return after(b, a); });
      } else {
        order(items, [](const Item& a, const Item& b) { return before(a, b); });
      }
      const int64_t first = outer * kept * x.inner + inner;
      for (int64_t j = 0; j < kept; ++j) {
        const int64_t to = first + j * x.inner;
        if (args.out[0] != nullptr) static_cast<T*>(args.out[0])[to] = from[items[j].index * x.inner];
        if (args.out[1] != nullptr) static_cast<int32_t*>(args.out[1])[to] = items[j].index;
      }
    }
  }

  template <class Before>
  void order(Item* items, Before before_in_order) const {
    if (kept < x.count) {
      std::partial_sort(items, items + kept, items + x.count, before_in_order);
    } else {
      std::sort(items, items + x.count, before_in_order);
    }
  }
  static bool nan(Key v) {
    if constexpr (std::is_integral_v<T>) {
      return false;
    } else {
      return std::isnan(v);
    }
  }
  // Equal values keep their order: the index decides.
  static bool before(const Item& a, const Item& b) {
    if (nan(a.key) || nan(b.key)) return nan(a.key) && nan(b.key) ? a.index < b.index : nan(b.key);
    return a.key < b.key || (a.key == b.key && a.index < b.index);
  }
  /// Whether b comes before a in descending order.
  static bool after(const Item& a, const Item& b) {
    if (nan(a.key) || nan(b.key)) return nan(a.key) && nan(b.key) ? b.index < a.index : nan(a.key);
    return b.key > a.key || (a.key == b.key && b.index < a.index);
  }
};

template <class T>
PreparedOp sort_of(const KernelRequest& request) {
  const auto axis = static_cast<int>(request.attrs[attr::sort::axis]);
  const AxisSplit x(request.inputs[0].shape, axis);
  const Sort<T> state{x, request.outputs[0].shape[axis], request.attrs[attr::sort::descending] != 0};
  const int64_t lanes = state.kept == 0 ? 0 : x.outer * x.inner;
  PreparedOp op = make_op(request, "sort", state, lanes, std::log2(static_cast<double>(x.count) + 2));
  op.thread_scratch_bytes = static_cast<size_t>(x.count) * sizeof(typename Sort<T>::Item);
  if (!request.inputs[0].contiguous) op.needs_contiguous = 1;
  return op;
}

}  // namespace

PreparedOp prepare_sort(const KernelRequest& request) {
  switch (request.inputs[0].dtype) {
    case DType::f32:
      return sort_of<float>(request);
    case DType::bf16:
      return sort_of<bf16>(request);
    case DType::f16:
      return sort_of<f16>(request);
    case DType::i64:
      return sort_of<int64_t>(request);
    case DType::i32:
      return sort_of<int32_t>(request);
    case DType::i8:
      return sort_of<int8_t>(request);
    case DType::u8:
    case DType::boolean:
      return sort_of<uint8_t>(request);
    case DType::f64:
      break;
  }
  return reference_backend().prepare(request);
}

}  // namespace lazuli::cpu
