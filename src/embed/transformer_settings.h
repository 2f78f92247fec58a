// Defines TransformerSettings, what sentence-transformers' Transformer module says about its texts.
#pragma once

#include <cstdint>

#include "io/model_folder.h"

namespace lazuli {

/// What sentence-transformers loads the transformer for.
enum class TransformerTask : uint8_t { states, classification, generation };

struct TransformerSettings {
  int64_t max_seq_length = 0;  ///< tokens of a text, special ones included
  bool lower_case = false;     ///< texts are lower-cased before the tokenizer's own steps

  /// Reads `sentence_bert_config.json`, or the same file under its older names, and `tokenizer_config.json`. `context` is the most tokens
  /// that the encoder takes. Throws IoError, and FormatError for settings that would change what is computed and are not supported.
  static TransformerSettings read(ModelFolder& folder, int64_t context, TransformerTask task = TransformerTask::states);
};

}  // namespace lazuli
