// The draw of a token on the cpu backend. Without filters it is a few passes over the logits; with them, two more for each eleven bits of
// the order. No more than the forward pass writes, so one task does it.
#include "backend/sample.h"

#include "backend/cpu/rows.h"

namespace lazuli::cpu {

namespace {

struct Sample {
  RowReader logits;
  size_t ids;
  DType length;
  void run(const KernelArgs& args, int64_t, int64_t) const {
    const auto n = static_cast<size_t>(logits.count());
    const SampleRules rules = SampleRules::from(static_cast<const float*>(args.in[3]), static_cast<const int64_t*>(args.in[4]));
    const int64_t used = length == DType::i32 ? *static_cast<const int32_t*>(args.in[2]) : *static_cast<const int64_t*>(args.in[2]);
    auto* buckets = static_cast<SampleBucket*>(args.scratch);
    auto* values = reinterpret_cast<float*>(buckets + kSampleBuckets);
    const std::span<const int32_t> all(static_cast<const int32_t*>(args.in[1]), ids);
    const int32_t token = sample_token({logits.row(args, args.in[0], 0), n}, sample_recent(all, used, rules.context), rules,
                                       used - rules.first, {values, n}, buckets);
    if (args.out[0] != nullptr) *static_cast<int32_t*>(args.out[0]) = token;
  }
};

}  // namespace

PreparedOp prepare_sample(const KernelRequest& request) {
  if (has_f64(request)) return reference_backend().prepare(request);
  PreparedOp op;
  for (size_t k : {size_t{1}, size_t{3}, size_t{4}}) {
    if (!request.inputs[k].contiguous) op.needs_contiguous |= 1U << k;
  }
  if (op.needs_contiguous != 0) return op;
  ScratchPlan plan;
  const RowReader logits(request, request.inputs[0], 0, plan);
  const auto ids = static_cast<size_t>(request.inputs[1].shape.numel());
  op = make_op(request, "sample", Sample{logits, ids, request.inputs[2].dtype}, 1, 30);
  op.thread_scratch_bytes = plan.bytes();
  op.scratch_bytes = kSampleBuckets * sizeof(SampleBucket) + static_cast<size_t>(logits.count()) * sizeof(float);
  return op;
}

}  // namespace lazuli::cpu
