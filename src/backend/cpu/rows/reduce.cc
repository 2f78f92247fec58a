// Reductions: sum, mean, max and min of floats as chains without steps; log-sum-exp, variance, argmax and integers row by row.
#include <cmath>
#include <limits>

#include "backend/cpu/elementwise/chain_loop.h"
#include "backend/cpu/tiles/tile_io.h"
#include "graph/ops/sum.h"
#include "graph/ops/var.h"
#include "lazuli/op.h"

namespace lazuli::cpu {

namespace {

bool is_float_tile(DType t) { return t == DType::f32 || t == DType::bf16 || t == DType::f16; }

/// The operand with its folded axes last: row o holds what is folded into result o.
struct RowSpace {
  Shape shape;
  OperandSpec operand;
  int64_t rows = 1, count = 1;
  explicit RowSpace(const KernelRequest& request) : operand(request.inputs[0]) {
    const OperandSpec& x = request.inputs[0];
    operand.strides = Strides();
    for (const bool folded : {false, true}) {
      for (int d = 0; d < x.shape.rank(); ++d) {
        if (((request.attrs[attr::sum::axes] >> d & 1) != 0) != folded) continue;
        (folded ? count : rows) *= x.shape[d];
        shape.push_back(x.shape[d]);
        operand.strides.push_back(x.strides[d]);
      }
    }
    operand.shape = shape;
  }
};

/// Rows of floats read tile by tile.
struct FloatRows {
  Op op;
  TileReader x;
  int64_t rows, count, per_task, correction;
  size_t tile_at, out_size;
  TileStore store;
  TileFn shift, bend;  // x - number, then its square or exp
  TileFold sum, max;

  template <class Body>
  void each_tile(const KernelArgs& args, int64_t row, Body body) const {
    for (int64_t at = 0; at < count; at += kTile) {
      const int64_t n = std::min(kTile, count - at);
      body(x.at(args, args.in[0], row * count + at, n), at, n);
    }
  }

  float largest(const KernelArgs& args, int64_t row) const {
    float top = -std::numeric_limits<float>::infinity();
    each_tile(args, row, [&](const float* v, int64_t, int64_t n) {
      const float m = max(v, n);
      if (m != m || m > top) top = m;
    });
    return top;
  }

  // Sum of bend(x - by), in double across tiles.
  double bent_sum(const KernelArgs& args, int64_t row, float by) const {
    auto* tile = static_cast<float*>(element_at(args.thread_scratch, static_cast<int64_t>(tile_at), 1));
    double total = 0;
    each_tile(args, row, [&](const float* v, int64_t, int64_t n) {
      shift(v, &by, nullptr, tile, n);
      bend(tile, nullptr, nullptr, tile, n);
      total += static_cast<double>(sum(tile, n));
    });
    return total;
  }

  float log_sum_exp(const KernelArgs& args, int64_t row) const {
    const float top = largest(args, row);
    return std::isinf(top) ? top : static_cast<float>(static_cast<double>(top) + std::log(bent_sum(args, row, top)));
  }

  float variance(const KernelArgs& args, int64_t row) const {
    double total = 0;
    each_tile(args, row, [&](const float* v, int64_t, int64_t n) { total += static_cast<double>(sum(v, n)); });
    const auto mean = static_cast<float>(total / static_cast<double>(count));
    return static_cast<float>(bent_sum(args, row, mean) / static_cast<double>(std::max<int64_t>(count - correction, 0)));
  }

  // The first of equals; NaN counts as the largest. Only the tile that holds the largest is searched.
  int32_t argmax(const KernelArgs& args, int64_t row) const {
    float top = 0;
    int64_t best = -1;
    each_tile(args, row, [&](const float* v, int64_t at, int64_t n) {
      const float m = max(v, n);
      if (best >= 0 && (top != top || !(m > top || m != m))) return;
      top = m;
      for (best = 0; !(v[best] == m || (m != m && v[best] != v[best]));) ++best;
      best += at;
    });
    return static_cast<int32_t>(best);
  }

  void run(const KernelArgs& args, int64_t begin, int64_t end) const {
    each_row(rows, per_task, begin, end, [&](int64_t r) {
      if (op == Op::argmax) {
        static_cast<int32_t*>(args.out[0])[r] = argmax(args, r);
        return;
      }
      const float value = op == Op::var ? variance(args, r) : log_sum_exp(args, r);
      store(&value, element_at(args.out[0], r, out_size), 1);
    });
  }
};

/// Rows of integers; sums wrap.
template <class T>
struct IntegerRows {
  Op op;
  StridedView view;
  int64_t rows, count, per_task;

  T fold(const T* tile, int64_t n, T so_far) const {
    for (int64_t i = 0; i < n; ++i) {
      if (op == Op::max) so_far = std::max(so_far, tile[i]);
      if (op == Op::min) so_far = std::min(so_far, tile[i]);
      if (op == Op::sum) so_far = static_cast<T>(static_cast<uint64_t>(so_far) + static_cast<uint64_t>(tile[i]));
    }
    return so_far;
  }

  void run(const KernelArgs& args, int64_t begin, int64_t end) const {
    auto* tile = static_cast<T*>(args.thread_scratch);
    each_row(rows, per_task, begin, end, [&](int64_t r) {
      T value = op == Op::max ? std::numeric_limits<T>::lowest() : op == Op::min ? std::numeric_limits<T>::max() : T{0};
      int64_t best = 0;
      for (int64_t at = 0; at < count; at += kTile) {
        const int64_t n = std::min(kTile, count - at);
        gather(view, args.in[0], sizeof(T), r * count + at, n, tile);
        if (op != Op::argmax) {
          value = fold(tile, n, value);
          continue;
        }
        for (int64_t i = 0; i < n; ++i) {
          if (at + i == 0 || tile[i] > value) value = tile[i], best = at + i;
        }
      }
      if (op == Op::argmax) {
        static_cast<int32_t*>(args.out[0])[r] = static_cast<int32_t>(best);
      } else {
        static_cast<T*>(args.out[0])[r] = value;
      }
    });
  }
};

template <class T>
PreparedOp reduce_integers(const KernelRequest& request) {
  const RowSpace space(request);
  const IntegerRows<T> state{request.op, StridedView(space.shape, space.operand.strides), space.rows, space.count,
                             rows_per_task(space.count)};
  PreparedOp op = make_op(request, name_of(request.op).data(), state, tasks_for(state.rows, state.per_task));
  op.thread_scratch_bytes = static_cast<size_t>(kTile) * sizeof(T);
  return op;
}

PreparedOp prepare_float_rows(const KernelRequest& request) {
  const RowSpace space(request);
  ScratchPlan plan;
  FloatRows state{};
  state.op = request.op;
  state.x = TileReader(request, space.operand, space.shape, plan);
  state.rows = space.rows;
  state.count = space.count;
  state.per_task = rows_per_task(space.count);
  state.correction = request.attrs[attr::var::correction];
  state.tile_at = plan.take(static_cast<size_t>(kTile) * sizeof(float));
  state.out_size = size_of(request.outputs[0].dtype);
  state.store = tile_store(request.outputs[0].dtype);
  state.shift = tile_fn(Op::sub, 2);
  state.bend = tile_fn(request.op == Op::var ? Op::square : Op::exp, 0);
  state.sum = tile_fold(Op::sum);
  state.max = tile_fold(Op::max);
  PreparedOp op = make_op(request, name_of(request.op).data(), state, tasks_for(state.rows, state.per_task), 4);
  op.thread_scratch_bytes = plan.bytes();
  return op;
}

}  // namespace

PreparedOp prepare_reduce(const KernelRequest& request) {
  const OperandSpec& x = request.inputs[0];
  switch (x.dtype) {
    case DType::i32:
      return reduce_integers<int32_t>(request);
    case DType::i64:
      return reduce_integers<int64_t>(request);
    case DType::i8:
      return reduce_integers<int8_t>(request);
    case DType::u8:
      return reduce_integers<uint8_t>(request);
    default:
      break;
  }
  if (!is_float_tile(x.dtype)) return reference_backend().prepare(request);
  if (request.op == Op::logsumexp || request.op == Op::var || request.op == Op::argmax) return prepare_float_rows(request);
  ElementwiseProgram program;
  program.inputs = 1;
  program.outputs = {0};
  program.shape = x.shape;
  program.reduces = true;
  program.reduction = request.op;
  program.axes = request.attrs[attr::sum::axes];
  return prepare_chain_reduction(request, program);
}

}  // namespace lazuli::cpu
