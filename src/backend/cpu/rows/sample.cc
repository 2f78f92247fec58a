// The draw of a token on the cpu backend. Without filters it is a few passes over the logits; with them, two more for each eleven bits of
// the order. No more than the forward pass writes, so one task does a row.
#include "backend/sample.h"

#include "backend/cpu/common/index.h"
#include "backend/cpu/tiles/rows.h"
#include "graph/ops/sample.h"

namespace lazuli::cpu {

namespace {

struct Sample {
  RowReader logits;
  int64_t ids;
  DType length;
  bool alone;  ///< one row: buckets and values lie in the shared scratch
  size_t own;  ///< where they lie in the thread's scratch otherwise
  void run(const KernelArgs& args, int64_t begin, int64_t end) const {
    void* memory = alone ? args.scratch : element_at(args.thread_scratch, static_cast<int64_t>(own), 1);
    for (int64_t row = begin; row < end; ++row) {
      const int32_t token = draw(args, row, static_cast<SampleBucket*>(memory));
      if (args.out[0] != nullptr) static_cast<int32_t*>(args.out[0])[row] = token;
    }
  }
  int32_t draw(const KernelArgs& args, int64_t row, SampleBucket* buckets) const {
    const auto n = static_cast<size_t>(logits.count());
    const SampleRules rules = SampleRules::from(static_cast<const float*>(args.in[operand::sample::rules]) + row * 4,
                                                static_cast<const int64_t*>(args.in[operand::sample::counts]) + row * 4);
    const int64_t used = integer_at(args.in[operand::sample::length], length, row);
    const std::span<const int32_t> all(static_cast<const int32_t*>(args.in[operand::sample::ids]) + row * ids, static_cast<size_t>(ids));
    auto* values = reinterpret_cast<float*>(buckets + kSampleBuckets);
    return sample_token({logits.row(args, args.in[0], row), n}, sample_recent(all, used, rules.context), rules, used - rules.first,
                        {values, n}, buckets);
  }
};

}  // namespace

PreparedOp prepare_sample(const KernelRequest& request) {
  if (has_f64(request)) return reference_backend().prepare(request);
  PreparedOp op;
  for (size_t k = 1; k < 5; ++k) {
    if (!request.inputs[k].contiguous) op.needs_contiguous |= 1U << k;
  }
  if (op.needs_contiguous != 0) return op;
  const Shape& shape = request.inputs[0].shape;
  const int64_t rows = request.outputs[0].shape.numel();
  const size_t bytes = kSampleBuckets * sizeof(SampleBucket) + static_cast<size_t>(shape.back()) * sizeof(float);
  ScratchPlan plan;
  const RowReader logits(request, request.inputs[0], shape.rank() - 1, plan);
  const bool alone = rows == 1;
  const size_t own = alone ? 0 : plan.take(bytes);
  op = make_op(request, "sample",
               Sample{logits, request.inputs[operand::sample::ids].shape.back(), request.inputs[operand::sample::length].dtype, alone, own},
               rows, 30);
  op.thread_scratch_bytes = plan.bytes();
  op.scratch_bytes = alone ? bytes : 0;
  return op;
}

}  // namespace lazuli::cpu
