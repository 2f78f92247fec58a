#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "io/tokenizer/load_parts.h"

namespace lazuli::tokenizer {
namespace {

// How many tokens before it is added the place of a token is fetched.
constexpr std::size_t kAhead = 16;

// The tables have too many entries to give each a node with a place.
Vocabulary read_vocabulary(const JsonNode& node, std::size_t limit) {
  const simdjson::dom::object object = node.object();
  std::size_t count = 0;
  std::size_t bytes = 0;
  for (const auto field : object) {
    ++count;
    bytes += field.key.size();
  }
  Vocabulary vocabulary(count, bytes);
  auto ahead = object.begin();
  for (std::size_t i = 0; i < std::min(kAhead, count); ++i, ++ahead) vocabulary.prefetch(ahead.key());
  for (const auto field : object) {
    if (ahead != object.end()) vocabulary.prefetch((ahead++).key());
    std::int64_t id = -1;
    if (field.value.get(id) != simdjson::SUCCESS || id < 0 || static_cast<std::uint64_t>(id) >= limit) {
      node.fail(fmt::format("id of \"{}\" must be an integer in 0 to {}", field.key, limit - 1));
    }
    switch (vocabulary.add(field.key, static_cast<std::int32_t>(id))) {
      case Vocabulary::Added::ok:
        break;
      case Vocabulary::Added::duplicate_token:
        node.fail(fmt::format("token \"{}\" occurs twice", field.key));
      case Vocabulary::Added::duplicate_id:
        node.fail(fmt::format("id {} of \"{}\" is already that of \"{}\"", id, field.key,
                              vocabulary.token(static_cast<std::int32_t>(id)).value_or("")));
    }
  }
  return vocabulary;
}

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

  void add(const Pair& pair) {
    pairs_.push_back(pair);
    joined_.append(pair.left).append(pair.right);
  }

  // Moves the merges to `merges`; the first has rank `rank`.
  void flush(const JsonNode& node, const Vocabulary& vocabulary, std::uint32_t& rank, FlatMap<Merge>& merges) {
    tokens_.clear();
    std::string_view joined = joined_;
    for (const Pair& pair : pairs_) {
      const std::size_t length = pair.left.size() + pair.right.size();
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
  std::vector<Pair> pairs_;
  std::string joined_;
  std::vector<std::string_view> tokens_;
  std::vector<std::int32_t> ids_;
};

FlatMap<Merge> read_merges(const JsonNode& node, const Vocabulary& vocabulary) {
  simdjson::dom::array array;
  if (node.element().get(array) != simdjson::SUCCESS) node.fail("must be an array");
  std::size_t count = 0;
  for ([[maybe_unused]] const auto item : array) ++count;
  FlatMap<Merge> merges(count);
  MergeBlock block;
  std::uint32_t rank = 0;
  std::size_t index = 0;
  for (const auto item : array) {
    if (is_version_line(item)) continue;
    block.add(read_pair(node, item, index++));
    if (block.is_full()) block.flush(node, vocabulary, rank, merges);
  }
  block.flush(node, vocabulary, rank, merges);
  return merges;
}

void refuse_unsupported(const JsonNode& node) {
  for (const std::string_view key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    const auto affix = node.find(key);
    if (affix && !affix->string().empty()) affix->fail("is not supported, must be null or empty");
  }
  double dropout = 0;
  if (const auto found = node.find("dropout"); found && (found->element().get(dropout) != simdjson::SUCCESS || dropout != 0)) {
    found->fail("is not supported, must be null or 0");
  }
  if (node.flag("byte_fallback", false)) node.fail("byte_fallback is not supported");
}

}  // namespace

Model read_model(const JsonNode& node, bool byte_level, std::size_t limit) {
  // Old files leave the type out.
  const auto type = node.find("type");
  if (type && type->string() != "BPE") type->fail(fmt::format("model {} is not supported (BPE is)", type->string()));
  refuse_unsupported(node);
  Vocabulary vocabulary = read_vocabulary(node.at("vocab"), limit);
  FlatMap<Merge> merges = read_merges(node.at("merges"), vocabulary);
  BpeOptions options;
  options.byte_level = byte_level;
  options.ignore_merges = node.flag("ignore_merges", false);
  options.fuse_unknown = node.flag("fuse_unk", false);
  if (const auto unknown = node.find("unk_token"); unknown && !unknown->string().empty()) {
    options.unknown = vocabulary.find(unknown->string());
    if (!options.unknown) unknown->fail(fmt::format("\"{}\" is not in the vocabulary", unknown->string()));
  }
  return Bpe(std::move(vocabulary), std::move(merges), options);
}

}  // namespace lazuli::tokenizer
