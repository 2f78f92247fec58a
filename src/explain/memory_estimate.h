// Declares estimate_memory, what generating or embedding with a model and fine-tuning it takes, from the plans that would run.
#pragma once

#include <cstdint>
#include <optional>

#include "explain/workload.h"

namespace lazuli {

struct EstimateOptions {
  int64_t context = 0;         ///< positions of the cache; 0: all that the model knows
  int64_t batch = 4;           ///< of fine-tuning
  int64_t max_seq_length = 0;  ///< of embedding and fine-tuning; 0: 2048, or the model's context where that is shorter
  int64_t lora_rank = 8;
};

/// What a model is for: a language model generates, an encoder embeds.
struct UseEstimate {
  int64_t batch = 0, tokens = 0;
  MemoryUse use;
};

struct MemoryEstimate {
  DType dtype = DType::f32;                        ///< of weights and activations
  Quantization quantization = Quantization::none;  ///< of the model's weights
  std::optional<UseEstimate> generate;             ///< `tokens` in the cache; the larger one of the prompt's parts and the steps after it
  std::optional<UseEstimate> embed;                ///< the batches of longest texts
  int64_t rank = 0;
  UseEstimate finetune;  ///< windows of texts, or pairs of them
};

/// Records and plans, but computes nothing. Throws ValueError for sizes that the model cannot have.
MemoryEstimate estimate_memory(const AnyModel& model, const EstimateOptions& options, Device device);

}  // namespace lazuli
