// Defines PathPattern, an expression that a layer's whole path must match.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace lazuli {

class PathPattern {
 public:
  /// Throws ValueError, naming the setting, for what is no regular expression.
  PathPattern(std::string_view setting, const std::string& text);
  ~PathPattern();
  PathPattern(PathPattern&&) noexcept;
  /// Throws ValueError where the match takes too long.
  bool matches(std::string_view path) const;
  /// The text of the first group of a match at the start of the path; nothing where there is none.
  std::optional<std::string> first_group(std::string_view path) const;

 private:
  struct Code;
  int match(std::string_view path, bool whole) const;
  std::string setting_, text_;
  std::unique_ptr<Code> code_;
};

}  // namespace lazuli
