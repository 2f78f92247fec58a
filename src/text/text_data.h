// Defines the reading of training and evaluation texts: files, folders of files, and rows of {"text"}.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "io/data_report.h"
#include "io/data_rows.h"
#include "lazuli/tokenizer.h"

namespace lazuli {

struct Document {
  std::string name;  ///< relative to the folder read; `FILE:LINE` for a row
  std::string text;
  bool row = false;  ///< a row of a table, not a file
};

struct TextSplit {
  std::vector<Document> train, validation;
};

/// Texts to measure, as read_data says: those of a test where there are such, else those for validation. Rows without a text are left out.
/// Throws IoError, and FormatError naming the file, line and column for a row that is not {"text": "..."} or has what would change its
/// meaning (messages, a prompt with its completion, a weight), and for a path without any text.
std::vector<Document> read_documents(const std::string& path, DataReport& report);
std::vector<Document> read_documents(const std::string& path);

/// Texts to train on: those for training and for validation as they are; others are split by `seed`, about `fraction` of them (at least one
/// when there are two) for validation. `excluded`: folders that are never data.
TextSplit read_split(const std::string& path, uint64_t seed, DataReport& report, std::span<const std::string> excluded = {},
                     double fraction = 0.1);

/// The tokens of all documents in turn, each as Tokenizer::encode gives it (a begin-of-text token included where the tokenizer puts one),
/// and the end-of-text token after it where it has not got one there itself.
std::vector<int32_t> encode_documents(std::span<const Document> documents, const Tokenizer& tokenizer, int32_t end_of_text);

struct TokenSplit {
  std::vector<int32_t> train, validation;
  int64_t tokens = 0;    ///< of all texts
  std::string held_out;  ///< what is for validation, or why nothing is, in words
};

/// The tokens of both parts. Of one long file without a part for validation the last tenth of its tokens is that part; its first token is
/// the last one to train on, so that each token but the first is predicted once.
TokenSplit encode_split(const TextSplit& split, const Tokenizer& tokenizer, int32_t end_of_text);

/// The text of a row {"text": "..."}; nothing, which is reported, where it is null. Other columns are reported. Throws FormatError, as
/// read_documents does.
std::optional<std::string_view> text_of_row(const DataRow& row, DataReport& report);

}  // namespace lazuli
