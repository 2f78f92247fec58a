// Defines PostProcessor, which puts special tokens around the ids of a text.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

namespace lazuli::tokenizer {

/// Ids in order, with kText where those of the text go.
using Template = std::vector<std::int32_t>;
inline constexpr std::int32_t kText = -1;

class PostProcessor {
 public:
  PostProcessor() = default;
  explicit PostProcessor(std::vector<Template> templates) : templates_(std::move(templates)) {}

  /// Fills the templates in order, each with the result of the one before.
  std::vector<std::int32_t> apply(std::vector<std::int32_t> ids) const;

 private:
  std::vector<Template> templates_;
};

}  // namespace lazuli::tokenizer
