#include <string>
#include <utility>
#include <vector>

#include "io/tokenizer/load_parts.h"

namespace lazuli::tokenizer {
namespace {

struct Pair {
  std::string_view left;
  std::string_view right;
};

// A merge is ["a", "b"], or "a b" in older files.
Pair read_pair(const JsonNode& node, const simdjson::dom::element& item, std::size_t index) {
  std::string_view text;
  if (item.get(text) == simdjson::SUCCESS) {
    const std::size_t space = text.find(' ');
    if (space != std::string_view::npos && text.find(' ', space + 1) == std::string_view::npos) {
      return {text.substr(0, space), text.substr(space + 1)};
    }
  }
  simdjson::dom::array array;
  Pair pair;
  if (item.get(array) == simdjson::SUCCESS && array.size() == 2 && array.at(0).get(pair.left) == simdjson::SUCCESS &&
      array.at(1).get(pair.right) == simdjson::SUCCESS) {
    return pair;
  }
  node.fail(fmt::format("merge {} must be two tokens, as \"a b\" or [\"a\", \"b\"]", index));
}

bool is_version_line(const simdjson::dom::element& item) {
  std::string_view text;
  return item.get(text) == simdjson::SUCCESS && text.starts_with("#version");
}

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
  void flush(const JsonNode& node, const Vocabulary& vocabulary, std::uint32_t& rank, FlatMap<Merge>& merges) {
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

FlatMap<Merge> read_merges(const JsonNode& node, const Vocabulary& vocabulary, std::string_view prefix) {
  simdjson::dom::array array;
  if (node.element().get(array) != simdjson::SUCCESS) node.fail("must be an array");
  std::size_t count = 0;
  for ([[maybe_unused]] const auto item : array) ++count;
  FlatMap<Merge> merges(count);
  MergeBlock block(prefix.size());
  std::uint32_t rank = 0;
  std::size_t index = 0;
  for (const auto item : array) {
    if (is_version_line(item)) continue;
    const Pair pair = read_pair(node, item, index++);
    if (!pair.right.starts_with(prefix)) {
      node.fail(fmt::format("merge {} needs \"{}\" to start with the prefix \"{}\"", index - 1, pair.right, prefix));
    }
    block.add(pair);
    if (block.is_full()) block.flush(node, vocabulary, rank, merges);
  }
  block.flush(node, vocabulary, rank, merges);
  return merges;
}

std::string affix_of(const JsonNode& node, std::string_view key) {
  const auto affix = node.find(key);
  return affix ? std::string(affix->string()) : std::string();
}

void refuse_dropout(const JsonNode& node) {
  double dropout = 0;
  if (const auto found = node.find("dropout"); found && (found->element().get(dropout) != simdjson::SUCCESS || dropout != 0)) {
    found->fail("is not supported, must be null or 0");
  }
}

}  // namespace

Bpe read_bpe(const JsonNode& node, PreTokenizer& pre_tokenizer, std::size_t limit) {
  refuse_dropout(node);
  BpeOptions options;
  options.prefix = affix_of(node, "continuing_subword_prefix");
  options.suffix = affix_of(node, "end_of_word_suffix");
  options.byte_fallback = node.flag("byte_fallback", false);
  options.ignore_merges = node.flag("ignore_merges", false);
  options.fuse_unknown = node.flag("fuse_unk", false);
  if (!options.prefix.empty() || !options.suffix.empty() || options.byte_fallback) pre_tokenizer.spell();
  options.byte_level = pre_tokenizer.leaves_spelling();
  Vocabulary vocabulary = read_vocabulary(node.at("vocab"), limit);
  FlatMap<Merge> merges = read_merges(node.at("merges"), vocabulary, options.prefix);
  if (const auto unknown = node.find("unk_token"); unknown && !unknown->string().empty()) {
    options.unknown = vocabulary.find(unknown->string());
    if (!options.unknown) unknown->fail(fmt::format("\"{}\" is not in the vocabulary", unknown->string()));
  }
  return Bpe(std::move(vocabulary), std::move(merges), std::move(options));
}

}  // namespace lazuli::tokenizer
