// Declares the reading of lists of texts: one a line, or one a row of JSON lines.
#pragma once

#include <iosfwd>
#include <string>
#include <string_view>
#include <vector>

namespace lazuli {

enum class TextFormat : uint8_t { automatic, lines, jsonl };

/// The texts of `bytes`, which errors call `name`. Of lines each is a text, empty ones too; of JSON lines blank ones are left out.
/// Automatic takes JSON lines where the name ends in `.jsonl`, or, for `-`, where the first line is an object with "text". Throws
/// FormatError naming the row that is not {"text": "..."}.
std::vector<std::string> split_texts(std::string_view bytes, const std::string& name, TextFormat format = TextFormat::automatic);

/// The same for a file, or for `input` where the path is `-`. Throws IoError, and FormatError when there is no text at all.
std::vector<std::string> read_texts(const std::string& path, std::istream& input, TextFormat format = TextFormat::automatic);

}  // namespace lazuli
