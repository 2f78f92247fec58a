// Data made from attributes or indices: full, arange, one_hot.
#include <bit>
#include <cstring>

#include "backend/cpu/common/common.h"
#include "backend/cpu/common/thresholds.h"
#include "graph/ops/arange.h"
#include "graph/ops/full.h"
#include "graph/ops/one_hot.h"
#include "tensor/convert.h"

namespace lazuli::cpu {

namespace {

/// Calls body with a value of the dtype's type.
template <class Body>
void with_type(DType dtype, Body body) {
  switch (dtype) {
    case DType::f32:
      return body(float{});
    case DType::bf16:
      return body(bf16{});
    case DType::f16:
      return body(f16{});
    case DType::f64:
      return body(double{});
    case DType::i32:
      return body(int32_t{});
    case DType::i64:
      return body(int64_t{});
    case DType::i8:
      return body(int8_t{});
    case DType::u8:
      return body(uint8_t{});
    case DType::boolean:
      return body(bool{});
  }
}

struct Full {
  DType dtype;
  int64_t numel;
  double value;
  void run(const KernelArgs& args, int64_t begin, int64_t end) const {
    const int64_t first = begin * threshold::fill::kChunk, last = std::min(end * threshold::fill::kChunk, numel);
    with_type(dtype, [&](auto tag) {
      using T = decltype(tag);
      std::fill_n(static_cast<T*>(args.out[0]) + first, last - first, convert_element<T>(value));
    });
  }
};

struct Arange {
  DType dtype;
  int64_t numel, start, step;
  void run(const KernelArgs& args, int64_t begin, int64_t end) const {
    with_type(dtype, [&](auto tag) {
      using T = decltype(tag);
      for (int64_t k = begin * threshold::fill::kChunk; k < std::min(end * threshold::fill::kChunk, numel); ++k) {
        static_cast<T*>(args.out[0])[k] = convert_element<T>(start + k * step);
      }
    });
  }
};

struct OneHot {
  StridedView indices;
  DType index_dtype, dtype;
  int64_t classes, per_task;
  int64_t index(const KernelArgs& args, int64_t row) const {
    const int64_t offset = run_at(indices, row).offset;
    const int64_t hot =
        index_dtype == DType::i32 ? static_cast<const int32_t*>(args.in[0])[offset] : static_cast<const int64_t*>(args.in[0])[offset];
    if (hot >= 0 && hot < classes) return hot;
    throw ValueError("[one_hot] index " + std::to_string(hot) + " is out of range for " + std::to_string(classes) + " classes");
  }
  void run(const KernelArgs& args, int64_t begin, int64_t end) const {
    const int64_t first = begin * per_task, last = std::min(end * per_task, indices.numel);
    with_type(dtype, [&](auto tag) {
      using T = decltype(tag);
      T* out = static_cast<T*>(args.out[0]);
      std::memset(static_cast<void*>(out + first * classes), 0, static_cast<size_t>((last - first) * classes) * sizeof(T));
      for (int64_t row = first; row < last; ++row) out[row * classes + index(args, row)] = convert_element<T>(true);
    });
  }
};

}  // namespace

PreparedOp prepare_full(const KernelRequest& request) {
  const OperandSpec& out = request.outputs[0];
  const Full state{out.dtype, out.shape.numel(), std::bit_cast<double>(request.attrs[attr::full::value])};
  return make_op(request, "full", state, tasks_for(state.numel, threshold::fill::kChunk), 0);
}

PreparedOp prepare_arange(const KernelRequest& request) {
  const OperandSpec& out = request.outputs[0];
  const Arange state{out.dtype, out.shape.numel(), request.attrs[attr::arange::start], request.attrs[attr::arange::step]};
  return make_op(request, "arange", state, tasks_for(state.numel, threshold::fill::kChunk));
}

PreparedOp prepare_one_hot(const KernelRequest& request) {
  const OperandSpec& in = request.inputs[0];
  const int64_t classes = request.attrs[attr::one_hot::classes];
  const OneHot state{StridedView(in, in.shape), in.dtype, request.outputs[0].dtype, classes,
                     std::max<int64_t>(1, threshold::fill::kChunk / std::max<int64_t>(classes, 1))};
  return make_op(request, "one_hot", state, tasks_for(in.shape.numel(), state.per_task), 0);
}

}  // namespace lazuli::cpu
