// Defines TokenAdder, which gives added tokens their ids as the package `tokenizers` does.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "text/tokenizer/added_tokens.h"
#include "text/tokenizer/vocabulary.h"

namespace lazuli::tokenizer {

class TokenAdder {
 public:
  /// `count`: how many tokens the vocabulary has, which may leave ids out.
  TokenAdder(const Vocabulary& vocabulary, std::size_t count) : vocabulary_(&vocabulary), count_(count) {}

  /// A token that the vocabulary has, or that was added before, keeps its id and takes the new flags; another one gets the id after the
  /// last. A token that was special stays so.
  void add(AddedToken token);
  bool has(const std::string& content) const { return places_.contains(content); }
  /// With all its flags.
  bool has_same(const AddedToken& token) const;
  std::vector<AddedToken> take() { return std::move(tokens_); }

 private:
  std::int32_t new_id() const;

  const Vocabulary* vocabulary_;
  std::size_t count_;
  std::int64_t largest_ = -1;
  std::vector<AddedToken> tokens_;
  std::unordered_map<std::string, std::size_t> places_;
};

}  // namespace lazuli::tokenizer
