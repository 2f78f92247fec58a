// Defines PairSplit, pairs of texts with which an encoder is trained, and their reading from rows.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "io/data_report.h"
#include "lazuli/train.h"

namespace lazuli {

struct TextPair {
  std::string first, second;
  float score = 0;                          ///< the cosine that is wanted; only for PairLoss::scores
  std::vector<std::string> negatives = {};  ///< texts that do not belong to the first; only for PairLoss::negatives
};

struct PairSplit {
  PairLoss loss = PairLoss::contrastive;
  std::vector<TextPair> train, validation;
};

/// Rows of a file, a tenth of them (by `seed`, at least two where they are contrasted) for validation, or of a folder as read_data says:
/// either all {"anchor", "positive"}, each with any number of negatives (columns whose name begins with "negative", texts or lists of
/// them), or all
/// {"sentence1", "sentence2", "score"}, the last of which may be called scores, label or labels. Rows with a null or an empty text are left
/// out; other columns are not read, which is reported. Throws IoError, and FormatError naming the row and the column, also for columns that
/// would change what a row means.
PairSplit read_pairs(const std::string& path, uint64_t seed, DataReport& report, std::span<const std::string> excluded = {});
PairSplit read_pairs(const std::string& path, uint64_t seed);

}  // namespace lazuli
