#include "text/tokenizer/id_merges.h"

#include <string_view>
#include <utility>

#include "text/tokenizer/unicode.h"

namespace lazuli::tokenizer {
namespace {

ByteTrie trie_by_bytes(const Vocabulary& vocabulary) {
  std::vector<std::pair<std::string_view, std::int32_t>> entries;
  for (std::int32_t id = 0; id < vocabulary.size(); ++id) {
    if (const auto token = vocabulary.token(id)) entries.emplace_back(*token, id);
  }
  return ByteTrie(std::move(entries));
}

}  // namespace

SplitFinder::SplitFinder(const Vocabulary& vocabulary, Cut cut) : vocabulary_(vocabulary), cut_(cut), tokens_(trie_by_bytes(vocabulary)) {}

void SplitFinder::append(std::int32_t id, std::vector<IdMerge>& out) const {
  const std::string_view token = vocabulary_.token(id).value_or("");
  std::uint32_t node = ByteTrie::kRoot;
  for (std::size_t length = 1; length < token.size(); ++length) {
    node = tokens_.child(node, token[length - 1]);
    if (node == ByteTrie::kNone) return;
    const std::int32_t left = tokens_.value(node);
    if (left < 0 || (cut_ == Cut::characters && continues_character(token[length]))) continue;
    if (const auto right = vocabulary_.find(token.substr(length))) out.push_back({left, *right, id});
  }
}

}  // namespace lazuli::tokenizer
