// Implements convert_sentence_piece: pieces become the vocabulary of a class, or all parts of a tokenizer where no class brings its own.
#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <string_view>
#include <unordered_set>
#include <utility>

#include "base/json_writer.h"
#include "lazuli/error.h"
#include "text/tokenizer/base64.h"
#include "text/tokenizer/convert.h"
#include "text/tokenizer/sentence_piece.h"
#include "text/tokenizer/unicode.h"

namespace lazuli::tokenizer {
namespace {

using Type = SentencePiece::Type;
using Kind = SentencePieceModel::Kind;

constexpr std::string_view kBlock = "\u2581";

/// What makes a document of a model: its parts, and what the folder says beside it.
struct PieceSource {
  const SentencePieceModel& model;
  const Settings& settings;
  const std::string& path;
};

[[noreturn]] void fail(const PieceSource& source, std::string_view message) {
  throw FormatError(fmt::format("{}: {}", source.path, message));
}

SentencePieceModel read_pieces(const std::string& path, const std::string& bytes) {
  try {
    return read_sentence_piece(bytes);
  } catch (const FormatError& error) {
    throw FormatError(fmt::format("{}: {}", path, error.what()));
  }
}

Vocabulary vocabulary_of_pieces(const PieceSource& source, const std::vector<std::string_view>& texts) {
  const std::size_t bytes = std::accumulate(texts.begin(), texts.end(), std::size_t{0}, [](std::size_t n, auto t) { return n + t.size(); });
  Vocabulary vocabulary(texts.size(), bytes);
  for (std::size_t id = 0; id < texts.size(); ++id) {
    if (vocabulary.add(texts[id], static_cast<std::int32_t>(id)) != Vocabulary::Added::ok) {
      fail(source, fmt::format("piece {} (\"{}\") occurs twice", id, texts[id]));
    }
  }
  return vocabulary;
}

std::vector<std::string_view> texts_of(const SentencePieceModel& model) {
  std::vector<std::string_view> texts;
  for (const SentencePiece& piece : model.pieces) texts.push_back(piece.text);
  return texts;
}

/// Pieces take the names that added_tokens_decoder gives their ids, unless another piece keeps that name.
std::vector<std::string_view> renamed_texts(const PieceSource& source) {
  std::vector<std::string_view> texts = texts_of(source.model);
  const auto& names = source.settings.decoder;
  std::unordered_set<std::string_view> kept;
  for (std::size_t id = 0; id < texts.size(); ++id) {
    if (!names.contains(static_cast<std::int64_t>(id))) kept.insert(texts[id]);
  }
  for (const auto& [id, token] : names) {
    const auto place = static_cast<std::size_t>(id);
    if (place >= texts.size() || kept.contains(token.content)) continue;
    if (token.content.empty() || token.content.size() > kMaxPieceBytes) {
      fail(source, fmt::format("piece {} is renamed by added_tokens_decoder to {} bytes, 1 to {} expected", id, token.content.size(),
                               kMaxPieceBytes));
    }
    texts[place] = token.content;
  }
  return texts;
}

/// Merges as a class takes them: of all pieces, by the id of what they make.
std::vector<IdMerge> merges_by_id(const Vocabulary& vocabulary) {
  std::vector<IdMerge> merges;
  const SplitFinder finder(vocabulary, SplitFinder::Cut::characters);
  for (std::int32_t id = 0; id < vocabulary.size(); ++id) finder.append(id, merges);
  return merges;
}

/// Merges as sentencepiece does them: of normal pieces, by their scores.
std::vector<IdMerge> merges_by_score(const SentencePieceModel& model, const Vocabulary& vocabulary) {
  std::vector<std::int32_t> order;
  const auto at = [&](std::int32_t id) -> const SentencePiece& { return model.pieces[static_cast<std::size_t>(id)]; };
  for (std::int32_t id = 0; id < vocabulary.size(); ++id) {
    if (at(id).type == Type::normal) order.push_back(id);
  }
  std::stable_sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) { return at(a).score > at(b).score; });
  std::vector<IdMerge> merges;
  const SplitFinder finder(vocabulary, SplitFinder::Cut::characters);
  for (const std::int32_t id : order) finder.append(id, merges);
  std::erase_if(merges, [&](const IdMerge& m) { return at(m.left).type != Type::normal || at(m.right).type != Type::normal; });
  return merges;
}

void write_bpe_vocabulary(JsonWriter& w, const std::vector<std::string_view>& texts) {
  w.field("type", "BPE").key("vocab").begin_object();
  for (std::size_t id = 0; id < texts.size(); ++id) w.field(texts[id], id);
  w.end_object();
}

void write_scored(JsonWriter& w, std::string_view text, double score) { w.begin_array().value(text).value(score).end_array(); }

/// The document of a class that brings all but the vocabulary.
std::string bpe_of_class(const SentencePieceModel& model) {
  JsonWriter w;
  w.begin_object().key("model").begin_object();
  write_bpe_vocabulary(w, texts_of(model));
  w.end_object().end_object();
  return w.text();
}

/// XLM-RoBERTa's four first tokens in the place of three pieces, and one more at the end.
std::string unigram_of_xlm_roberta(const PieceSource& source) {
  const auto named = [&](std::string_view name) -> std::string_view {
    const AddedToken* token = source.settings.find(name);
    if (token == nullptr) fail(source, fmt::format("{} needs a {}", source.settings.class_name, name));
    return token->content;
  };
  constexpr std::size_t replaced = 3;
  JsonWriter w;
  w.begin_object().key("model").begin_object().field("type", "Unigram").key("vocab").begin_array();
  for (const char* name : {"bos_token", "pad_token", "eos_token", "unk_token"}) write_scored(w, named(name), 0);
  const std::vector<SentencePiece>& pieces = source.model.pieces;
  for (std::size_t id = replaced; id < pieces.size(); ++id) write_scored(w, pieces[id].text, static_cast<double>(pieces[id].score));
  write_scored(w, named("mask_token"), 0);
  w.end_array().end_object();
  if (!source.model.precompiled_charsmap.empty()) {
    w.key("normalizer").begin_object().field("type", "Precompiled");
    w.field("precompiled_charsmap", to_base64(source.model.precompiled_charsmap)).end_object();
  }
  w.end_object();
  return w.text();
}

void write_replace_step(JsonWriter& w, std::string_view kind, std::string_view pattern, std::string_view content) {
  w.begin_object().field("type", "Replace").key("pattern").begin_object().field(kind, pattern).end_object();
  w.field("content", content).end_object();
}

void write_normalizer(JsonWriter& w, const SentencePieceModel& model, bool legacy) {
  w.key("normalizer").begin_object().field("type", "Sequence").key("normalizers").begin_array();
  if (!model.precompiled_charsmap.empty()) {
    w.begin_object().field("type", "Precompiled").field("precompiled_charsmap", to_base64(model.precompiled_charsmap)).end_object();
  }
  if (model.remove_extra_whitespaces) {
    write_replace_step(w, "Regex", R"(\A +| +\z)", "");
    write_replace_step(w, "Regex", " {2,}", " ");
  }
  if (model.escape_whitespaces) write_replace_step(w, "String", " ", kBlock);
  // Metaspace puts no dummy prefix before a text that starts with its character; sentencepiece does.
  if (model.add_dummy_prefix && legacy) write_replace_step(w, "Regex", fmt::format(R"(\A{})", kBlock), fmt::format("{}{}", kBlock, kBlock));
  w.end_array().end_object();
}

/// An expression that matches any of the texts, the longest first.
std::string any_of(std::vector<std::string_view> texts) {
  std::stable_sort(texts.begin(), texts.end(), [](auto a, auto b) { return count_characters(a) > count_characters(b); });
  std::string expression;
  for (const std::string_view text : texts) {
    if (!expression.empty()) expression.push_back('|');
    for (const char c : text) {
      const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || (c & 0x80) != 0;
      if (!plain) expression.push_back('\\');
      expression.push_back(c);
    }
  }
  return expression;
}

void write_pre_tokenizer(JsonWriter& w, const SentencePieceModel& model, const std::vector<std::string_view>& whole, bool legacy) {
  if (!model.add_dummy_prefix && whole.empty()) return;
  w.key("pre_tokenizer").begin_object().field("type", "Sequence").key("pretokenizers").begin_array();
  if (model.add_dummy_prefix) {
    w.begin_object().field("type", "Metaspace").field("replacement", kBlock).field("prepend_scheme", legacy ? "always" : "first");
    w.field("split", false).end_object();
  }
  if (!whole.empty()) {
    w.begin_object().field("type", "Split").key("pattern").begin_object().field("Regex", any_of(whole)).end_object();
    w.field("behavior", "Isolated").field("invert", false).end_object();
  }
  w.end_array().end_object();
}

void write_decoder(JsonWriter& w, const SentencePieceModel& model) {
  w.key("decoder").begin_object().field("type", "Sequence").key("decoders").begin_array();
  write_replace_step(w, "String", kBlock, " ");
  if (model.byte_fallback) w.begin_object().field("type", "ByteFallback").end_object();
  if (model.byte_fallback || model.add_dummy_prefix) w.begin_object().field("type", "Fuse").end_object();
  if (model.add_dummy_prefix) w.begin_object().field("type", "Strip").field("content", " ").field("start", 1).field("stop", 0).end_object();
  w.end_array().end_object();
}

/// The document of a folder without a class, which encodes as sentencepiece does.
std::string whole_document(const PieceSource& source, const std::vector<std::string_view>& texts, bool legacy) {
  const SentencePieceModel& model = source.model;
  std::vector<std::string_view> whole;  // user-defined pieces, which are never cut
  for (std::size_t id = 0; id < texts.size(); ++id) {
    if (model.pieces[id].type == Type::user_defined) whole.push_back(texts[id]);
  }
  JsonWriter w;
  w.begin_object();
  write_normalizer(w, model, legacy);
  write_pre_tokenizer(w, model, whole, legacy);
  write_decoder(w, model);
  w.key("model").begin_object().field("byte_fallback", model.byte_fallback);
  if (model.kind == Kind::bpe) {
    write_bpe_vocabulary(w, texts);
    w.field("unk_token", model.unknown_piece).field("fuse_unk", true).field("ignore_merges", !whole.empty());
  } else {
    w.field("type", "Unigram").field("unk_id", model.unknown_id).key("vocab").begin_array();
    for (std::size_t id = 0; id < texts.size(); ++id) write_scored(w, texts[id], static_cast<double>(model.pieces[id].score));
    w.end_array();
  }
  w.end_object().end_object();
  return w.text();
}

/// Control and user-defined pieces are added tokens, the former special.
VocabularyTokens tokens_of(const SentencePieceModel& model, bool as_file) {
  VocabularyTokens tokens;
  std::vector<AddedToken> listed;
  for (const SentencePiece& piece : model.pieces) {
    const bool control = piece.type == Type::control;
    if (!control && (as_file || piece.type != Type::user_defined)) continue;
    AddedToken token;
    token.content = std::string(piece.text);
    token.special = control;
    listed.push_back(std::move(token));
  }
  tokens.listed = std::move(listed);
  if (!as_file) return tokens;
  if (model.bos_id >= 0) tokens.bos = model.bos_piece;
  if (model.eos_id >= 0) tokens.eos = model.eos_piece;
  if (model.unknown_id >= 0) tokens.unknown = model.unknown_piece;
  return tokens;
}

bool is_legacy(ModelFolder& folder) {
  const auto config = folder.find("tokenizer_config.json");
  const auto legacy = config ? config->root().find("legacy") : std::nullopt;
  return !legacy || (!legacy->is_null() && legacy->as_bool());
}

}  // namespace

Conversion convert_sentence_piece(ModelFolder& folder, const Settings& chosen, const std::string& path, const std::string& bytes) {
  const SentencePieceModel model = read_pieces(path, bytes);
  const bool as_file = chosen.kind == TokenizerClass::as_file;
  Settings settings = settings_without_file(folder, tokens_of(model, as_file));
  const PieceSource source{model, settings, path};
  const Kind wanted = as_file ? model.kind : chosen.kind == TokenizerClass::xlm_roberta ? Kind::unigram : Kind::bpe;
  if (model.kind != wanted) {
    fail(source, fmt::format("model_type {} of trainer_spec expected for {}, got {}", static_cast<int>(wanted), chosen.class_name,
                             static_cast<int>(model.kind)));
  }
  if (chosen.kind == TokenizerClass::xlm_roberta) {
    std::string text = unigram_of_xlm_roberta(source);
    return {std::move(settings), JsonDocument::parse(text, path), std::nullopt};
  }
  if (!as_file) {
    std::vector<IdMerge> merges = merges_by_id(vocabulary_of_pieces(source, texts_of(model)));
    return {std::move(settings), JsonDocument::parse(bpe_of_class(model), path), std::move(merges)};
  }
  const bool bpe = model.kind == Kind::bpe;
  const std::vector<std::string_view> texts = bpe ? renamed_texts(source) : texts_of(model);
  const Vocabulary vocabulary = vocabulary_of_pieces(source, texts);
  JsonDocument document = JsonDocument::parse(whole_document(source, texts, is_legacy(folder)), path);
  std::optional<std::vector<IdMerge>> merges;
  if (bpe) merges = merges_by_score(model, vocabulary);
  // Added tokens are found in the raw text, so that what follows one gets its dummy prefix.
  if (model.add_dummy_prefix) {
    for (auto& [id, token] : settings.decoder) token.normalized = false;
  }
  return {std::move(settings), std::move(document), std::move(merges)};
}

}  // namespace lazuli::tokenizer
