// Rotary position embedding. A task is a run of rows (one token of one head each); rows are read where they lie.
#include "backend/cpu/rope.h"

#include <algorithm>
#include <cstring>

#include "backend/cpu/common.h"
#include "backend/cpu/index.h"
#include "backend/cpu/tile.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/rope.cc"
#include "backend/cpu/each_target.h"
#include "backend/cpu/simd.h"

HWY_BEFORE_NAMESPACE();
namespace lazuli::cpu {
namespace HWY_NAMESPACE {
namespace {

template <class T>
void rotate(const RopeRow& row) {
  const T* x = static_cast<const T*>(row.x);
  T* out = static_cast<T*>(row.out);
  const int64_t half = row.half, step = lanes();
  const VF sign = splat(row.back ? -1.0f : 1.0f);
  for (int64_t i = 0; i < half; i += step) {
    const int64_t n = std::min(step, half - i);
    const bool whole = n == step;
    const VF c = whole ? load(row.cos + i) : load_n(row.cos + i, n);
    const VF s = hn::Mul(whole ? load(row.sin + i) : load_n(row.sin + i, n), sign);
    const VF a = whole ? load(x + i) : load_n(x + i, n), b = whole ? load(x + half + i) : load_n(x + half + i, n);
    const VF left = hn::NegMulAdd(b, s, hn::Mul(a, c)), right = hn::MulAdd(a, s, hn::Mul(b, c));
    if (whole) {
      store(left, out + i);
      store(right, out + half + i);
    } else {
      store_n(left, out + i, n);
      store_n(right, out + half + i, n);
    }
  }
}

RotateFn find_rotate(DType dtype) { return dtype == DType::bf16 ? rotate<bf16> : dtype == DType::f16 ? rotate<f16> : rotate<float>; }

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace lazuli::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lazuli::cpu {
namespace {

HWY_EXPORT(find_rotate);

/// Elements that one task turns.
constexpr int64_t kTaskElements = 64 << 10;

struct Rope {
  Op op;
  DType dtype, table_dtype, offset_dtype;
  bool back;
  int64_t tokens, size, half, positions;
  StridedView rows;  ///< the dims before the last
  int64_t total, rows_per_task;
  RotateFn rotate;
  TileLoad load_table;

  void run(const KernelArgs& args, int64_t begin, int64_t end) const {
    const int64_t offset = integer_at(args.in[3], offset_dtype);
    const auto bytes = size_of(dtype);
    const int64_t last = std::min(end * rows_per_task, total);
    int64_t row = begin * rows_per_task;
    while (row < last) {
      const StridedRun run = run_at(rows, row);
      for (int64_t i = 0; i < run.length && row < last; ++i, ++row) {
        const int64_t position = offset + row % tokens;
        if (position < 0 || position >= positions) fail_index(op, "position", position, positions);
        const void* x = element_at(args.in[0], run.offset + i * run.stride, bytes);
        void* out = element_at(args.out[0], row * size, bytes);
        float* tables = static_cast<float*>(args.thread_scratch);
        rotate({x, out, table(args.in[1], position, tables), table(args.in[2], position, tables + half), half, back});
        std::memcpy(element_at(out, 2 * half, bytes), element_at(x, 2 * half, bytes), static_cast<size_t>(size - 2 * half) * bytes);
      }
    }
  }
  /// A row of a table as f32.
  const float* table(const void* data, int64_t position, float* converted) const {
    const void* row = element_at(data, position * half, size_of(table_dtype));
    if (table_dtype == DType::f32) return static_cast<const float*>(row);
    load_table(row, converted, half);
    return converted;
  }
};

}  // namespace

PreparedOp prepare_rope(const KernelRequest& request) {
  if (has_f64(request)) return reference_backend().prepare(request);
  const OperandSpec &x = request.inputs[0], &cos = request.inputs[1];
  const int last = x.shape.rank() - 1;
  Rope state;
  state.op = request.op;
  state.dtype = x.dtype;
  state.table_dtype = cos.dtype;
  state.offset_dtype = request.inputs[3].dtype;
  state.back = request.attrs.i[0] != 0;
  state.tokens = x.shape[last - 1];
  state.size = x.shape[last];
  state.half = cos.shape[1];
  state.positions = cos.shape[0];
  state.rows =
      StridedView(Shape(x.shape.span().first(static_cast<size_t>(last))), Strides(x.strides.span().first(static_cast<size_t>(last))));
  state.total = state.size == 0 ? 0 : x.shape.numel() / state.size;
  state.rows_per_task = std::max<int64_t>(kTaskElements / std::max<int64_t>(state.size, 1), 1);
  state.rotate = HWY_DYNAMIC_DISPATCH(find_rotate)(x.dtype);
  state.load_table = tile_load(cos.dtype);
  const int64_t tasks = tasks_for(state.total, state.rows_per_task);
  const auto scratch = static_cast<size_t>(2 * state.half) * sizeof(float);
  PreparedOp op = make_op(request, "rope", std::move(state), tasks, 3);
  op.thread_scratch_bytes = scratch;
  if (x.shape[last] > 1 && x.strides[last] != 1) op.needs_contiguous |= 1;
  for (uint32_t k : {1u, 2u}) {
    if (!request.inputs[k].contiguous) op.needs_contiguous |= 1u << k;
  }
  return op;
}

}  // namespace lazuli::cpu
#endif
