#include "text/tokenizer/convert.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <string_view>
#include <utility>

#include "base/file.h"
#include "base/json_writer.h"
#include "base/utf8.h"
#include "lazuli/error.h"
#include "text/tokenizer/lines.h"
#include "text/tokenizer/tiktoken.h"
#include "text/tokenizer/unicode.h"

namespace lazuli::tokenizer {
namespace {

constexpr std::size_t kVocabularyBytes = JsonDocument::kDefaultBytes;

constexpr std::string_view kSentencePiece = "tokenizer.model", kTiktoken = "tiktoken.model", kXlmRoberta = "sentencepiece.bpe.model",
                           kWords = "vocab.txt", kVocabulary = "vocab.json", kMerges = "merges.txt";

/// The files that a class reads, apart from tokenizer.json.
std::vector<std::string_view> files_of(TokenizerClass kind) {
  switch (kind) {
    case TokenizerClass::bert:
    case TokenizerClass::mpnet:
      return {kWords};
    case TokenizerClass::roberta:
    case TokenizerClass::gpt2:
    case TokenizerClass::gpt_neox:
    case TokenizerClass::qwen2:
      return {kVocabulary, kMerges};
    case TokenizerClass::xlm_roberta:
      return {kXlmRoberta};
    default:
      return {kSentencePiece};
  }
}

std::string class_text(const Settings& s) {
  return s.kind == TokenizerClass::as_file ? "a folder without a known tokenizer_class" : s.class_name;
}

[[noreturn]] void refuse_missing(const ModelFolder& folder, const Settings& s, const std::vector<std::string_view>& files) {
  throw IoError(fmt::format(
      "{}: no tokenizer.json; in its place transformers reads {} for {}, which is not there. tokenizer_class of tokenizer_config.json says "
      "the class: vocab.json and merges.txt are read for GPT2Tokenizer, Qwen2Tokenizer and RobertaTokenizer, vocab.txt for BertTokenizer",
      folder.path(), fmt::join(files, " and "), class_text(s)));
}

/// tokenizer.model or tiktoken.model, which transformers takes whatever the class reads; empty without.
std::string model_file(const ModelFolder& folder) {
  if (folder.has("tekken.json")) {
    throw FormatError(fmt::format(
        "{}: is not read: with Python, transformers' AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER) converts it to "
        "tokenizer.json",
        folder.path_of("tekken.json")));
  }
  const bool piece = folder.has(kSentencePiece), ranks = folder.has(kTiktoken);
  if (piece && ranks) {
    throw FormatError(fmt::format("{}: tokenizer.model and tiktoken.model, one of them expected", folder.path()));
  }
  return piece ? folder.path_of(kSentencePiece) : ranks ? folder.path_of(kTiktoken) : "";
}

/// `text` without the white space at its end.
std::string_view without_space_at_end(std::string_view text) {
  const UnicodeClasses& classes = UnicodeClasses::instance();
  while (!text.empty()) {
    const std::size_t start = previous_start(text, text.size());
    if ((classes.of(code_point_at(text, start).value) & UnicodeClasses::kSpace) == 0) break;
    text = text.substr(0, start);
  }
  return text;
}

std::string read_text(const std::string& path) {
  std::string text = read_file(path, kVocabularyBytes);
  if (const std::size_t end = utf8_end(text); end != text.size()) {
    throw FormatError(fmt::format("{}: byte {} is not UTF-8", path, end));
  }
  return text;
}

/// ["a","b"] for each line "a b".
std::string merges_as_json(const std::string& path) {
  const std::string text = read_text(path);
  JsonWriter w;
  w.begin_array();
  std::string_view rest = text;
  for (std::size_t number = 1; !rest.empty(); ++number) {
    const std::string_view line = take_line(rest);
    if (line.starts_with("#version")) continue;
    const std::size_t space = line.find(' ');
    if (space == std::string_view::npos || line.find(' ', space + 1) != std::string_view::npos) {
      throw FormatError(fmt::format("{}: line {}: two tokens with a space between them expected", path, number));
    }
    w.begin_array().value(line.substr(0, space)).value(line.substr(space + 1)).end_array();
  }
  w.end_array();
  return w.text();
}

}  // namespace

bool has_vocabulary_file(const ModelFolder& folder) {
  for (const std::string_view name : {kSentencePiece, kTiktoken, kXlmRoberta, kWords, kVocabulary}) {
    if (folder.has(name)) return true;
  }
  return false;
}

Settings settings_without_file(ModelFolder& folder, const VocabularyTokens& tokens) {
  const JsonDocument nothing = JsonDocument::parse("{}", folder.path());
  return read_settings(folder, nothing.root(), &tokens);
}

Conversion convert_word_list(ModelFolder& folder) {
  const std::string path = folder.path_of(kWords);
  const std::string text = read_text(path);
  // Of a word on several lines the last one counts.
  std::vector<std::string_view> words;
  std::size_t bytes = 0;
  for (std::string_view rest = text; !rest.empty();) {
    words.push_back(without_space_at_end(take_line(rest)));
    bytes += words.back().size();
  }
  Vocabulary known(words.size(), bytes);
  std::vector<bool> counts(words.size());
  for (std::size_t i = words.size(); i > 0; --i) {
    counts[i - 1] = known.add(words[i - 1], static_cast<std::int32_t>(i - 1)) == Vocabulary::Added::ok;
  }
  JsonWriter w;
  w.begin_object().key("model").begin_object().field("type", "WordPiece").key("vocab").begin_object();
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (counts[i]) w.field(words[i], i);
  }
  w.end_object().end_object().end_object();
  return {settings_without_file(folder), JsonDocument::parse(w.text(), path), std::nullopt};
}

Conversion convert_vocabulary_and_merges(ModelFolder& folder) {
  const std::string path = folder.path_of(kVocabulary);
  const std::string vocabulary = read_text(path);
  if (!JsonDocument::parse(vocabulary, path).root().is_object() || vocabulary.starts_with("\xef\xbb\xbf")) {
    throw FormatError(fmt::format("{}: an object of tokens and their ids expected, without a byte order mark", path));
  }
  const std::string text =
      fmt::format(R"({{"model":{{"type":"BPE","vocab":{},"merges":{}}}}})", vocabulary, merges_as_json(folder.path_of(kMerges)));
  return {settings_without_file(folder), JsonDocument::parse(text, path + " with " + std::string(kMerges)), std::nullopt};
}

Conversion convert_vocabulary(ModelFolder& folder) {
  const Settings chosen = settings_without_file(folder);
  const std::vector<std::string_view> files = files_of(chosen.kind);
  std::string path = model_file(folder);
  const bool reads_model = files.front() == kSentencePiece || files.front() == kXlmRoberta;
  if (!path.empty() && !reads_model) {
    throw FormatError(fmt::format("{}: takes the place of {} where there is no tokenizer.json, and {} cannot read it", path,
                                  fmt::join(files, " and "), chosen.class_name));
  }
  for (const std::string_view file : files) {
    if (path.empty() && !folder.has(file)) refuse_missing(folder, chosen, files);
  }
  if (files.front() == kWords) return convert_word_list(folder);
  if (files.front() == kVocabulary) return convert_vocabulary_and_merges(folder);
  if (path.empty()) path = folder.path_of(files.front());
  const std::string bytes = read_file(path, kVocabularyBytes);
  const bool ranks = path.ends_with(kTiktoken) || is_tiktoken(bytes);
  return ranks ? convert_tiktoken(folder, chosen, path, bytes) : convert_sentence_piece(folder, chosen, path, bytes);
}

}  // namespace lazuli::tokenizer
