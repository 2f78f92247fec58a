// Defines Normalizer, the steps that rewrite text before it is split.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "text/tokenizer/normal_forms.h"
#include "text/tokenizer/precompiled.h"
#include "text/tokenizer/regex.h"

namespace lazuli::tokenizer {

// Each step's `apply` gives the new form of valid UTF-8: `text` itself when nothing changes, or a view of `storage`, where `text` is not.

/// Lower case of each character by itself.
struct Lowercase {
  std::string_view apply(std::string_view text, std::string& storage) const;
};

/// Leaves out combining marks.
struct StripAccents {
  std::string_view apply(std::string_view text, std::string& storage) const;
};

/// Puts `content` in the place of every match.
struct Replace {
  std::variant<std::string, Regex> pattern;
  std::string content;

  std::string_view apply(std::string_view text, std::string& storage, MatchBudget& budget) const;
};

/// Puts `content` before a text that is not empty.
struct Prepend {
  std::string content;

  std::string_view apply(std::string_view text, std::string& storage) const;
};

/// Leaves out spaces at the ends.
struct Strip {
  bool left = true;
  bool right = true;

  std::string_view apply(std::string_view text, std::string& storage) const;
};

/// The cleaning of sentencepiece's "nmt" rules: control characters go, other spaces become U+0020.
struct Nmt {
  std::string_view apply(std::string_view text, std::string& storage) const;
};

/// BERT's cleaning.
struct BertNormalizer {
  /// Control characters go, every space becomes U+0020.
  bool clean_text = true;
  /// Spaces around Chinese characters.
  bool handle_chinese_chars = true;
  /// Leaves out nonspacing marks of the decomposed text.
  bool strip_accents = true;
  bool lowercase = true;

  std::string_view apply(std::string_view text, std::string& storage) const;
};

/// Spells the bytes in the byte-level alphabet.
struct SpellBytes {
  std::string_view apply(std::string_view text, std::string& storage) const;
};

using NormalizerStep =
    std::variant<UnicodeForm, Lowercase, StripAccents, Replace, Prepend, Strip, Nmt, BertNormalizer, SpellBytes, Precompiled>;

class Normalizer {
 public:
  Normalizer() = default;
  explicit Normalizer(std::vector<NormalizerStep> steps) : steps_(std::move(steps)) {}

  /// The normal form of valid UTF-8: `text` itself when nothing changes, else a view of `storage`. `keeps_start`, if given, becomes false
  /// when what the text starts with goes, so that the result starts later in it.
  std::string_view apply(std::string_view text, std::string& storage, MatchBudget& budget, bool* keeps_start = nullptr) const;

  /// Puts a Lowercase before the other steps, unless there is one.
  void lower_first();

 private:
  std::vector<NormalizerStep> steps_;
};

/// Appends the lower case of a character.
void append_lower(char32_t code_point, std::string& out);

}  // namespace lazuli::tokenizer
