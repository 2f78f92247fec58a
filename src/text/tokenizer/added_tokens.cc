#include "text/tokenizer/added_tokens.h"

#include <algorithm>
#include <utility>

#include "text/tokenizer/unicode.h"

namespace lazuli::tokenizer {
namespace {

std::size_t total_bytes(const std::vector<std::string>& strings) {
  std::size_t bytes = 0;
  for (const std::string& string : strings) bytes += string.size();
  return bytes;
}

std::size_t bytes_of(const std::vector<AddedToken>& tokens) {
  std::size_t bytes = 0;
  for (const AddedToken& token : tokens) bytes += token.content.size();
  return bytes;
}

std::uint64_t edge(std::size_t node, char byte) { return static_cast<std::uint64_t>(node) << 8 | static_cast<unsigned char>(byte); }

bool has_flag(char32_t code_point, std::uint16_t flag) { return (UnicodeClasses::instance().of(code_point) & flag) != 0; }

bool in_word(std::string_view text, std::size_t begin, std::size_t end) {
  constexpr std::uint16_t kWord = UnicodeClasses::kWord;
  if (begin > 0 && has_flag(code_point_at(text, previous_start(text, begin)).value, kWord)) return true;
  return end < text.size() && has_flag(code_point_at(text, end).value, kWord);
}

// Start of the spaces that end at `pos`, not before `floor`.
std::size_t spaces_before(std::string_view text, std::size_t pos, std::size_t floor) {
  while (pos > floor) {
    const std::size_t start = previous_start(text, pos);
    if (!has_flag(code_point_at(text, start).value, UnicodeClasses::kSpace)) break;
    pos = start;
  }
  return pos;
}

std::size_t spaces_after(std::string_view text, std::size_t pos) {
  while (pos < text.size()) {
    const CodePoint c = code_point_at(text, pos);
    if (!has_flag(c.value, UnicodeClasses::kSpace)) break;
    pos += c.length;
  }
  return pos;
}

}  // namespace

TokenTrie::TokenTrie(const std::vector<std::string>& strings, const std::vector<std::size_t>& tokens)
    : children_(total_bytes(strings)), token_(1, -1) {
  for (std::size_t i = 0; i < strings.size(); ++i) {
    if (strings[i].empty()) continue;
    starts_[static_cast<unsigned char>(strings[i][0])] = true;
    std::size_t node = 0;
    for (const char byte : strings[i]) {
      if (const std::uint32_t* child = children_.find(edge(node, byte))) {
        node = *child;
      } else {
        children_.insert_or_assign(edge(node, byte), static_cast<std::uint32_t>(token_.size()));
        node = token_.size();
        token_.push_back(-1);
      }
    }
    if (token_[node] < 0) token_[node] = static_cast<std::int64_t>(tokens[i]);
  }
}

std::optional<TokenTrie::Match> TokenTrie::find(std::string_view text, std::size_t from) const {
  for (std::size_t begin = from; begin < text.size(); ++begin) {
    if (!starts_[static_cast<unsigned char>(text[begin])]) continue;
    std::optional<Match> longest;
    std::size_t node = 0;
    for (std::size_t end = begin; end < text.size(); ++end) {
      const std::uint32_t* child = children_.find(edge(node, text[end]));
      if (child == nullptr) break;
      node = *child;
      if (token_[node] >= 0) longest = Match{begin, end + 1, static_cast<std::size_t>(token_[node])};
    }
    if (longest) return longest;
  }
  return std::nullopt;
}

AddedTokens::AddedTokens(std::vector<AddedToken> tokens, const Normalizer& normalizer)
    : tokens_(std::move(tokens)), raw_(make_trie(false, normalizer)), normalized_(make_trie(true, normalizer)) {
  MatchBudget budget(bytes_of(tokens_));
  for (std::size_t i = 0; i < tokens_.size(); ++i) {
    std::string storage;
    tokens_[i].decoded =
        tokens_[i].normalized ? normalizer.apply(tokens_[i].content, storage, budget) : std::string_view(tokens_[i].content);
    by_content_.emplace(tokens_[i].content, i);
    by_id_.emplace(tokens_[i].id, i);
  }
}

TokenTrie AddedTokens::make_trie(bool normalized, const Normalizer& normalizer) const {
  std::vector<std::string> strings;
  std::vector<std::size_t> indices;
  MatchBudget budget(bytes_of(tokens_));
  for (const bool special : {true, false}) {
    for (std::size_t i = 0; i < tokens_.size(); ++i) {
      const AddedToken& token = tokens_[i];
      if (token.normalized != normalized || token.special != special) continue;
      std::string storage;
      strings.emplace_back(normalized ? normalizer.apply(token.content, storage, budget) : std::string_view(token.content));
      indices.push_back(i);
    }
  }
  return TokenTrie(strings, indices);
}

void AddedTokens::split(const TokenTrie& trie, std::string_view text, bool allow_special, std::vector<Part>& out) const {
  std::size_t copied = 0;
  std::size_t from = 0;
  while (!trie.empty() && from < text.size()) {
    const auto match = trie.find(text, from);
    if (!match) break;
    from = match->end;
    const AddedToken& token = tokens_[match->token];
    if (token.special && !allow_special) continue;
    if (token.single_word && in_word(text, match->begin, match->end)) continue;
    std::size_t begin = match->begin;
    std::size_t end = match->end;
    if (token.lstrip) begin = std::max(spaces_before(text, begin, std::min(copied, begin)), copied);
    // Up to `copied` there are only spaces that an earlier token took.
    if (token.rstrip) end = spaces_after(text, std::max(end, copied));
    if (begin >= end) continue;  // spaces that the token before has taken
    if (copied < begin) out.push_back({copied, begin, -1});
    out.push_back({begin, end, token.id});
    copied = end;
  }
  if (copied < text.size()) out.push_back({copied, text.size(), -1});
}

const AddedToken* AddedTokens::find(std::string_view content) const {
  const auto found = by_content_.find(content);
  return found != by_content_.end() ? &tokens_[found->second] : nullptr;
}

const AddedToken* AddedTokens::find(std::int32_t id) const {
  const auto found = by_id_.find(id);
  return found != by_id_.end() ? &tokens_[found->second] : nullptr;
}

}  // namespace lazuli::tokenizer
