#include "train/pairs.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "base/file.h"
#include "base/json.h"
#include "lazuli/error.h"

namespace lazuli {
namespace {

namespace fs = std::filesystem;

constexpr size_t kFileLimit = size_t{4} << 30;
constexpr int64_t kLengthStep = 16;  // lengths of batches are multiples of this, so that few plans are made

struct Row {
  TextPair pair;
  PairLoss loss;
};

Row read_row(const JsonValue& row) {
  if (row.find("anchor"))
    return {{std::string(row.get("anchor").as_string()), std::string(row.get("positive").as_string()), 0}, PairLoss::contrastive};
  if (!row.find("sentence1")) row.fail("a row {\"anchor\", \"positive\"} or {\"sentence1\", \"sentence2\", \"score\"} expected");
  const double score = row.get("score").as_double();
  if (!(score >= -1 && score <= 1)) row.get("score").fail(fmt::format("a cosine from -1 to 1 expected, got {}", score));
  return {{std::string(row.get("sentence1").as_string()), std::string(row.get("sentence2").as_string()), static_cast<float>(score)},
          PairLoss::scores};
}

/// Appends the rows of a file; all rows of all files must have the `loss` of the first.
void read_rows(const fs::path& path, std::optional<PairLoss>& loss, std::vector<TextPair>& out) {
  const std::string bytes = read_file(path.string(), kFileLimit);
  size_t number = 0;
  for (size_t at = 0; at < bytes.size();) {
    const size_t end = std::min(bytes.find('\n', at), bytes.size());
    const std::string_view line = std::string_view(bytes).substr(at, end - at);
    at = end + 1;
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    const JsonDocument document = JsonDocument::parse(line, fmt::format("{}:{}", path.string(), number));
    Row row = read_row(document.root());
    if (loss.value_or(row.loss) != row.loss) document.root().fail("a row of the same kind as the first one expected");
    loss = row.loss;
    out.push_back(std::move(row.pair));
  }
  if (out.empty()) throw FormatError(fmt::format("{}: rows with pairs of texts expected, got none", path.string()));
}

}  // namespace

PairSplit read_pairs(const std::string& path, uint64_t seed) {
  PairSplit split;
  std::optional<PairLoss> loss;
  std::error_code ignored;
  if (fs::is_directory(path, ignored)) {
    const fs::path folder(path);
    read_rows(folder / "train.jsonl", loss, split.train);
    if (fs::exists(folder / "valid.jsonl", ignored)) read_rows(folder / "valid.jsonl", loss, split.validation);
  } else {
    std::vector<TextPair> all;
    read_rows(path, loss, all);
    const auto count = static_cast<int64_t>(all.size());
    const int64_t held_out = count < 2 ? 0 : std::max<int64_t>(count / 10, 1);
    const std::vector<int64_t> order = shuffled(count, seed, 1);
    for (int64_t k = 0; k < count; ++k) {
      TextPair& pair = all[static_cast<size_t>(order[static_cast<size_t>(k)])];
      (k < held_out ? split.validation : split.train).push_back(std::move(pair));
    }
  }
  split.loss = *loss;
  return split;
}

Pairs::Pairs(const EmbeddingModel& model, const std::vector<TextPair>& pairs, PairLoss loss, int64_t max_length)
    : model_(model), loss_(loss) {
  const std::string& prompt = model.prompt({});
  for (const TextPair& pair : pairs) {
    first_.push_back(model.tokenize(pair.first, prompt, max_length));
    second_.push_back(model.tokenize(pair.second, prompt, max_length));
    scores_.push_back(pair.score);
  }
}

std::vector<Tensor> Pairs::batch(std::span<const int64_t> indices) const {
  std::vector<const EmbeddingTokens*> texts;
  std::vector<float> scores;
  size_t longest = 1;
  for (const auto* side : {&first_, &second_}) {
    for (int64_t k : indices) {
      if (k < 0 || k >= count()) throw ValueError(fmt::format("[train] pair {} of {} was asked for", k, count()));
      texts.push_back(&(*side)[static_cast<size_t>(k)]);
      longest = std::max(longest, texts.back()->ids.size());
    }
  }
  const int64_t rounded = (static_cast<int64_t>(longest) + kLengthStep - 1) / kLengthStep * kLengthStep;
  EmbeddingBatch b = model_.batch(texts, 0, std::min(rounded, model_.encoder().info().context));
  std::vector<Tensor> batch = {std::move(b.ids), std::move(b.mask), std::move(b.pooled)};
  if (loss_ == PairLoss::scores) {
    for (int64_t k : indices) scores.push_back(scores_[static_cast<size_t>(k)]);
    const auto size = static_cast<int64_t>(scores.size());
    batch.push_back(Tensor::from_vector(scores, {size}));
  }
  return batch;
}

std::vector<int64_t> Pairs::largest_batch(int64_t size) const {
  const auto length = [this](int64_t k) {
    return std::max(first_[static_cast<size_t>(k)].ids.size(), second_[static_cast<size_t>(k)].ids.size());
  };
  int64_t longest = 0;
  for (int64_t k = 1; k < count(); ++k) {
    if (length(k) > length(longest)) longest = k;
  }
  return std::vector<int64_t>(static_cast<size_t>(size), longest);
}

int64_t Pairs::tokens(std::span<const Tensor> batch) const {
  const auto mask = batch[1].data<bool>();
  return std::count(mask.begin(), mask.end(), true);
}

}  // namespace lazuli
