// Defines Regex, a compiled expression for tokenizers whose split has no scanner of its own.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "io/tokenizer/split_scanner.h"

namespace lazuli::tokenizer {

/// A PCRE2 expression over UTF-8 with Unicode classes; `^` and `$` hold at line ends, as in the engine (Oniguruma) that such files are
/// written for. The classes are those of PCRE2's Unicode version, and U+180E is a space.
class Regex {
 public:
  /// Throws FormatError when the expression does not compile, or uses class intersection (`&&`), which PCRE2 lacks.
  explicit Regex(std::string_view expression);

  /// Appends the matches in text[range], taken as a text of its own. Throws ValueError when a match exceeds the limit on backtracking.
  void matches(std::string_view text, TextSpan range, std::vector<TextSpan>& out) const;

 private:
  struct Code;
  std::string expression_;
  std::shared_ptr<const Code> code_;
};

}  // namespace lazuli::tokenizer
