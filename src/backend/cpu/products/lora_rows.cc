// Low-rank products of which each batch entry chooses its own: base + scales[c] * (x@a[c]^T)@b[c]^T. Both products are one Gemm for an
// entry, run with that entry's pointers; t = scales[c] * (x@a[c]^T) stays in f32 scratch.
#include "graph/ops/lora_rows.h"

#include <algorithm>
#include <cstring>

#include "backend/cpu/common/index.h"
#include "backend/cpu/gemm/gemm_op.h"
#include "lazuli/op.h"

namespace lazuli::cpu {

namespace {

int64_t in_bytes(int64_t elements, DType dtype) { return elements * static_cast<int64_t>(size_of(dtype)); }
const void* from(const void* data, int64_t bytes) { return static_cast<const std::byte*>(data) + bytes; }

/// What both products know of an entry.
struct Entries {
  int64_t adapters;
  int64_t low_floats;  ///< of t of an entry
  /// -1 for none; throws ValueError for a choice that is no adapter.
  int64_t adapter(const KernelArgs& args, int64_t entry) const {
    const int64_t c = static_cast<const int32_t*>(args.in[operand::lora_rows::choice])[entry];
    if (c < -1 || c >= adapters) fail_index(Op::lora_rows, "adapter", c, adapters);
    return c;
  }
  float* low(const KernelArgs& args, int64_t entry) const { return static_cast<float*>(args.scratch) + entry * low_floats; }
};

/// t of an entry.
struct Shrink {
  Gemm gemm;
  Entries entries;
  int64_t shared_start, x_bytes, a_bytes;  ///< floats before the packed operands; from an entry, an adapter to the next
  DType scale_dtype;
  GemmPointers pointers(const KernelArgs& args, int64_t entry, int64_t adapter) const {
    GemmPointers p{};
    p.a[0] = from(args.in[0], entry * x_bytes);
    p.b[0] = from(args.in[operand::lora_rows::a], adapter * a_bytes);
    p.out = entries.low(args, entry);
    p.factor = static_cast<float>(factor(from(args.in[operand::lora_rows::scales], in_bytes(adapter, scale_dtype)), scale_dtype));
    p.shared = static_cast<float*>(args.scratch) + shared_start + entry * static_cast<int64_t>(gemm.shared_bytes() / sizeof(float));
    return p;
  }
  void without_adapter(const KernelArgs&, int64_t) const {}
};

/// base + t@b^T of an entry.
struct Grow {
  Gemm gemm;
  Entries entries;
  int64_t shared_start, b_bytes, out_bytes;
  bool has_base;
  GemmPointers pointers(const KernelArgs& args, int64_t entry, int64_t adapter) const {
    GemmPointers p{};
    p.a[0] = entries.low(args, entry);
    p.b[0] = from(args.in[operand::lora_rows::b], adapter * b_bytes);
    p.out = static_cast<std::byte*>(args.out[0]) + entry * out_bytes;
    if (has_base) p.residual = from(args.in[operand::lora_rows::base], entry * out_bytes);
    p.shared = static_cast<float*>(args.scratch) + shared_start + entry * static_cast<int64_t>(gemm.shared_bytes() / sizeof(float));
    return p;
  }
  void without_adapter(const KernelArgs& args, int64_t entry) const {
    std::byte* out = static_cast<std::byte*>(args.out[0]) + entry * out_bytes;
    if (has_base) {
      std::memmove(out, from(args.in[operand::lora_rows::base], entry * out_bytes), static_cast<size_t>(out_bytes));
    } else {
      std::memset(out, 0, static_cast<size_t>(out_bytes));
    }
  }
};

/// The tasks of all entries' products, one entry after the other.
template <class Product>
struct EachEntry {
  Product product;
  void run(const KernelArgs& args, int64_t begin, int64_t end) const {
    const int64_t tasks = product.gemm.tasks();
    for (int64_t task = begin; task < end; ++task) {
      const int64_t entry = task / tasks, own = task % tasks, adapter = product.entries.adapter(args, entry);
      if (adapter >= 0) {
        product.gemm.run(product.pointers(args, entry, adapter), args.thread_scratch, own, own + 1);
      } else if (own == 0) {
        product.without_adapter(args, entry);
      }
    }
  }
};

template <class Product>
struct PackEachEntry {
  std::shared_ptr<const EachEntry<Product>> owner;
  void run(const KernelArgs& args, int64_t begin, int64_t end) const {
    const Product& product = owner->product;
    const int64_t tasks = product.gemm.pack_tasks();
    for (int64_t task = begin; task < end; ++task) {
      const int64_t entry = task / tasks, own = task % tasks, adapter = product.entries.adapter(args, entry);
      if (adapter >= 0) product.gemm.pack(product.pointers(args, entry, adapter), own, own + 1);
    }
  }
};

template <class Product>
void add_phases(PreparedOp& op, Product product, int64_t batch) {
  const int64_t tasks = product.gemm.tasks() * batch, pack_tasks = product.gemm.pack_tasks() * batch;
  op.scratch_bytes += static_cast<size_t>(batch) * product.gemm.shared_bytes();
  op.thread_scratch_bytes = std::max(op.thread_scratch_bytes, product.gemm.thread_scratch_bytes());
  op.flops += product.gemm.flops() * static_cast<double>(batch);
  Kernel kernel = make_kernel(EachEntry<Product>{std::move(product)}, tasks);
  if (pack_tasks > 0) {
    op.phases.push_back(make_kernel(PackEachEntry<Product>{std::static_pointer_cast<const EachEntry<Product>>(kernel.state)}, pack_tasks));
  }
  op.phases.push_back(std::move(kernel));
}

/// The last two dims, the first of which is the rows of the product's right side when it is read transposed.
MatrixLayout transposed(const OperandSpec& s) { return {s.dtype, s.strides[2], s.strides[1]}; }

/// Scratch that one entry's packed operands take, so that the next ones are aligned: Gemm::shared_bytes in whole cache lines.
int64_t floats_so_far(const PreparedOp& op) { return static_cast<int64_t>(op.scratch_bytes / sizeof(float)); }

}  // namespace

PreparedOp prepare_lora_rows(const KernelRequest& request) {
  namespace in = operand::lora_rows;
  if (has_f64(request)) return reference_backend().prepare(request);
  const OperandSpec &x = request.inputs[0], &a = request.inputs[in::a], &b = request.inputs[in::b];
  const int64_t batch = x.shape[0], tokens = x.shape[1], rank = a.shape[1], n = b.shape[1];
  const DType out = request.outputs[0].dtype;
  const bool has_base = request.inputs.size() > 5;
  PreparedOp op;
  op.bytes = bytes_of(request);
  op.name = "lora_rows";
  for (size_t k = 3; k < request.inputs.size(); ++k) {
    if (!request.inputs[k].contiguous) op.needs_contiguous |= 1u << k;
  }
  const Entries entries{a.shape[0], (tokens * rank + 15) / 16 * 16};
  op.scratch_bytes = static_cast<size_t>(batch * entries.low_floats) * sizeof(float);
  GemmSpec low;
  low.m = tokens;
  low.n = rank;
  low.terms = {{{x.dtype, x.strides[1], x.strides[2]}, transposed(a), x.shape[2]}};
  low.scaled = true;
  add_phases(op,
             Shrink{Gemm(std::move(low)), entries, floats_so_far(op), in_bytes(x.strides[0], x.dtype), in_bytes(a.strides[0], a.dtype),
                    request.inputs[in::scales].dtype},
             batch);
  GemmSpec high;
  high.m = tokens;
  high.n = n;
  high.terms = {{{DType::f32, rank, 1}, transposed(b), rank}};
  high.out = out;
  high.residual = has_base;
  add_phases(op,
             Grow{Gemm(std::move(high)), entries, floats_so_far(op), in_bytes(b.strides[0], b.dtype), in_bytes(tokens * n, out), has_base},
             batch);
  if (has_base) op.in_place = {5};
  return op;
}

}  // namespace lazuli::cpu
