// Implements estimate_memory.
#include "explain/memory_estimate.h"

#include <fmt/format.h>

#include <algorithm>

#include "embed/batches.h"
#include "lazuli/error.h"

namespace lazuli {

namespace {

constexpr int64_t kChunk = 512;
constexpr int64_t kSequence = 2048;
const EmbedOptions kEmbedDefaults;

MemoryUse use_of(const AnyModel& model, const WorkloadOptions& options, Device device) {
  const Workload w = record_workload(model, nullptr, options, device);
  return memory_of(w, plan_workload(w, device));
}

UseEstimate generating(const AnyModel& model, int64_t context, Device device) {
  const int64_t chunk = std::min(kChunk, context);
  const MemoryUse prefill = use_of(model, {.kind = WorkloadKind::prefill, .tokens = chunk, .capacity = context}, device);
  const MemoryUse decode = use_of(model, {.kind = WorkloadKind::decode, .tokens = context}, device);
  return {1, context, prefill.total() > decode.total() ? prefill : decode};
}

UseEstimate embedding(const AnyModel& model, int64_t tokens, Device device) {
  const int64_t rows = rows_of_batch(tokens, kEmbedDefaults.batch_size);
  return {rows, tokens, use_of(model, {.kind = WorkloadKind::embed, .tokens = tokens, .batch = rows}, device)};
}

}  // namespace

MemoryEstimate estimate_memory(const AnyModel& model, const EstimateOptions& options, Device device) {
  const int64_t context = model.context();
  const auto within = [&](int64_t n) { return context > 0 ? std::min(n, context) : n; };
  const int64_t tokens = within(options.max_seq_length > 0 ? options.max_seq_length : kSequence);
  MemoryEstimate e;
  e.dtype = model.info().dtype;
  e.quantization = model.info().quantization;
  if (model.embedding()) {
    e.embed = embedding(model, tokens, device);
  } else {
    if (context > 0 && options.context > context) {
      throw ValueError(
          fmt::format("[inspect] a context of at most {} positions, those of the model, is expected, got {}", context, options.context));
    }
    e.generate = generating(model, options.context > 0 ? options.context : within(INT32_MAX), device);
  }
  e.rank = options.lora_rank;
  WorkloadOptions train{.kind = WorkloadKind::train, .tokens = tokens, .batch = options.batch};
  train.lora.rank = e.rank;
  e.finetune = {options.batch, tokens, use_of(model, train, device)};
  return e;
}

}  // namespace lazuli
