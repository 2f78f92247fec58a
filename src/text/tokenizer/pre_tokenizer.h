// Defines PreTokenizer, the steps that split normalised text into the pieces that the model sees.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "text/tokenizer/regex.h"
#include "text/tokenizer/split_scanner.h"

namespace lazuli::tokenizer {

/// A text and the pieces of it that are left; what lies in no piece has been removed.
struct Pieces {
  explicit Pieces(MatchBudget& a_budget) : budget(a_budget) {}

  MatchBudget& budget;
  std::string_view text;
  /// Whether the first byte of `text` is the first of what the caller gave to encode.
  bool at_start = false;
  std::vector<TextSpan> spans;
  std::vector<TextSpan> next_spans;
  std::vector<TextSpan> matches;
  std::string storage;
  std::string next_storage;

  /// Starts over with one piece; `text` must outlive the use.
  void reset(std::string_view new_text, bool is_start);
  /// Whether the first piece starts where the caller's text does.
  bool starts_at_start() const { return at_start && !spans.empty() && spans.front().begin == 0; }
  /// The text becomes `rewritten`, in which `spans` lie; `rewritten` takes the old text's memory.
  void rewrite(std::string& rewritten);
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

/// Splits punctuation: Unicode's and ASCII's symbols.
struct Punctuation {
  SplitBehavior behavior = SplitBehavior::isolated;

  void apply(Pieces& pieces) const;
};

/// Splits at spaces, which go.
struct WhitespaceSplit {
  void apply(Pieces& pieces) const;
};

/// Words, and runs of what is neither word nor space; spaces go.
struct Words {
  void apply(Pieces& pieces) const;
};

/// Splits at spaces, which go, and isolates punctuation.
struct BertSplit {
  void apply(Pieces& pieces) const;
};

/// Spaces become `replacement`, one is put before a piece as `prepend` says, and pieces are split before each.
struct Metaspace {
  enum class PrependScheme { always, first, never };

  std::string replacement = "\u2581";
  PrependScheme prepend = PrependScheme::always;
  bool split = true;

  void apply(Pieces& pieces) const;
};

/// Splits where the script changes; what belongs to no script goes with what is before it, and goes away at the start of a piece.
struct UnicodeScripts {
  void apply(Pieces& pieces) const;
};

/// Cuts into pieces of so many characters; the last one may be shorter.
struct FixedLength {
  std::size_t length = 5;

  void apply(Pieces& pieces) const;
};

/// GPT-2's split and leading space; `spell` also spells the bytes in the byte-level alphabet, else the model does.
struct ByteLevel {
  bool add_prefix_space = true;
  bool use_regex = true;
  bool spell = false;

  void apply(Pieces& pieces) const;
};

using PreTokenizerStep =
    std::variant<Split, Digits, Punctuation, WhitespaceSplit, Words, BertSplit, Metaspace, UnicodeScripts, FixedLength, ByteLevel>;

class PreTokenizer {
 public:
  PreTokenizer() = default;
  explicit PreTokenizer(std::vector<PreTokenizerStep> steps) : steps_(std::move(steps)) {}

  void apply(Pieces& pieces) const;
  /// Whether the model is to spell the bytes of pieces in the byte-level alphabet.
  bool leaves_spelling() const;
  /// Whether it matters that a piece starts where the caller's text does.
  bool asks_for_start() const;
  /// Makes ByteLevel steps spell the bytes themselves.
  void spell();

 private:
  std::vector<PreTokenizerStep> steps_;
};

}  // namespace lazuli::tokenizer
