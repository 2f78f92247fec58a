// Defines Normalizer, the steps that rewrite text before it is split.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace lazuli::tokenizer {

/// Unicode's canonical composition. Linear but for sorting runs of combining marks.
struct Nfc {
  std::string_view apply(std::string_view text, std::string& storage) const;
};

using NormalizerStep = std::variant<Nfc>;

class Normalizer {
 public:
  Normalizer() = default;
  explicit Normalizer(std::vector<NormalizerStep> steps) : steps_(std::move(steps)) {}

  /// The normal form of valid UTF-8: `text` itself when nothing changes, else a view of `storage`.
  std::string_view apply(std::string_view text, std::string& storage) const;

 private:
  std::vector<NormalizerStep> steps_;
};

}  // namespace lazuli::tokenizer
