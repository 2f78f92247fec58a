// Declares estimate_memory, what generating with and fine-tuning a model takes, from the plans that would run.
#pragma once

#include <cstdint>
#include <memory>

#include "explain/workload.h"

namespace lazuli {

struct EstimateOptions {
  int64_t context = 0;         ///< positions of the cache; 0: all that the model knows
  int64_t batch = 4;           ///< of fine-tuning
  int64_t max_seq_length = 0;  ///< of fine-tuning; 0: 2048, or the model's context where that is shorter
  int64_t lora_rank = 8;
};

struct MemoryEstimate {
  DType dtype = DType::f32;  ///< of weights and activations
  int64_t context = 0, chunk = 0;
  MemoryUse generate;  ///< the larger one of the prompt's parts and the steps after it
  int64_t batch = 0, tokens = 0, rank = 0;
  MemoryUse finetune;
};

/// Records and plans, but computes nothing. Throws ValueError for sizes that the model cannot have.
MemoryEstimate estimate_memory(const std::shared_ptr<const LanguageModel>& model, const EstimateOptions& options, Device device);

}  // namespace lazuli
