#include "text/tokenizer/token_adder.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace lazuli::tokenizer {

std::int32_t TokenAdder::new_id() const { return static_cast<std::int32_t>(std::max(static_cast<std::int64_t>(count_), largest_ + 1)); }

bool TokenAdder::has_same(const AddedToken& token) const {
  const auto found = places_.find(token.content);
  if (found == places_.end()) return false;
  const AddedToken& old = tokens_[found->second];
  const auto flags = [](const AddedToken& t) { return std::tie(t.single_word, t.lstrip, t.rstrip, t.normalized, t.special); };
  return flags(old) == flags(token);
}

void TokenAdder::add(AddedToken token) {
  if (token.content.empty()) return;
  const auto found = places_.find(token.content);
  if (found != places_.end()) {
    AddedToken& old = tokens_[found->second];
    token.id = old.id;
    token.special = token.special || old.special;
    old = std::move(token);
    return;
  }
  const auto known = vocabulary_->find(token.content);
  token.id = known ? *known : new_id();
  largest_ = std::max<std::int64_t>(largest_, token.id);
  places_.emplace(token.content, tokens_.size());
  tokens_.push_back(std::move(token));
}

}  // namespace lazuli::tokenizer
