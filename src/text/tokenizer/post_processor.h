// Defines PostProcessor, which puts special tokens around the ids of a text or of a pair of texts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "lazuli/tokenizer.h"

namespace lazuli::tokenizer {

/// An id, or the place of a text's ids, and their type.
struct TemplateItem {
  static constexpr std::int32_t kFirst = -1;
  static constexpr std::int32_t kSecond = -2;

  std::int32_t id;
  std::int32_t type = 0;
};
using Template = std::vector<TemplateItem>;

class PostProcessor {
 public:
  PostProcessor() = default;
  PostProcessor(Template single, Template pair) : single_(std::move(single)), pair_(std::move(pair)) {}

  /// How many ids it adds to one text, or to a pair.
  std::size_t added(bool pair) const;
  /// Fills the template; `second` is null for one text.
  TokenizedText apply(std::vector<std::int32_t> first, const std::vector<std::int32_t>* second, bool add_special_tokens) const;

 private:
  Template single_ = {{TemplateItem::kFirst}};
  Template pair_ = {{TemplateItem::kFirst, 0}, {TemplateItem::kSecond, 1}};
};

}  // namespace lazuli::tokenizer
