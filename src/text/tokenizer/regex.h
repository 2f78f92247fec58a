// Defines Regex, a compiled expression for tokenizers whose split has no scanner of its own.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer/split_scanner.h"

namespace lazuli::tokenizer {

/// The steps that the expressions may take over one text, in proportion to its length. Ordinary ones use a small part of it.
class MatchBudget {
 public:
  explicit MatchBudget(std::size_t text_bytes) : left_(kAnyText + kEachByte * text_bytes) {}
  std::uint64_t left() const { return left_; }
  /// False when so many are not left.
  bool spend(std::uint64_t steps) {
    if (steps > left_) return false;
    left_ -= steps;
    return true;
  }

 private:
  // An expression that matches a part of a run after it looked ahead to its end takes quadratic time: this is enough for runs of ten
  // thousand.
  static constexpr std::uint64_t kAnyText = 256'000'000;
  static constexpr std::uint64_t kEachByte = 256;

  std::uint64_t left_;
};

/// A PCRE2 expression over UTF-8 with Unicode classes; `^` and `$` hold at line ends, as in the engine (Oniguruma) that such files are
/// written for. The classes are those of PCRE2's Unicode version, and U+180E is a space.
class Regex {
 public:
  /// Throws FormatError when the expression does not compile, uses class intersection (`&&`), which PCRE2 lacks, or asks with `\G` where
  /// the search started.
  explicit Regex(std::string_view expression);

  /// Appends the matches in text[range], taken as a text of its own. Throws ValueError when a match exceeds the limit on backtracking, or
  /// all of them the budget.
  void matches(std::string_view text, TextSpan range, std::vector<TextSpan>& out, MatchBudget& budget) const;

 private:
  struct Code;
  class Search;
  std::string expression_;
  std::shared_ptr<const Code> code_;
};

}  // namespace lazuli::tokenizer
