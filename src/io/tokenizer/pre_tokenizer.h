// Defines PreTokenizer, the steps that split normalised text into the pieces that the model sees.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "io/tokenizer/regex.h"
#include "io/tokenizer/split_scanner.h"

namespace lazuli::tokenizer {

/// A text and the pieces of it that are left; what lies in no piece has been removed.
struct Pieces {
  std::string_view text;
  std::vector<TextSpan> spans;
  std::vector<TextSpan> next_spans;
  std::vector<TextSpan> matches;
  std::string storage;

  /// Starts over with one piece; `text` must outlive the use.
  void reset(std::string_view new_text);
};

/// What becomes of the matches of a pattern. `merged_with_previous` and `merged_with_next` join a match to the piece beside it.
enum class SplitBehavior { isolated, removed, merged_with_previous, merged_with_next, contiguous };

/// Splits at the matches of an expression or of a literal string; with `invert` at what lies between them.
struct Split {
  std::variant<KnownSplit, Regex, std::string> pattern;
  SplitBehavior behavior = SplitBehavior::isolated;
  bool invert = false;

  void apply(Pieces& pieces) const;
};

/// Splits numbers (\p{N}) from the rest, each digit by itself or a run as one piece.
struct Digits {
  bool individual = false;

  void apply(Pieces& pieces) const;
};

/// GPT-2's split and leading space; the bytes themselves are mapped by the model.
struct ByteLevel {
  bool add_prefix_space = true;
  bool use_regex = true;

  void apply(Pieces& pieces) const;
};

using PreTokenizerStep = std::variant<Split, Digits, ByteLevel>;

class PreTokenizer {
 public:
  PreTokenizer() = default;
  explicit PreTokenizer(std::vector<PreTokenizerStep> steps) : steps_(std::move(steps)) {}

  void apply(Pieces& pieces) const;
  /// Whether pieces are spelled in the byte-level alphabet.
  bool is_byte_level() const;

 private:
  std::vector<PreTokenizerStep> steps_;
};

}  // namespace lazuli::tokenizer
