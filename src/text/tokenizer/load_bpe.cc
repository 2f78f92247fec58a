#include <array>
#include <string>
#include <utility>
#include <vector>

#include "text/tokenizer/load_parts.h"

namespace lazuli::tokenizer {
namespace {

struct Pair {
  std::string_view left;
  std::string_view right;
};

// A merge is ["a", "b"], or "a b" in older files.
Pair read_pair(const JsonValue& item, std::size_t index) {
  if (item.is_string()) {
    const std::string_view text = item.as_string();
    const std::size_t space = text.find(' ');
    if (space != std::string_view::npos && text.find(' ', space + 1) == std::string_view::npos) {
      return {text.substr(0, space), text.substr(space + 1)};
    }
  }
  if (item.is_array()) {
    std::array<std::string_view, 2> tokens;
    std::size_t count = 0;
    for (const JsonValue& token : item.as_array()) {
      if (!token.is_string()) count = tokens.size();
      if (count == tokens.size()) {
        ++count;
        break;
      }
      tokens[count++] = token.as_string();
    }
    if (count == tokens.size()) return {tokens[0], tokens[1]};
  }
  item.fail(fmt::format("merge {} must be two tokens, as \"a b\" or [\"a\", \"b\"]", index));
}

bool is_version_line(const JsonValue& item) { return item.is_string() && item.as_string().starts_with("#version"); }

// Merges that are looked up together, so that waits for memory overlap: their tokens are left, right and both joined, for each merge.
class MergeBlock {
 public:
  static constexpr std::size_t kMerges = 64;

  bool is_full() const { return pairs_.size() == kMerges; }

  // The right token joins without its first `prefix` bytes.
  explicit MergeBlock(std::size_t prefix) : prefix_(prefix) {}

  void add(const Pair& pair) {
    pairs_.push_back(pair);
    joined_.append(pair.left).append(pair.right.substr(prefix_));
  }

  // Moves the merges to `merges`; the first has rank `rank`.
  void flush(const JsonValue& node, const Vocabulary& vocabulary, std::uint32_t& rank, FlatMap<Merge>& merges) {
    tokens_.clear();
    std::string_view joined = joined_;
    for (const Pair& pair : pairs_) {
      const std::size_t length = pair.left.size() + pair.right.size() - prefix_;
      tokens_.insert(tokens_.end(), {pair.left, pair.right, joined.substr(0, length)});
      joined.remove_prefix(length);
    }
    ids_.resize(tokens_.size());
    vocabulary.find_all(tokens_, ids_);
    for (std::size_t i = 0; i < ids_.size(); ++i) {
      if (ids_[i] < 0) node.fail(fmt::format("merge {} needs \"{}\", which is not in the vocabulary", rank + i / 3, tokens_[i]));
      if (i % 3 == 1) merges.prefetch(merge_key(ids_[i - 1], ids_[i]));
    }
    for (std::size_t i = 0; i < ids_.size(); i += 3) merges.insert_or_assign(merge_key(ids_[i], ids_[i + 1]), Merge{rank++, ids_[i + 2]});
    pairs_.clear();
    joined_.clear();
  }

 private:
  std::size_t prefix_;
  std::vector<Pair> pairs_;
  std::string joined_;
  std::vector<std::string_view> tokens_;
  std::vector<std::int32_t> ids_;
};

FlatMap<Merge> read_merges(const JsonValue& node, const Vocabulary& vocabulary, std::string_view prefix) {
  const JsonArray array = node.as_array();
  FlatMap<Merge> merges(array.size());
  MergeBlock block(prefix.size());
  std::uint32_t rank = 0;
  std::size_t index = 0;
  for (const JsonValue& item : array) {
    if (is_version_line(item)) continue;
    const Pair pair = read_pair(item, index++);
    if (!pair.right.starts_with(prefix)) {
      node.fail(fmt::format("merge {} needs \"{}\" to start with the prefix \"{}\"", index - 1, pair.right, prefix));
    }
    block.add(pair);
    if (block.is_full()) block.flush(node, vocabulary, rank, merges);
  }
  block.flush(node, vocabulary, rank, merges);
  return merges;
}

FlatMap<Merge> ranked(const std::vector<IdMerge>& list) {
  FlatMap<Merge> merges(list.size());
  std::uint32_t rank = 0;
  for (const IdMerge& merge : list) merges.insert_or_assign(merge_key(merge.left, merge.right), Merge{rank++, merge.result});
  return merges;
}

std::string affix_of(const JsonValue& node, std::string_view key) {
  const auto affix = node.find_set(key);
  return affix ? std::string(affix->as_string()) : std::string();
}

void refuse_dropout(const JsonValue& node) {
  if (const auto found = node.find_set("dropout"); found && found->as_double() != 0) {
    found->fail("is not supported, must be null or 0");
  }
}

BpeOptions read_options(const JsonValue& node) {
  refuse_dropout(node);
  BpeOptions options;
  options.prefix = affix_of(node, "continuing_subword_prefix");
  options.suffix = affix_of(node, "end_of_word_suffix");
  options.byte_fallback = node.bool_or("byte_fallback", false);
  options.ignore_merges = node.bool_or("ignore_merges", false);
  options.fuse_unknown = node.bool_or("fuse_unk", false);
  return options;
}

}  // namespace

Bpe read_bpe(const JsonValue& node, PreTokenizer& pre_tokenizer, std::size_t limit, const std::vector<IdMerge>* own_merges,
             std::optional<BpeOptions> own, std::string_view own_unknown) {
  BpeOptions options = own ? std::move(*own) : read_options(node);
  if (!options.prefix.empty() || !options.suffix.empty() || options.byte_fallback) pre_tokenizer.spell();
  options.byte_level = pre_tokenizer.leaves_spelling();
  Vocabulary vocabulary = read_vocabulary(node.get("vocab"), limit);
  FlatMap<Merge> merges = own_merges != nullptr ? ranked(*own_merges) : read_merges(node.get("merges"), vocabulary, options.prefix);
  if (!own_unknown.empty()) {
    options.unknown = vocabulary.find(own_unknown);
    if (!options.unknown) node.fail(fmt::format("unk_token \"{}\" is not in the vocabulary", own_unknown));
  }
  if (const auto unknown = node.find_set("unk_token"); !own && unknown && !unknown->as_string().empty()) {
    options.unknown = vocabulary.find(unknown->as_string());
    if (!options.unknown) unknown->fail(fmt::format("\"{}\" is not in the vocabulary", unknown->as_string()));
  }
  return Bpe(std::move(vocabulary), std::move(merges), std::move(options));
}

}  // namespace lazuli::tokenizer
