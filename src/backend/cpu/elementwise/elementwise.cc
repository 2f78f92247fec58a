// Elementwise ops: floats as chains of one step, integers as typed loops, copies as plain moves of bytes.
#include <cstring>

#include "backend/cpu/common/thresholds.h"
#include "backend/cpu/elementwise/chain_loop.h"
#include "backend/cpu/elementwise/typed.h"
#include "lazuli/op.h"

namespace lazuli::cpu {

namespace {

/// All operands f32 and row-major, or one number: one call of the loop.
struct DirectLoop {
  TileFn fn;
  int64_t numel, chunk;
  int64_t step[3];  // 1, or 0 for a number
  int operands;
  void run(const KernelArgs& args, int64_t begin, int64_t end) const {
    const int64_t first = begin * chunk, last = std::min(end * chunk, numel);
    const float* in[3] = {};
    for (int k = 0; k < operands; ++k) in[k] = static_cast<const float*>(args.in[k]) + first * step[k];
    fn(in[0], in[1], in[2], static_cast<float*>(args.out[0]) + first, last - first);
  }
};

/// Elements keep their bytes.
struct CopyLoop {
  StridedView view;
  size_t element_size;
  void run(const KernelArgs& args, int64_t begin, int64_t end) const {
    const int64_t first = begin * threshold::elementwise::kChunk, last = std::min(end * threshold::elementwise::kChunk, view.numel);
    void* dst = element_at(args.out[0], first, element_size);
    if (view.contiguous()) {
      const void* src = element_at(args.in[0], first, element_size);
      if (dst != src) std::memcpy(dst, src, static_cast<size_t>(last - first) * element_size);
    } else {
      gather(view, args.in[0], element_size, first, last - first, dst);
    }
  }
};

/// Operands of one dtype in runs of a tile, gathered into thread_scratch where they are strided.
struct TypedLoop {
  TypedFn fn;
  StridedView view[3];
  size_t element_size[3];
  size_t result_size;
  int64_t numel;
  int operands;
  void run(const KernelArgs& args, int64_t begin, int64_t end) const {
    for (int64_t first = begin * kTile; first < std::min(end * kTile, numel); first += kTile) {
      const int64_t n = std::min(kTile, numel - first);
      const void* in[3] = {};
      for (int k = 0; k < operands; ++k) {
        if (view[k].contiguous()) {
          in[k] = element_at(args.in[k], first, element_size[k]);
        } else {
          void* tile = element_at(args.thread_scratch, k * kTile, 8);
          gather(view[k], args.in[k], element_size[k], first, n, tile);
          in[k] = tile;
        }
      }
      fn(in[0], in[1], in[2], element_at(args.out[0], first, result_size), n);
    }
  }
};

bool direct_loop(const KernelRequest& request, DirectLoop& loop) {
  const OperandSpec& out = request.outputs[0];
  if (request.op == Op::cast || out.dtype != DType::f32 || request.inputs.size() > 3) return false;
  int scalars = 0;
  for (size_t k = 0; k < request.inputs.size(); ++k) {
    const OperandSpec& in = request.inputs[k];
    if (in.dtype != DType::f32) return false;
    const StridedView view(in, out.shape);
    if (!view.contiguous() && !view.scalar()) return false;
    loop.step[k] = view.contiguous() ? 1 : 0;
    if (!view.contiguous()) scalars |= 1 << k;
  }
  loop.fn = tile_fn(request.op, scalars);
  loop.numel = out.shape.numel();
  loop.operands = static_cast<int>(request.inputs.size());
  return loop.fn != nullptr;
}

/// The inputs that may become the result.
std::vector<int> in_place_of(const KernelRequest& request) {
  for (size_t k = 0; k < request.inputs.size(); ++k) {
    const OperandSpec& in = request.inputs[k];
    if (in.contiguous && in.dtype == request.outputs[0].dtype && in.shape == request.outputs[0].shape) return {static_cast<int>(k)};
  }
  return {-1};
}

PreparedOp prepare_typed(const KernelRequest& request) {
  const OperandSpec& out = request.outputs[0];
  TypedLoop loop{};
  const DType from = request.inputs[request.op == Op::where ? 1 : 0].dtype;
  loop.fn = request.op == Op::cast ? typed_cast(from, out.dtype) : typed_fn(request.op, from);
  if (loop.fn == nullptr) fail_dtype(request, from);
  for (size_t k = 0; k < request.inputs.size(); ++k) {
    loop.view[k] = StridedView(request.inputs[k], out.shape);
    loop.element_size[k] = size_of(request.inputs[k].dtype);
  }
  loop.result_size = size_of(out.dtype);
  loop.numel = out.shape.numel();
  loop.operands = static_cast<int>(request.inputs.size());
  PreparedOp op = make_op(request, name_of(request.op).data(), loop, tasks_for(loop.numel, kTile));
  op.thread_scratch_bytes = 3 * kTile * 8;
  return op;
}

PreparedOp prepare_single(const KernelRequest& request) {
  const OperandSpec& out = request.outputs[0];
  const char* name = name_of(request.op).data();
  if (request.op == Op::copy || (request.op == Op::cast && request.inputs[0].dtype == out.dtype)) {
    const CopyLoop loop{StridedView(request.inputs[0], out.shape), size_of(out.dtype)};
    return make_op(request, name, loop, tasks_for(out.shape.numel(), threshold::elementwise::kChunk), 0);
  }
  DirectLoop direct{};
  if (direct_loop(request, direct)) {
    direct.chunk = request.op == Op::pow || request.op == Op::sin || request.op == Op::cos ? kTile : threshold::elementwise::kChunk;
    return make_op(request, name, direct, tasks_for(direct.numel, direct.chunk));
  }
  // The op as a program of one instruction.
  ElementwiseProgram program;
  program.inputs = static_cast<uint16_t>(request.inputs.size());
  program.code.push_back({request.op, {0, 1, 2}, out.dtype});
  program.outputs.push_back(program.inputs);
  program.shape = out.shape;
  const ChainSource source = chain_source(request, program);
  return Chain::supports(source) ? prepare_chain_loop(request, source) : prepare_typed(request);
}

}  // namespace

PreparedOp prepare_elementwise(const KernelRequest& request) {
  for (const OperandSpec& in : request.inputs) {
    if (in.dtype == DType::f64 || request.outputs[0].dtype == DType::f64) return reference_backend().prepare(request);
  }
  PreparedOp op = prepare_single(request);
  if (op.in_place.empty()) op.in_place = in_place_of(request);
  return op;
}

}  // namespace lazuli::cpu
