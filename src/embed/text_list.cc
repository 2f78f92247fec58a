#include "embed/text_list.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "io/data_files.h"
#include "io/text_encoding.h"
#include "lazuli/error.h"

namespace lazuli {

namespace {

constexpr std::string_view kText = "text", kQuery = "query", kPassage = "passage";

std::string shown(const std::string& name) { return name == "-" ? "standard input" : name; }

FileKind kind_in(TextFormat format, const std::string& name, std::string_view text, std::span<const std::string_view> columns) {
  const FileKind named = kind_by_name(name);
  if (format == TextFormat::lines) return FileKind::text;
  if (format == TextFormat::jsonl) return is_rows(named) ? named : FileKind::json;
  return kind_of(name, text, columns);
}

std::vector<std::string> lines_of(std::string text) {
  unify_line_ends(text);
  std::vector<std::string> lines;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

TextRows rows_of(std::string_view text, const std::string& name, FileKind kind, bool with_queries, DataReport& report) {
  TextRows rows;
  each_row(text, shown(name), kind, [&](const DataRow& row) {
    const bool pair = with_queries && row.has(kQuery);
    if (!rows.texts.empty() && pair == rows.queries.empty()) row.fail("$: a row of the same kind as the first one expected");
    const std::string_view column = pair && row.has(kPassage) ? kPassage : kText;
    if (pair) rows.queries.emplace_back(row.text(kQuery));
    rows.texts.emplace_back(row.text(column));
    for (const DataRow::Field& field : row.fields()) {
      if (field.column != column && !(pair && field.column == kQuery)) report.leave_out_column(field.column);
    }
    return true;
  });
  report.rows = static_cast<int64_t>(rows.texts.size());
  return rows;
}

TextRows split_rows(std::string_view bytes, const std::string& name, TextFormat format, bool with_queries, DataReport& report) {
  static constexpr std::string_view columns[] = {kText, kQuery};
  const auto known = std::span(columns).first(with_queries ? 2 : 1);
  if (bytes.starts_with("\x93NUMPY") || name.ends_with(".safetensors")) {
    throw FormatError(fmt::format("{}: texts are expected, this is a file of vectors; give the texts that they were made of", shown(name)));
  }
  DecodedText decoded = decode_text(std::string(bytes), shown(name));
  if (!decoded.encoding.empty() && decoded.encoding != "UTF-8") report.note(fmt::format("read as {}", decoded.encoding));
  report.files.push_back(name == "-" ? shown(name) : std::filesystem::path(name).filename().string());
  const FileKind kind = kind_in(format, name, decoded.text, known);
  if (format == TextFormat::automatic && !is_rows(kind) && kind_of("-", decoded.text, known) == FileKind::json) {
    report.note("read as lines of text though it begins like rows of JSON, which --input-format jsonl reads");
  } else if (format == TextFormat::automatic && kind == FileKind::text && begins_like_table(decoded.text, known)) {
    report.note("read as lines of text though it begins like a table, which is read from .csv");
  }
  TextRows rows;
  if (is_rows(kind)) {
    rows = rows_of(decoded.text, name, kind, with_queries, report);
  } else {
    rows.texts = lines_of(std::move(decoded.text));
  }
  const auto empty = std::count_if(rows.texts.begin(), rows.texts.end(), [](const std::string& t) { return t.empty(); });
  if (empty > 0)
    report.note(
        fmt::format("{} of {} texts are empty and {}", empty, rows.texts.size(), with_queries ? "get a class too" : "get a vector too"));
  return rows;
}

}  // namespace

std::vector<std::string> split_texts(std::string_view bytes, const std::string& name, TextFormat format, DataReport& report) {
  return split_rows(bytes, name, format, false, report).texts;
}

TextRows read_text_rows(const std::string& path, DataReport& report) {
  TextRows rows = split_rows(read_data_bytes(path), path, TextFormat::automatic, true, report);
  if (rows.texts.empty()) throw FormatError(fmt::format("{}: at least one text expected, got none", shown(path)));
  return rows;
}

std::vector<std::string> split_texts(std::string_view bytes, const std::string& name, TextFormat format) {
  DataReport report;
  return split_texts(bytes, name, format, report);
}

std::vector<std::string> read_texts(const std::string& path, TextFormat format, DataReport& report) {
  std::vector<std::string> texts = split_texts(read_data_bytes(path), path, format, report);
  if (texts.empty()) throw FormatError(fmt::format("{}: at least one text expected, got none", shown(path)));
  return texts;
}

std::vector<std::string> read_texts(const std::string& path, TextFormat format) {
  DataReport report;
  return read_texts(path, format, report);
}

}  // namespace lazuli
