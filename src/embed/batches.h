// Declares what Embedder runs: the function it compiles, and how many texts it takes into one batch.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "lazuli/embed.h"
#include "lazuli/transforms.h"

namespace lazuli {

/// (ids, mask, pooled) of an EmbeddingBatch -> (vectors). `adapter` may be null.
Function embedding_function(std::shared_ptr<const EmbeddingModel> model, std::shared_ptr<const AdapterContext> adapter);

/// (ids, positions, starts, pooled) of a PackedBatch -> (vectors).
Function packed_embedding_function(std::shared_ptr<const EmbeddingModel> model, std::shared_ptr<const AdapterContext> adapter);

/// Whether texts are packed on a device; they are padded elsewhere.
bool packs_on(const EmbeddingModel& model, Device device);

/// The operands of the two functions for so many texts and tokens; the tokens are those of each text, or of all where they are packed.
std::vector<TensorSpec> batch_specs(int64_t rows, int64_t tokens);
std::vector<TensorSpec> packed_batch_specs(int64_t rows, int64_t tokens);

/// Texts of one batch when the longest of them has so many tokens: at most `batch_size`, fewer where they are long.
int64_t rows_of_batch(int64_t tokens, int64_t batch_size);

}  // namespace lazuli
