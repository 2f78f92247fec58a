// Declares the reading of lists of texts: one a line, or one a row.
#pragma once

#include <iosfwd>
#include <string>
#include <string_view>
#include <vector>

#include "io/data_report.h"

namespace lazuli {

enum class TextFormat : uint8_t { automatic, lines, jsonl };

/// The texts of `bytes`, which errors call `name`. Of lines each is a text, empty ones too; of rows blank lines are left out. Other columns
/// of rows and empty texts are reported. Automatic takes rows where the name ends in .jsonl, .ndjson, .json, .csv or .tsv, or, for a name
/// without a known ending, where the first line that is not blank is an object with "text". Throws FormatError naming the row that is not
/// {"text": "..."}, and as decode_text does for bytes that are no text.
std::vector<std::string> split_texts(std::string_view bytes, const std::string& name, TextFormat format, DataReport& report);
std::vector<std::string> split_texts(std::string_view bytes, const std::string& name, TextFormat format = TextFormat::automatic);

/// Texts, and where rows are {"query": "...", "passage": "..."} the query of each.
struct TextRows {
  std::vector<std::string> texts;
  std::vector<std::string> queries;  ///< none, or as many as texts
};
/// As read_texts, for rows of either kind. Throws FormatError for a file of both, too.
TextRows read_text_rows(const std::string& path, DataReport& report);

/// The same for a file or a pipe, or for standard input where the path is `-`. Throws IoError, and FormatError when there is no text.
std::vector<std::string> read_texts(const std::string& path, TextFormat format, DataReport& report);
std::vector<std::string> read_texts(const std::string& path, TextFormat format = TextFormat::automatic);

}  // namespace lazuli
