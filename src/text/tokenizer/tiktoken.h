// Defines TiktokenRanks, the vocabulary of a file in tiktoken's form: a token in base64 and its rank on each line.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace lazuli::tokenizer {

/// The bytes of the tokens; their places are their ranks, which are their ids.
using TiktokenRanks = std::vector<std::string>;

/// Whether a file's first line has tiktoken's form.
bool is_tiktoken(std::string_view bytes);

/// Reads a file's bytes. Throws FormatError, without the file's name, naming the line and what was expected there.
TiktokenRanks read_tiktoken(std::string_view bytes);

}  // namespace lazuli::tokenizer
