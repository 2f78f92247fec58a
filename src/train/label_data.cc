// Implements the reading of rows with labels.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "io/data_files.h"
#include "lazuli/error.h"
#include "train/labelled.h"

namespace lazuli {
namespace {

constexpr std::string_view kPairRows = "rows {\"query\", \"passage\", \"label\"}";
constexpr std::string_view kTextRows = "rows {\"text\", \"label\"} or {\"query\", \"passage\", \"label\"}";

constexpr int64_t kMostClasses = 1 << 16;

/// Reads rows of one kind, that of the first.
class LabelRows {
 public:
  LabelRows(LabelKind kind, int64_t classes, DataReport& report) : kind_(kind), classes_(classes), report_(report) {}
  /// Nothing for a row that is left out.
  std::optional<LabelledText> read(const DataRow& row);
  bool pairs() const { return pairs_.value_or(kind_ == LabelKind::relevance); }

 private:
  std::string_view text_column(const DataRow& row) const;
  std::optional<float> label_of(const DataRow& row) const;

  LabelKind kind_;
  int64_t classes_;
  DataReport& report_;
  std::optional<bool> pairs_;
};

std::string_view LabelRows::text_column(const DataRow& row) const {
  if (!row.has("passage")) return "text";
  if (row.has("text")) row.fail("$.text: 'passage' or 'text' expected, got both");
  return "passage";
}

std::optional<float> LabelRows::label_of(const DataRow& row) const {
  if (!row.has("label")) row.fail(fmt::format("a column 'label' expected, got {}", row.columns()));
  if (row.find("label")->type == DataRow::Type::null) {
    report_.leave_out("rows whose label is null", "");
    return std::nullopt;
  }
  const double label = row.number("label");
  if (kind_ == LabelKind::relevance) {
    if (!(label >= 0 && label <= 1)) row.fail(fmt::format("$.label: a relevance from 0 to 1 expected, got {}", label));
  } else if (!(label >= 0 && label < static_cast<double>(classes_)) || label != std::floor(label)) {
    row.fail(fmt::format("$.label: a whole number from 0 to {}, a label of the model, expected, got {}", classes_ - 1, label));
  }
  return static_cast<float>(label);
}

std::optional<LabelledText> LabelRows::read(const DataRow& row) {
  const bool pairs = row.has("query");
  if (kind_ == LabelKind::relevance && !pairs) row.fail(fmt::format("$: {} expected, got the columns {}", kPairRows, row.columns()));
  if (pairs_.value_or(pairs) != pairs) row.fail("$: a row of the same kind as the first one expected");
  pairs_ = pairs;
  const std::string_view column = text_column(row);
  if (!row.has(column)) row.fail(fmt::format("$: {} expected, got the columns {}", pairs ? kPairRows : kTextRows, row.columns()));
  for (const DataRow::Field& field : row.fields()) {
    if (field.column != "query" && field.column != column && field.column != "label") report_.leave_out_column(field.column);
  }
  const auto query = pairs ? row.text_or_null("query") : std::optional<std::string_view>("");
  const auto text = row.text_or_null(column);
  if (!query || !text) {
    report_.leave_out("rows whose text is null", "");
    return std::nullopt;
  }
  const auto label = label_of(row);
  if (!label) return std::nullopt;
  return LabelledText{std::string(*query), std::string(*text), *label};
}

/// A tenth, if there are ten rows.
void hold_out(LabelledSplit& split, uint64_t seed) {
  std::vector<LabelledText> all = std::move(split.train);
  split.train.clear();
  const auto count = static_cast<int64_t>(all.size());
  const std::vector<int64_t> order = shuffled(count, seed, 1);
  std::vector<bool> out(all.size());
  const int64_t wanted = count < 2 ? 0 : std::max<int64_t>(count / 10, 1);
  for (int64_t k = 0; k < wanted; ++k) out[static_cast<size_t>(order[static_cast<size_t>(k)])] = true;
  for (size_t k = 0; k < all.size(); ++k) (out[k] ? split.validation : split.train).push_back(std::move(all[k]));
}

}  // namespace

LabelledSplit read_labelled(const std::string& path, LabelKind kind, int64_t classes, uint64_t seed, DataReport& report,
                            std::span<const std::string> excluded) {
  LabelledSplit split;
  LabelRows rows(kind, classes, report);
  const std::string_view wanted = kind == LabelKind::relevance ? kPairRows : kTextRows;
  DataReader reader;
  reader.columns = {"label"};
  reader.wanted = wanted;
  reader.fits = [](const DataRow& row) { return row.has("label"); };
  reader.row = [&](const DataRow& row, const std::string&, DataRole role) {
    auto read = rows.read(row);
    if (!read) return;
    ++report.rows;
    (role == DataRole::validation ? split.validation : split.train).push_back(*std::move(read));
  };
  read_data(path, DataUse::train, excluded, reader, report);
  if (split.train.empty()) throw FormatError(fmt::format("{}: {} expected, got none; left out: {}", path, wanted, report.left_out_text()));
  split.pairs = rows.pairs();
  if (split.validation.empty()) hold_out(split, seed);
  return split;
}

int64_t most_label(const std::string& path, std::span<const std::string> excluded) {
  DataReport ignored;
  const LabelledSplit split = read_labelled(path, LabelKind::classes, kMostClasses, 0, ignored, excluded);
  float most = 0;
  for (const auto* rows : {&split.train, &split.validation}) {
    for (const LabelledText& row : *rows) most = std::max(most, row.label);
  }
  return static_cast<int64_t>(most);
}

}  // namespace lazuli
