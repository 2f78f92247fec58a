// Declares what Embedder runs: the function it compiles, and how many texts it takes into one batch.
#pragma once

#include <cstdint>
#include <memory>

#include "lazuli/embed.h"
#include "lazuli/transforms.h"

namespace lazuli {

/// (ids, mask, pooled) of an EmbeddingBatch -> (vectors). `adapter` may be null.
Function embedding_function(std::shared_ptr<const EmbeddingModel> model, std::shared_ptr<const AdapterContext> adapter);

/// Texts of one batch when the longest of them has so many tokens: at most `batch_size`, fewer where they are long.
int64_t rows_of_batch(int64_t tokens, int64_t batch_size);

}  // namespace lazuli
