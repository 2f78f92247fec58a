// Defines the byte-level alphabet: the printable character that stands for each byte in GPT-2's and its descendants' vocabularies.
#pragma once

#include <string>
#include <string_view>

namespace lazuli::tokenizer {

/// Appends `bytes` spelled in the alphabet.
void append_spelled(std::string_view bytes, std::string& out);

/// Appends the bytes that `spelled` stands for, or `spelled` itself when a character of it is not in the alphabet.
void append_unspelled(std::string_view spelled, std::string& out);

}  // namespace lazuli::tokenizer
