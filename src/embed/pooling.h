// Defines Pooling, which makes one vector of the states of a text's tokens.
#pragma once

#include <string>
#include <vector>

#include "io/model_folder.h"
#include "lazuli/lazy_tensor.h"

namespace lazuli {

enum class PoolingMode : uint8_t { cls, max, mean, mean_sqrt_len_tokens, weightedmean, lasttoken };

struct Pooling {
  std::vector<PoolingMode> modes = {PoolingMode::mean};  ///< their vectors are joined in this order
  bool include_prompt = true;

  /// Reads the `config.json` of sentence-transformers' Pooling in its folder, with a flag for each mode or with their names. Throws
  /// IoError, and FormatError when a mode is unknown or `states` is not the size the file has.
  static Pooling read(ModelFolder& folder, int64_t states);

  /// states (batch, tokens, size) and mask (batch, tokens) bool -> (batch, modes * size) f32. A row whose mask has nothing gives zeros,
  /// except for cls, max and lasttoken, which are not defined there.
  LazyTensor forward(const LazyTensor& states, const LazyTensor& mask) const;
  /// Whether forward_packed is there: a maximum over a text's rows is not.
  bool packs() const;
  /// The same for texts that lie one after the other: states (tokens, size), mask (rows, tokens) bool, positions (tokens) i32 of the tokens
  /// in their texts -> (rows, modes * size) f32. Throws ValueError where packs() is false.
  LazyTensor forward_packed(const LazyTensor& states, const LazyTensor& mask, const LazyTensor& positions) const;
};

}  // namespace lazuli
