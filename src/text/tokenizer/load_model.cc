#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "text/tokenizer/load_parts.h"

namespace lazuli::tokenizer {
namespace {

// How many tokens before it is added the place of a token is fetched.
constexpr std::size_t kAhead = 16;

// Which bounds the time that finding the longest token takes.
constexpr std::size_t kMaxTokenBytes = 4096;

void check_lengths(const JsonValue& node, const Vocabulary& vocabulary) {
  for (std::int32_t id = 0; id < vocabulary.size(); ++id) {
    const std::size_t bytes = vocabulary.token(id).value_or("").size();
    if (bytes > kMaxTokenBytes) node.fail(fmt::format("token {} has {} bytes, at most {} are supported", id, bytes, kMaxTokenBytes));
  }
}

WordLevel read_word_level(const JsonValue& node, std::size_t limit) {
  const auto unknown = node.find_set("unk_token");
  return WordLevel(read_vocabulary(node.get("vocab"), limit), unknown ? std::string(unknown->as_string()) : "<unk>");
}

}  // namespace

WordPiece read_word_piece(const JsonValue& node, std::size_t limit, const std::optional<WordPieceSettings>& own) {
  WordPiece::Options options;
  Vocabulary vocabulary = read_vocabulary(node.get("vocab"), limit);
  check_lengths(node.get("vocab"), vocabulary);
  const std::string unknown = own ? own->unknown : node.string_or("unk_token", "[UNK]");
  const auto unknown_id = vocabulary.find(unknown);
  if (!unknown_id) node.fail(fmt::format("unk_token \"{}\" is not in the vocabulary", unknown));
  options.unknown = *unknown_id;
  if (own) return WordPiece(std::move(vocabulary), std::move(options));
  if (const auto prefix = node.find_set("continuing_subword_prefix")) options.prefix = prefix->as_string();
  if (const auto most = node.find_set("max_input_chars_per_word")) {
    if (most->as_int() < 0) most->fail("must not be negative");
    options.most_characters = static_cast<std::size_t>(most->as_int());
  }
  return WordPiece(std::move(vocabulary), std::move(options));
}

// [["<unk>", 0.0], ["a", -1.5], ...], ids in order.
Unigram read_unigram(const JsonValue& node, std::size_t limit, const std::optional<UnigramSettings>& own) {
  const JsonValue list = node.get("vocab");
  std::size_t bytes = 0;
  std::vector<std::pair<std::string_view, double>> tokens;
  for (const JsonValue& entry : list.as_array()) {
    const auto fail = [&] { list.fail(fmt::format("entry {} must be a token and its score", tokens.size())); };
    if (!entry.is_array() || entry.as_array().size() != 2) fail();
    auto part = entry.as_array().begin();
    const JsonValue token = *part;
    const JsonValue score = *++part;
    if (!token.is_string() || !score.is_number()) fail();
    bytes += token.as_string().size();
    tokens.emplace_back(token.as_string(), score.as_double());
  }
  Vocabulary vocabulary(tokens.size(), bytes);
  std::vector<double> scores;
  scores.reserve(tokens.size());
  for (const auto& [token, score] : tokens) {
    add_token(list, token, static_cast<std::int64_t>(scores.size()), limit, vocabulary);
    scores.push_back(score);
  }
  check_lengths(list, vocabulary);
  std::optional<std::int32_t> unknown;
  if (own) {
    if (own->unknown >= vocabulary.size()) list.fail(fmt::format("more than {} tokens expected", own->unknown));
    return Unigram(std::move(vocabulary), std::move(scores), own->unknown, own->byte_fallback);
  }
  if (const auto id = node.find_set("unk_id")) {
    if (id->as_int() < 0 || id->as_int() >= vocabulary.size()) id->fail(fmt::format("{} is not in the vocabulary", id->as_int()));
    unknown = static_cast<std::int32_t>(id->as_int());
  }
  return Unigram(std::move(vocabulary), std::move(scores), unknown, node.bool_or("byte_fallback", false));
}

void add_token(const JsonValue& node, std::string_view token, std::int64_t id, std::size_t limit, Vocabulary& vocabulary) {
  if (id < 0 || static_cast<std::uint64_t>(id) >= limit) {
    node.fail(fmt::format("id of \"{}\" must be an integer in 0 to {}", token, limit - 1));
  }
  switch (vocabulary.add(token, static_cast<std::int32_t>(id))) {
    case Vocabulary::Added::ok:
      break;
    case Vocabulary::Added::duplicate_token:
      node.fail(fmt::format("token \"{}\" occurs twice", token));
    case Vocabulary::Added::duplicate_id:
      node.fail(fmt::format("id {} of \"{}\" is already that of \"{}\"", id, token,
                            vocabulary.token(static_cast<std::int32_t>(id)).value_or("")));
  }
}

// The tables have too many entries to give each a node with a place.
Vocabulary read_vocabulary(const JsonValue& node, std::size_t limit) {
  const JsonObject object = node.as_object();
  std::size_t count = 0;
  std::size_t bytes = 0;
  for (const JsonMember& field : object) {
    ++count;
    bytes += field.key.size();
  }
  Vocabulary vocabulary(count, bytes);
  auto ahead = object.begin();
  for (std::size_t i = 0; i < std::min(kAhead, count); ++i, ++ahead) vocabulary.prefetch((*ahead).key);
  for (const JsonMember& field : object) {
    if (ahead != object.end()) {
      vocabulary.prefetch((*ahead).key);
      ++ahead;
    }
    add_token(node, field.key, field.value.is_int() ? field.value.as_int() : -1, limit, vocabulary);
  }
  return vocabulary;
}

Model read_model(const JsonValue& node, PreTokenizer& pre_tokenizer, std::size_t limit, const std::vector<IdMerge>* merges) {
  // Old files leave the type out.
  const auto type_node = node.find_set("type");
  const std::string_view type = type_node ? type_node->as_string() : "BPE";
  if (type == "BPE") return read_bpe(node, pre_tokenizer, limit, merges);
  pre_tokenizer.spell();
  if (type == "WordPiece") return read_word_piece(node, limit);
  if (type == "Unigram") return read_unigram(node, limit);
  if (type == "WordLevel") return read_word_level(node, limit);
  type_node->fail(fmt::format("model {} is not supported (BPE, WordPiece, Unigram and WordLevel are)", type));
}

}  // namespace lazuli::tokenizer
