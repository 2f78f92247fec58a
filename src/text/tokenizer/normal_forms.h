// Defines UnicodeForm, the step that brings text into one of Unicode's normal forms.
#pragma once

#include <string>
#include <string_view>

namespace lazuli::tokenizer {

/// NFD; with `compose` NFC, with `compatible` NFKD, with both NFKC. Linear but for sorting runs of combining marks.
struct UnicodeForm {
  bool compose = true;
  bool compatible = false;

  std::string_view apply(std::string_view text, std::string& storage) const;
};

}  // namespace lazuli::tokenizer
