// Rotary position embedding. A task is a run of rows (one token of one head each) of one operand; rows are read where they lie.
#include "backend/cpu/attention/rope.h"

#include <algorithm>
#include <cstring>

#include "backend/cpu/common/common.h"
#include "backend/cpu/common/index.h"
#include "backend/cpu/tiles/tile.h"
#include "graph/ops/rope.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/attention/rope.cc"
#include "backend/cpu/common/each_target.h"
#include "backend/cpu/common/simd.h"
#include "backend/cpu/common/thresholds.h"

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

using threshold::rope::kTaskElements;

/// What is rotated: operand k into result k.
struct Rotated {
  int64_t tokens, size;
  StridedView rows;  ///< the dims before the last
  int64_t total, rows_per_task, tasks;
  int64_t rows_each;  ///< that share an offset
};

struct Rope {
  Op op;
  DType dtype, table_dtype, offset_dtype;
  bool back;
  int64_t half, positions;
  size_t count;  ///< of what is rotated; the tables and the offset are the operands behind it
  Rotated rotated[2];
  RotateFn rotate;
  TileLoad load_table;

  void run(const KernelArgs& args, int64_t begin, int64_t end) const {
    int64_t first = 0;
    for (size_t k = 0; k < count; ++k) {
      const int64_t tasks = rotated[k].tasks;
      if (begin < first + tasks && end > first) turn(args, k, std::max(begin - first, int64_t{0}), std::min(end - first, tasks));
      first += tasks;
    }
  }
  void turn(const KernelArgs& args, size_t k, int64_t begin, int64_t end) const {
    if (args.out[k] == nullptr) return;  // nobody reads it
    const Rotated& t = rotated[k];
    const auto bytes = size_of(dtype);
    const int64_t last = std::min(end * t.rows_per_task, t.total);
    int64_t row = begin * t.rows_per_task;
    while (row < last) {
      const StridedRun run = run_at(t.rows, row);
      const int64_t entry = row / t.rows_each, offset = integer_at(args.in[count + 2], offset_dtype, entry);
      const int64_t stop = std::min({last, row + run.length, (entry + 1) * t.rows_each});
      for (int64_t i = 0; row < stop; ++i, ++row) {
        const int64_t position = offset + row % t.tokens;
        if (position < 0 || position >= positions) fail_index(op, "position", position, positions);
        const void* x = element_at(args.in[k], run.offset + i * run.stride, bytes);
        void* out = element_at(args.out[k], row * t.size, bytes);
        float* tables = static_cast<float*>(args.thread_scratch);
        rotate({x, out, table(args.in[count], position, tables), table(args.in[count + 1], position, tables + half), half, back});
        std::memcpy(element_at(out, 2 * half, bytes), element_at(x, 2 * half, bytes), static_cast<size_t>(t.size - 2 * half) * bytes);
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

Rotated rotated_of(const OperandSpec& x, const OperandSpec& offset) {
  const int last = x.shape.rank() - 1;
  Rotated t;
  t.tokens = x.shape[last - 1];
  t.size = x.shape[last];
  t.rows = StridedView(Shape(x.shape.span().first(static_cast<size_t>(last))), Strides(x.strides.span().first(static_cast<size_t>(last))));
  t.total = t.size == 0 ? 0 : x.shape.numel() / t.size;
  t.rows_per_task = std::max<int64_t>(kTaskElements / std::max<int64_t>(t.size, 1), 1);
  t.tasks = tasks_for(t.total, t.rows_per_task);
  t.rows_each = t.total / std::max<int64_t>(offset.shape.numel(), 1);
  return t;
}

PreparedOp prepare(const KernelRequest& request, const char* name, size_t count) {
  if (has_f64(request)) return reference_backend().prepare(request);
  const OperandSpec& cos = request.inputs[count];
  Rope state;
  state.op = request.op;
  state.dtype = request.inputs[0].dtype;
  state.table_dtype = cos.dtype;
  state.offset_dtype = request.inputs[count + 2].dtype;
  state.back = request.attrs[attr::rope::back] != 0;
  state.half = cos.shape[1];
  state.positions = cos.shape[0];
  state.count = count;
  state.rotate = HWY_DYNAMIC_DISPATCH(find_rotate)(state.dtype);
  state.load_table = tile_load(cos.dtype);
  uint32_t strided = 0;
  int64_t tasks = 0;
  for (size_t k = 0; k < count; ++k) {
    const OperandSpec& x = request.inputs[k];
    const int last = x.shape.rank() - 1;
    state.rotated[k] = rotated_of(x, request.inputs[count + 2]);
    tasks += state.rotated[k].tasks;
    if (x.shape[last] > 1 && x.strides[last] != 1) strided |= 1u << k;
  }
  for (size_t k : {count, count + 1, count + 2}) {
    if (!request.inputs[k].contiguous) strided |= 1u << k;
  }
  const auto scratch = static_cast<size_t>(2 * state.half) * sizeof(float);
  PreparedOp op = make_op(request, name, std::move(state), tasks, 3);
  op.thread_scratch_bytes = scratch;
  op.needs_contiguous = strided;
  return op;
}

}  // namespace

PreparedOp prepare_rope(const KernelRequest& request) { return prepare(request, "rope", 1); }
PreparedOp prepare_rope_pair(const KernelRequest& request) { return prepare(request, "rope_pair", 2); }

}  // namespace lazuli::cpu
#endif
