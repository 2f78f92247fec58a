// Implements what the commands that score texts or pairs with a head share.
#include "cli/pair_scores.h"

#include "base/interrupt.h"
#include "base/progress.h"
#include "cli/data_line.h"

namespace lazuli::cli {

std::vector<PairTokens> tokenize_pairs(size_t count, const std::function<PairTokens(size_t)>& tokenize, const std::string& cut_ends,
                                       const Common& common, DataReport& data) {
  std::vector<PairTokens> pairs;
  pairs.reserve(count);
  int64_t cut = 0;
  for (size_t k = 0; k < count; ++k) {
    pairs.push_back(tokenize(k));
    data.tokens += static_cast<int64_t>(pairs.back().ids.size());
    cut += pairs.back().cut > 0 ? 1 : 0;
  }
  if (cut > 0) data.leave_out(cut_ends, "", cut);
  say_data(common, data);
  return pairs;
}

RerankResult score_pairs(Reranker& reranker, std::span<const PairTokens> pairs, int64_t batch_size, const Common& common,
                         const char* stopped) {
  Progress progress(0, static_cast<int64_t>(pairs.size()), common.quiet);
  RerankOptions options;
  options.batch_size = batch_size;
  options.on_progress = [&progress](int64_t done, int64_t) {
    progress.update(done, "texts");
    return !interrupted();
  };
  RerankResult result = reranker.run(pairs, options);
  progress.clear();
  if (result.cancelled) throw Interrupted(stopped);
  return result;
}

void write_speed(JsonWriter& w, const RerankResult& result) {
  w.field("tokens_per_second", result.seconds > 0 ? static_cast<double>(result.tokens) / result.seconds : 0.0);
  w.field("seconds", result.seconds);
}

}  // namespace lazuli::cli
