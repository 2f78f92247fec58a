#include "train/pair_data.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>

#include "io/data_files.h"
#include "lazuli/error.h"
#include "train/batches.h"

namespace lazuli {
namespace {

constexpr std::string_view kScores[] = {"score", "scores", "label", "labels"};
constexpr std::string_view kWeights[] = {"weight", "weights", "sample_weight", "margin"};
constexpr std::string_view kRows =
    "rows {\"anchor\", \"positive\"}, with \"negative\" or without, or {\"sentence1\", \"sentence2\", \"score\"}";

bool is_score(std::string_view column) { return std::find(std::begin(kScores), std::end(kScores), column) != std::end(kScores); }
bool is_negative(std::string_view column) { return column.starts_with("negative"); }

/// Why a column must not stand in a row of these pairs; empty where it may.
std::string_view objection(std::string_view column, PairLoss loss) {
  if (std::find(std::begin(kWeights), std::end(kWeights), column) != std::end(kWeights)) {
    return "all rows weigh the same here: leave the column out, or repeat rows";
  }
  if (loss == PairLoss::scores) {
    return is_negative(column) ? "a negative belongs to rows {\"anchor\", \"positive\", \"negative\"}" : std::string_view{};
  }
  if (is_score(column)) return "a score belongs to rows {\"sentence1\", \"sentence2\", \"score\"}; leave it out, or name the texts so";
  if (column.starts_with("positive") && column != "positive") return "one positive a row expected: write a row for each";
  return {};
}

/// Reads rows of one kind, that of the first.
class PairRows {
 public:
  explicit PairRows(DataReport& report) : report_(report) {}
  /// Nothing for a row that is left out.
  std::optional<TextPair> read(const DataRow& row);
  PairLoss loss() const { return negatives_ > 0 ? PairLoss::negatives : loss_.value_or(PairLoss::contrastive); }
  void say_negatives() const;

 private:
  void check_columns(const DataRow& row, PairLoss loss) const;
  bool has_texts(const DataRow& row, std::string_view first, std::string_view second) const;
  std::vector<std::string> negatives_of(const DataRow& row) const;
  std::optional<float> score_of(const DataRow& row) const;

  DataReport& report_;
  std::optional<PairLoss> loss_;
  int64_t negatives_ = 0, rows_ = 0;  ///< rows that have some, and all
};

void PairRows::check_columns(const DataRow& row, PairLoss loss) const {
  for (const DataRow::Field& field : row.fields()) {
    const std::string_view why = objection(field.column, loss);
    if (!why.empty()) row.fail(fmt::format("$.{}: {}", field.column, why));
    const bool used = loss == PairLoss::scores ? field.column == "sentence1" || field.column == "sentence2" || is_score(field.column)
                                               : field.column == "anchor" || field.column == "positive" || is_negative(field.column);
    if (!used) report_.leave_out_column(field.column);
  }
}

bool PairRows::has_texts(const DataRow& row, std::string_view first, std::string_view second) const {
  const auto a = row.text_or_null(first), b = row.text_or_null(second);
  if (!a || !b) {
    report_.leave_out("rows whose text is null", "");
  } else if (a->empty() || b->empty()) {
    report_.leave_out("rows with an empty text", "");
  } else {
    return true;
  }
  return false;
}

std::vector<std::string> PairRows::negatives_of(const DataRow& row) const {
  std::vector<std::string> negatives;
  const std::string_view positive = row.text("positive");
  const auto add = [&](std::string_view text) {
    if (text.empty()) {
      report_.leave_out("empty negatives", "");
    } else if (text == positive) {
      report_.leave_out("negatives that are the positive of their row", "");
    } else {
      negatives.emplace_back(text);
    }
  };
  for (const DataRow::Field& field : row.fields()) {
    if (!is_negative(field.column)) continue;
    if (field.type == DataRow::Type::null) {
      add("");
      continue;
    }
    field.refuse_odd();
    if (field.type == DataRow::Type::list) {
      for (const std::string_view text : field.list) add(text);
    } else if (field.type == DataRow::Type::text) {
      add(field.text);
    } else {
      row.fail(fmt::format("$.{}: a text or a list of texts expected", field.column));
    }
  }
  return negatives;
}

std::optional<float> PairRows::score_of(const DataRow& row) const {
  std::string_view name;
  for (const std::string_view column : kScores) {
    if (!row.has(column)) continue;
    if (!name.empty()) row.fail(fmt::format("$.{}: one score expected, got '{}' too", column, name));
    name = column;
  }
  if (name.empty()) row.fail(fmt::format("a column 'score' expected, got {}", row.columns()));
  if (row.find(name)->type == DataRow::Type::null) {
    report_.leave_out("rows whose score is null", "");
    return std::nullopt;
  }
  const double score = row.number(name);
  if (!(score >= -1 && score <= 1))
    row.fail(fmt::format("$.{}: a cosine from -1 to 1 expected, got {}; a score of another range is to be scaled", name, score));
  return static_cast<float>(score);
}

std::optional<TextPair> PairRows::read(const DataRow& row) {
  const bool contrasted = row.has("anchor");
  if (!contrasted && !row.has("sentence1")) row.fail(fmt::format("$: {} expected, got the columns {}", kRows, row.columns()));
  if (contrasted && row.has("sentence1")) row.fail("$.sentence1: 'anchor' or 'sentence1' expected, got both");
  const PairLoss loss = contrasted ? PairLoss::contrastive : PairLoss::scores;
  if (loss_.value_or(loss) != loss) row.fail("$: a row of the same kind as the first one expected");
  loss_ = loss;
  check_columns(row, loss);
  if (contrasted) {
    if (!has_texts(row, "anchor", "positive")) return std::nullopt;
    TextPair pair{std::string(row.text("anchor")), std::string(row.text("positive")), 0, negatives_of(row)};
    ++rows_;
    negatives_ += pair.negatives.empty() ? 0 : 1;
    return pair;
  }
  if (!has_texts(row, "sentence1", "sentence2")) return std::nullopt;
  const auto score = score_of(row);
  if (!score) return std::nullopt;
  return TextPair{std::string(row.text("sentence1")), std::string(row.text("sentence2")), *score, {}};
}

void PairRows::say_negatives() const {
  if (negatives_ == 0) return;
  const std::string which = negatives_ == rows_ ? "every row has" : fmt::format("{} of {} rows have", negatives_, rows_);
  report_.note(which + " negatives, each of which is a further text for all anchors of its batch");
}

std::vector<std::string_view> texts_of(const TextPair& pair) {
  std::vector<std::string_view> texts = {pair.first, pair.second};
  texts.insert(texts.end(), pair.negatives.begin(), pair.negatives.end());
  return texts;
}

/// Which pairs are held out. Where they are contrasted with each other, such as have no text in common come first, so that they can be in
/// one batch.
std::vector<bool> held_out(const std::vector<TextPair>& all, PairLoss loss, uint64_t seed) {
  const auto count = static_cast<int64_t>(all.size());
  const int64_t least = loss == PairLoss::contrastive ? 2 : 1;
  const int64_t wanted = count < 2 * least ? 0 : std::max<int64_t>(count / 10, least);
  const std::vector<int64_t> order = shuffled(count, seed, 1);
  std::vector<bool> out(all.size());
  std::set<std::string_view> seen;
  int64_t chosen = 0;
  for (const bool apart : {loss != PairLoss::scores, false}) {
    for (const int64_t k : order) {
      const auto index = static_cast<size_t>(k);
      if (chosen == wanted || out[index]) continue;
      const std::vector<std::string_view> texts = texts_of(all[index]);
      if (apart && std::any_of(texts.begin(), texts.end(), [&](std::string_view t) { return seen.count(t) > 0; })) continue;
      seen.insert(texts.begin(), texts.end());
      out[index] = true;
      ++chosen;
    }
  }
  return out;
}

void split_pairs(PairSplit& split, uint64_t seed) {
  std::vector<TextPair> all = std::move(split.train);
  split.train.clear();
  const std::vector<bool> out = held_out(all, split.loss, seed);
  for (size_t k = 0; k < all.size(); ++k) (out[k] ? split.validation : split.train).push_back(std::move(all[k]));
}

}  // namespace

PairSplit read_pairs(const std::string& path, uint64_t seed, DataReport& report, std::span<const std::string> excluded) {
  PairSplit split;
  PairRows rows(report);
  DataReader reader;
  reader.columns = {"anchor", "sentence1"};
  reader.wanted = kRows;
  reader.fits = [](const DataRow& row) { return row.has("anchor") || row.has("sentence1"); };
  reader.row = [&](const DataRow& row, const std::string&, DataRole role) {
    auto pair = rows.read(row);
    if (!pair) return;
    ++report.rows;
    (role == DataRole::validation ? split.validation : split.train).push_back(std::move(*pair));
  };
  read_data(path, DataUse::train, excluded, reader, report);
  if (split.train.empty()) throw FormatError(fmt::format("{}: {} expected, got none; left out: {}", path, kRows, report.left_out_text()));
  split.loss = rows.loss();
  rows.say_negatives();
  if (split.validation.empty()) split_pairs(split, seed);
  return split;
}

PairSplit read_pairs(const std::string& path, uint64_t seed) {
  DataReport report;
  return read_pairs(path, seed, report);
}

}  // namespace lazuli
