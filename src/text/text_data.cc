// Implements the reading of texts.
#include "text/text_data.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "io/data_files.h"
#include "lazuli/error.h"

namespace lazuli {

namespace {

constexpr std::string_view kText = "text";
constexpr std::string_view kWeights[] = {"weight", "weights", "sample_weight", "sample_weights"};
constexpr std::string_view kMessages[] = {"messages", "conversations", "conversation", "chat"};
constexpr std::string_view kPrompts[] = {"prompt", "completion", "instruction", "response", "output", "question", "answer"};
constexpr size_t kFewTokens = 32;  // too few to say anything about a model

template <size_t N>
std::string_view first_of(const DataRow& row, const std::string_view (&names)[N]) {
  for (const std::string_view name : names) {
    if (row.has(name)) return name;
  }
  return {};
}

[[noreturn]] void fail_without_text(const DataRow& row) {
  std::string advice;
  if (!first_of(row, kMessages).empty()) {
    advice = "; conversations are not read: write each as one \"text\", as the model's chat template does";
  } else if (!first_of(row, kPrompts).empty()) {
    advice = "; write what is asked and what is answered as one \"text\", as the model is to see them";
  }
  row.fail(fmt::format("$: a row {{\"text\": \"...\"}} expected, got the columns {}{}", row.columns(), advice));
}

/// What would make the row mean something else to other programs that read it.
void check_meaning(const DataRow& row) {
  const std::string_view messages = first_of(row, kMessages);
  if (!messages.empty()) row.fail(fmt::format("$.{}: 'text' without it expected: which of them is meant is not clear", messages));
  if (row.has("prompt") && row.has("completion")) row.fail("$.prompt: 'text' or 'prompt' and 'completion' expected, got all of them");
  const std::string_view weight = first_of(row, kWeights);
  if (!weight.empty()) row.fail(fmt::format("$.{}: all rows weigh the same here: leave the column out, or repeat rows", weight));
}

DataReader reader_of(DataReport& report, const std::function<void(Document, DataRole)>& take) {
  DataReader reader;
  reader.columns = {kText, "messages", "prompt", "conversations"};
  reader.wanted = "text, or rows of {\"text\": \"...\"},";
  reader.fits = [](const DataRow& row) { return row.has(kText); };
  reader.row = [&report, take](const DataRow& row, const std::string& name, DataRole role) {
    const auto text = text_of_row(row, report);
    if (!text) return;
    if (text->empty()) return report.leave_out("rows with an empty text", "");
    ++report.rows;
    take({name, std::string(*text), true}, role);
  };
  reader.text = [take](const std::string& name, std::string text, DataRole role) { take({name, std::move(text), false}, role); };
  return reader;
}

/// A number that depends on the seed and the name only, so that a new file moves no other one (FNV-1a, then the finaliser of splitmix64).
uint64_t draw(uint64_t seed, std::string_view name) {
  uint64_t h = 0xcbf29ce484222325ULL ^ (seed * 0x9e3779b97f4a7c15ULL);
  for (char c : name) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9ULL;
  h = (h ^ (h >> 27)) * 0x94d049bb133111ebULL;
  return h ^ (h >> 31);
}

TextSplit split_documents(std::vector<Document> documents, uint64_t seed, double fraction) {
  TextSplit split;
  std::vector<std::pair<uint64_t, size_t>> order;
  for (size_t k = 0; k < documents.size(); ++k) order.emplace_back(draw(seed, documents[k].name), k);
  std::sort(order.begin(), order.end());
  const auto wanted = static_cast<size_t>(std::llround(fraction * static_cast<double>(documents.size())));
  const size_t count = documents.size() < 2 || fraction <= 0 ? 0 : std::clamp<size_t>(wanted, 1, documents.size() - 1);
  std::vector<bool> held_out(documents.size());
  for (size_t k = 0; k < count; ++k) held_out[order[k].second] = true;
  for (size_t k = 0; k < documents.size(); ++k) (held_out[k] ? split.validation : split.train).push_back(std::move(documents[k]));
  return split;
}

[[noreturn]] void fail_empty(const std::string& path, const DataReport& report) {
  const std::string rest = report.left_out_text();
  throw FormatError(fmt::format("{}: at least one text expected, got none{}", path, rest.empty() ? "" : "; left out: " + rest));
}

std::string counted(size_t count, std::string_view one) { return fmt::format("{} {}{}", count, one, count == 1 ? "" : "s"); }

}  // namespace

std::optional<std::string_view> text_of_row(const DataRow& row, DataReport& report) {
  if (!row.has(kText)) fail_without_text(row);
  check_meaning(row);
  for (const DataRow::Field& field : row.fields()) {
    if (field.column != kText) report.leave_out_column(field.column);
  }
  const auto text = row.text_or_null(kText);
  if (!text) report.leave_out("rows whose text is null", "");
  return text;
}

std::vector<Document> read_documents(const std::string& path, DataReport& report) {
  std::vector<Document> documents;
  const auto take = [&](Document document, DataRole) { documents.push_back(std::move(document)); };
  read_data(path, DataUse::measure, {}, reader_of(report, take), report);
  if (documents.empty()) fail_empty(path, report);
  return documents;
}

std::vector<Document> read_documents(const std::string& path) {
  DataReport report;
  return read_documents(path, report);
}

TextSplit read_split(const std::string& path, uint64_t seed, DataReport& report, std::span<const std::string> excluded, double fraction) {
  TextSplit split;
  const auto take = [&](Document document, DataRole role) {
    (role == DataRole::validation ? split.validation : split.train).push_back(std::move(document));
  };
  read_data(path, DataUse::train, excluded, reader_of(report, take), report);
  if (split.train.empty()) fail_empty(path, report);
  return split.validation.empty() ? split_documents(std::move(split.train), seed, fraction) : std::move(split);
}

std::vector<int32_t> encode_documents(std::span<const Document> documents, const Tokenizer& tokenizer, int32_t end_of_text) {
  std::vector<int32_t> tokens;
  for (const Document& document : documents) {
    const std::vector<int32_t> ids = tokenizer.encode(document.text);
    tokens.insert(tokens.end(), ids.begin(), ids.end());
    if (ids.empty() || ids.back() != end_of_text) tokens.push_back(end_of_text);
  }
  return tokens;
}

TokenSplit encode_split(const TextSplit& split, const Tokenizer& tokenizer, int32_t end_of_text) {
  TokenSplit out;
  out.train = encode_documents(split.train, tokenizer, end_of_text);
  out.validation = encode_documents(split.validation, tokenizer, end_of_text);
  out.tokens = static_cast<int64_t>(out.train.size() + out.validation.size());
  if (!split.validation.empty()) {
    const bool rows = split.validation.front().row;
    out.held_out = counted(split.validation.size(), rows ? "row" : "file");
    return out;
  }
  const size_t tail = out.train.size() / 10;
  if (split.train.size() != 1 || split.train.front().row) {
    out.held_out = "of a single row nothing can be held out";
  } else if (tail < kFewTokens) {
    out.held_out = fmt::format("{} tokens are too few to hold any out", out.train.size());
  } else {
    const auto cut = out.train.end() - static_cast<std::ptrdiff_t>(tail);
    out.validation.assign(cut - 1, out.train.end());
    out.train.erase(cut, out.train.end());
    out.held_out = fmt::format("the last {} tokens of {}", tail, split.train.front().name);
  }
  return out;
}

}  // namespace lazuli
