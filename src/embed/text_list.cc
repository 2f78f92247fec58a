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

constexpr std::string_view kText = "text";

std::string shown(const std::string& name) { return name == "-" ? "standard input" : name; }

FileKind kind_in(TextFormat format, const std::string& name, std::string_view text) {
  const FileKind named = kind_by_name(name);
  if (format == TextFormat::lines) return FileKind::text;
  if (format == TextFormat::jsonl) return is_rows(named) ? named : FileKind::json;
  return kind_of(name, text, std::span(&kText, 1));
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

std::vector<std::string> rows_of(std::string_view text, const std::string& name, FileKind kind, DataReport& report) {
  std::vector<std::string> texts;
  each_row(text, shown(name), kind, [&](const DataRow& row) {
    texts.emplace_back(row.text(kText));
    for (const DataRow::Field& field : row.fields()) {
      if (field.column != kText) report.leave_out_column(field.column);
    }
    return true;
  });
  report.rows = static_cast<int64_t>(texts.size());
  return texts;
}

}  // namespace

std::vector<std::string> split_texts(std::string_view bytes, const std::string& name, TextFormat format, DataReport& report) {
  if (bytes.starts_with("\x93NUMPY") || name.ends_with(".safetensors")) {
    throw FormatError(fmt::format("{}: texts are expected, this is a file of vectors; give the texts that they were made of", shown(name)));
  }
  DecodedText decoded = decode_text(std::string(bytes), shown(name));
  if (!decoded.encoding.empty() && decoded.encoding != "UTF-8") report.note(fmt::format("read as {}", decoded.encoding));
  report.files.push_back(name == "-" ? shown(name) : std::filesystem::path(name).filename().string());
  const FileKind kind = kind_in(format, name, decoded.text);
  if (format == TextFormat::automatic && !is_rows(kind) && kind_of("-", decoded.text, std::span(&kText, 1)) == FileKind::json) {
    report.note("read as lines of text though it begins like rows of JSON, which --input-format jsonl reads");
  } else if (format == TextFormat::automatic && kind == FileKind::text && begins_like_table(decoded.text, std::span(&kText, 1))) {
    report.note("read as lines of text though it begins like a table, which is read from .csv");
  }
  std::vector<std::string> texts = is_rows(kind) ? rows_of(decoded.text, name, kind, report) : lines_of(std::move(decoded.text));
  const auto empty = std::count_if(texts.begin(), texts.end(), [](const std::string& t) { return t.empty(); });
  if (empty > 0) report.note(fmt::format("{} of {} texts are empty and get a vector too", empty, texts.size()));
  return texts;
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
