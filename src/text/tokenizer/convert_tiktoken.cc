// Implements convert_tiktoken: ranks become a byte-level BPE whose merges are all pairs that make up a token.
#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <unordered_set>
#include <utility>

#include "base/json_writer.h"
#include "lazuli/error.h"
#include "text/tokenizer/byte_alphabet.h"
#include "text/tokenizer/convert.h"
#include "text/tokenizer/load_parts.h"
#include "text/tokenizer/split_scanner.h"
#include "text/tokenizer/tiktoken.h"

namespace lazuli::tokenizer {
namespace {

TiktokenRanks read_ranks(const std::string& path, const std::string& bytes) {
  try {
    return read_tiktoken(bytes);
  } catch (const FormatError& error) {
    throw FormatError(fmt::format("{}: {}", path, error.what()));
  }
}

Vocabulary vocabulary_of(const std::vector<std::string>& tokens, const std::string& path) {
  std::size_t bytes = 0;
  for (const std::string& token : tokens) bytes += token.size();
  Vocabulary vocabulary(tokens.size(), bytes);
  for (std::size_t id = 0; id < tokens.size(); ++id) {
    if (vocabulary.add(tokens[id], static_cast<std::int32_t>(id)) != Vocabulary::Added::ok) {
      throw FormatError(fmt::format("{}: the token of rank {} has another rank too", path, id));
    }
  }
  return vocabulary;
}

std::vector<IdMerge> merges_of_ranks(const Vocabulary& bytes) {
  std::vector<IdMerge> merges;
  const SplitFinder finder(bytes, SplitFinder::Cut::bytes);
  for (std::int32_t id = 0; id < bytes.size(); ++id) {
    const auto first = static_cast<std::ptrdiff_t>(merges.size());
    finder.append(id, merges);
    std::sort(merges.begin() + first, merges.end(),
              [](const IdMerge& a, const IdMerge& b) { return std::pair(a.left, a.right) < std::pair(b.left, b.right); });
  }
  return merges;
}

/// The tokens that follow the ranks: those of added_tokens_decoder with names for the ids between them, and the list of special tokens.
std::vector<std::string> tokens_after(const Settings& s, std::size_t ranks, const std::string& path) {
  std::vector<std::string> names;
  std::unordered_set<std::string> known;
  const std::int64_t last = s.decoder.empty() ? -1 : s.decoder.rbegin()->first;
  if (last >= 0 && static_cast<std::size_t>(last) >= id_limit(ranks)) {
    throw FormatError(
        fmt::format("{}: {} ranks, and id {} in added_tokens_decoder, at most {} expected", path, ranks, last, id_limit(ranks) - 1));
  }
  for (auto id = static_cast<std::int64_t>(ranks); id <= last; ++id) {
    const auto found = s.decoder.find(id);
    names.push_back(found != s.decoder.end() ? found->second.content : fmt::format("<|reserved_token_{}|>", id));
    known.insert(names.back());
  }
  for (const AddedToken& token : s.listed) {
    if (!known.contains(token.content)) names.push_back(token.content);
  }
  return names;
}

void write_added_tokens(JsonWriter& w, const std::vector<std::string>& names, const Vocabulary& spelled) {
  std::unordered_set<std::string_view> known;
  auto next = static_cast<std::int64_t>(spelled.size());
  w.key("added_tokens").begin_array();
  for (const std::string& name : names) {
    if (name.empty() || !known.insert(name).second) continue;
    const auto id = spelled.find(name);
    w.begin_object().field("id", id ? *id : next++).field("content", name);
    w.field("special", true).field("normalized", false).end_object();
  }
  w.end_array();
}

}  // namespace

Conversion convert_tiktoken(ModelFolder& folder, const Settings& chosen, const std::string& path, const std::string& bytes) {
  if (chosen.kind != TokenizerClass::as_file && chosen.kind != TokenizerClass::llama) {
    throw FormatError(fmt::format("{}: a vocabulary of tiktoken, which {} does not read", path, chosen.class_name));
  }
  const TiktokenRanks ranks = read_ranks(path, bytes);
  std::vector<std::string> spelled(ranks.size());
  for (std::size_t id = 0; id < ranks.size(); ++id) append_spelled(ranks[id], spelled[id]);
  Settings settings = settings_without_file(folder);
  settings.kind = TokenizerClass::as_file;
  // The class adds no such tokens unless it is told to.
  if (!settings.says_ends) settings.ends.reset();
  JsonWriter w;
  w.begin_object();
  write_added_tokens(w, tokens_after(settings, ranks.size(), path), vocabulary_of(spelled, path));
  w.key("pre_tokenizer").begin_object().field("type", "Sequence").key("pretokenizers").begin_array();
  w.begin_object().field("type", "Split").key("pattern").begin_object().field("Regex", kLlama3Expression).end_object();
  w.field("behavior", "Isolated").field("invert", false).end_object();
  w.begin_object().field("type", "ByteLevel").field("add_prefix_space", false).field("use_regex", false).end_object();
  w.end_array().end_object();
  w.key("decoder").begin_object().field("type", "ByteLevel").end_object();
  w.key("model").begin_object().field("type", "BPE").field("ignore_merges", true).key("vocab").begin_object();
  for (std::size_t id = 0; id < spelled.size(); ++id) w.field(spelled[id], id);
  w.end_object().end_object().end_object();
  return {std::move(settings), JsonDocument::parse(w.text(), path), merges_of_ranks(vocabulary_of(ranks, path))};
}

}  // namespace lazuli::tokenizer
