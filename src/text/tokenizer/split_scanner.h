// Defines the hand-written scanners for the split expressions of GPT-2, Qwen2 and Llama 3.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

namespace lazuli::tokenizer {

/// Bytes [begin, end) of a text.
struct TextSpan {
  std::size_t begin;
  std::size_t end;
};

/// One of the expressions whose matches cover every text.
enum class KnownSplit { gpt2, qwen2, llama3 };

inline constexpr std::string_view kGpt2Expression = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
inline constexpr std::string_view kQwen2Expression =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
inline constexpr std::string_view kLlama3Expression =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

std::optional<KnownSplit> known_split(std::string_view expression);

/// Appends the expression's matches in text[range], taken as a text of its own; text must be valid UTF-8. Linear time.
void scan(KnownSplit split, std::string_view text, TextSpan range, std::vector<TextSpan>& out);

}  // namespace lazuli::tokenizer
