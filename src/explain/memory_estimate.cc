// Implements estimate_memory.
#include "explain/memory_estimate.h"

#include <algorithm>

namespace lazuli {

namespace {

constexpr int64_t kChunk = 512;
constexpr int64_t kSequence = 2048;

}  // namespace

MemoryEstimate estimate_memory(const std::shared_ptr<const LanguageModel>& model, const EstimateOptions& options, Device device) {
  const ModelInfo& info = model->info();
  const auto within = [&](int64_t n) { return info.context > 0 ? std::min(n, info.context) : n; };
  MemoryEstimate e;
  e.dtype = info.dtype;
  e.context = options.context > 0 ? options.context : within(INT32_MAX);
  e.chunk = std::min(kChunk, e.context);
  const auto use = [&](const WorkloadOptions& o) {
    const Workload w = record_workload(model, nullptr, o);
    return memory_of(w, plan_workload(w, device));
  };
  const MemoryUse prefill = use({.kind = WorkloadKind::prefill, .tokens = e.chunk, .capacity = e.context});
  const MemoryUse decode = use({.kind = WorkloadKind::decode, .tokens = e.context});
  e.generate = prefill.total() > decode.total() ? prefill : decode;
  e.batch = options.batch;
  e.tokens = options.max_seq_length > 0 ? within(options.max_seq_length) : within(kSequence);
  e.rank = options.lora_rank;
  WorkloadOptions train{.kind = WorkloadKind::train, .tokens = e.tokens, .batch = e.batch};
  train.lora.rank = e.rank;
  e.finetune = use(train);
  return e;
}

}  // namespace lazuli
