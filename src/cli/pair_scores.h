// Declares what the commands that score texts or pairs with a head share.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/json_writer.h"
#include "cli/command.h"
#include "io/data_report.h"
#include "lazuli/rerank.h"

namespace lazuli::cli {

/// The tokens of `count` texts or pairs. Says what was read, how many tokens it has and how many texts were cut, which are left out as
/// `cut_ends`; `data` gets that too.
std::vector<PairTokens> tokenize_pairs(size_t count, const std::function<PairTokens(size_t)>& tokenize, const std::string& cut_ends,
                                       const Common& common, DataReport& data);

/// Scores pairs with a progress bar. While the caller holds an InterruptGuard, Ctrl-C cancels between batches: throws Interrupted with the
/// text `stopped`.
RerankResult score_pairs(Reranker& reranker, std::span<const PairTokens> pairs, int64_t batch_size, const Common& common,
                         const char* stopped);

/// The fields tokens_per_second and seconds of a report in JSON.
void write_speed(JsonWriter& w, const RerankResult& result);

}  // namespace lazuli::cli
