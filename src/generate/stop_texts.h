// Defines StopTexts, which finds the texts that end a generation in a stream of pieces.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace lazuli {

/// Passes text on but for what could still become a stop text.
class StopTexts {
 public:
  /// Throws ValueError for an empty text.
  explicit StopTexts(std::vector<std::string> stops);
  /// The text that is now sure to come before any stop text.
  std::string feed(std::string_view piece);
  /// What was held back, when no more text comes.
  std::string flush();
  /// A stop text was met; nothing more is passed on.
  bool found() const { return found_; }

 private:
  size_t sure_length() const;

  std::vector<std::string> stops_;
  std::string held_;
  bool found_ = false;
};

}  // namespace lazuli
