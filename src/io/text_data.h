// Defines the reading of training and evaluation texts: files, folders of files, and JSON lines of {"text"} rows.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lazuli/tokenizer.h"

namespace lazuli {

struct Document {
  std::string name;  ///< relative to the folder read; `FILE:LINE` for a row of JSON lines
  std::string text;
};

struct TextSplit {
  std::vector<Document> train, validation;
};

/// Whether the bytes are text: no zero byte, and valid UTF-8 unless the name says that it is text or source code.
bool is_text(std::string_view name, std::string_view bytes);

/// The documents of a text file, of a `.jsonl` file (one a row), or of a folder: its `valid.jsonl` (or else `train.jsonl`) if it has one,
/// else all its text files, sub-folders included, in the order of their names. Hidden, empty and binary files of a folder are left out.
/// Throws IoError, and FormatError naming the file and line of a row that is not {"text": "..."}, or a path without any text.
std::vector<Document> read_documents(const std::string& path);

/// The same for training: `train.jsonl` and `valid.jsonl` as they are; other documents are split by `seed`, about `fraction` of them (at
/// least one when there are two) for validation. A single document is all for training.
TextSplit read_split(const std::string& path, uint64_t seed, double fraction = 0.1);

/// The tokens of all documents in turn, the end-of-text token before each.
std::vector<int32_t> encode_documents(std::span<const Document> documents, const Tokenizer& tokenizer, int32_t end_of_text);

}  // namespace lazuli
