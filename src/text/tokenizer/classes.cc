#include "text/tokenizer/classes.h"

#include <fmt/format.h>

#include <utility>
#include <vector>

#include "text/tokenizer/load_parts.h"

namespace lazuli::tokenizer {
namespace {

constexpr std::string_view kSpace = "\u2581";
/// That of Qwen2 with marks among letters.
constexpr std::string_view kQwen35Expression =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

bool prefix_space(const Settings& s) {
  const bool fallback = s.kind == TokenizerClass::llama || s.kind == TokenizerClass::xlm_roberta;
  return s.add_prefix_space.value_or(fallback);
}

Metaspace::PrependScheme prepend_scheme(const Settings& s) {
  using Scheme = Metaspace::PrependScheme;
  if (!prefix_space(s)) return Scheme::never;
  return s.kind == TokenizerClass::llama && !s.legacy ? Scheme::first : Scheme::always;
}

/// The rules of sentencepiece, where the file's normalizer has some.
Normalizer precompiled_rules(const std::optional<JsonValue>& node) {
  if (!node) return Normalizer();
  std::optional<JsonValue> rules;
  const auto look = [&](const JsonValue& item) {
    if (!rules && item.string_or("type", "") == "Precompiled") rules = item;
  };
  if (node->string_or("type", "") == "Sequence") {
    for (const JsonValue& item : node->get("normalizers").as_array()) look(item);
  } else {
    look(*node);
  }
  return rules ? read_normalizer(rules) : Normalizer();
}

std::string_view model_of(TokenizerClass kind) {
  switch (kind) {
    case TokenizerClass::bert:
    case TokenizerClass::mpnet:
      return "WordPiece";
    case TokenizerClass::xlm_roberta:
      return "Unigram";
    default:
      return "BPE";
  }
}

constexpr TemplateItem kFirst{TemplateItem::kFirst, 0};

/// Begin and end around each text, as far as the files ask for them and name them.
PostProcessor ends_processor(const Settings& s, const std::function<std::int32_t(std::string_view)>& id_of) {
  Template single, pair;
  for (std::int32_t type : {0, 1}) {
    const auto put = [&](bool wanted, std::string_view name) {
      const AddedToken* token = wanted ? s.find(name) : nullptr;
      if (token != nullptr) pair.push_back({id_of(token->content), type});
    };
    put(s.ends->bos, "bos_token");
    pair.push_back({type == 0 ? TemplateItem::kFirst : TemplateItem::kSecond, type});
    put(s.ends->eos, "eos_token");
    if (type == 0) single = pair;
  }
  return PostProcessor(std::move(single), std::move(pair));
}

TemplateItem second(std::int32_t type) { return {TemplateItem::kSecond, type}; }

}  // namespace

Normalizer class_normalizer(const Settings& s, const JsonValue& root) {
  switch (s.kind) {
    case TokenizerClass::bert:
    case TokenizerClass::mpnet: {
      BertNormalizer bert;
      bert.handle_chinese_chars = s.tokenize_chinese_chars;
      bert.lowercase = s.do_lower_case;
      bert.strip_accents = s.strip_accents.value_or(s.do_lower_case);
      return Normalizer({bert});
    }
    case TokenizerClass::qwen2:
    case TokenizerClass::qwen3_5:
    case TokenizerClass::gpt_neox:
      return Normalizer({UnicodeForm{true, false}});
    case TokenizerClass::gemma:
      return Normalizer({Replace{" ", std::string(kSpace)}});
    case TokenizerClass::xlm_roberta:
      return precompiled_rules(root.find_set("normalizer"));
    default:
      return Normalizer();
  }
}

PreTokenizer class_pre_tokenizer(const Settings& s) {
  std::vector<PreTokenizerStep> steps;
  switch (s.kind) {
    case TokenizerClass::bert:
    case TokenizerClass::mpnet:
      steps.emplace_back(BertSplit());
      break;
    case TokenizerClass::xlm_roberta:
      steps.emplace_back(WhitespaceSplit());
      steps.emplace_back(Metaspace{std::string(kSpace), prepend_scheme(s), true});
      break;
    case TokenizerClass::llama:
      steps.emplace_back(Metaspace{std::string(kSpace), prepend_scheme(s), false});
      break;
    case TokenizerClass::gemma:
      break;  // which splits by spaces, where its normalizer leaves none
    case TokenizerClass::qwen3_5:
      steps.emplace_back(Split{Regex(kQwen35Expression)});
      steps.emplace_back(ByteLevel{prefix_space(s), false});
      break;
    case TokenizerClass::qwen2:
      steps.emplace_back(Split{KnownSplit::qwen2});
      steps.emplace_back(ByteLevel{prefix_space(s), false});
      break;
    default:
      steps.emplace_back(ByteLevel{prefix_space(s), true});
      break;
  }
  return PreTokenizer(std::move(steps));
}

Decoder class_decoder(const Settings& s) {
  switch (s.kind) {
    case TokenizerClass::bert:
    case TokenizerClass::mpnet:
      return {WordPieceDecoder{"##", true}};
    case TokenizerClass::xlm_roberta:
      return {MetaspaceDecoder{std::string(kSpace), prefix_space(s)}};
    case TokenizerClass::gemma:
      return {CharacterDecoder{std::string(kSpace), " "}, ByteFallbackDecoder(), FuseDecoder()};
    case TokenizerClass::llama: {
      Decoder steps = {CharacterDecoder{std::string(kSpace), " "}, ByteFallbackDecoder(), FuseDecoder()};
      if (prefix_space(s)) steps.emplace_back(StripDecoder{" ", 1, 0});
      return steps;
    }
    default:
      return {ByteLevelDecoder()};
  }
}

Model class_model(const Settings& s, const JsonValue& node, PreTokenizer& pre_tokenizer, std::size_t limit,
                  const std::vector<IdMerge>* merges) {
  const std::string type = node.string_or("type", "");
  const std::string_view wanted = model_of(s.kind);
  if (!type.empty() && type != wanted) {
    node.get("type").fail(
        fmt::format("a model {} expected for {}, which tokenizer_config.json or config.json names, got {}", wanted, s.class_name, type));
  }
  if (wanted == "WordPiece") {
    pre_tokenizer.spell();
    const AddedToken* unknown = s.find("unk_token");
    return read_word_piece(node, limit, WordPieceSettings{unknown == nullptr ? "[UNK]" : unknown->content});
  }
  if (wanted == "Unigram") {
    pre_tokenizer.spell();
    constexpr std::int32_t unknown = 3;
    return read_unigram(node, limit, UnigramSettings{unknown, false});
  }
  BpeOptions options;
  const bool gemma = s.kind == TokenizerClass::gemma;
  options.fuse_unknown = options.byte_fallback = gemma || s.kind == TokenizerClass::llama;
  const AddedToken* unknown = s.find("unk_token");
  return read_bpe(node, pre_tokenizer, limit, merges, options, gemma && unknown != nullptr ? unknown->content : "");
}

std::optional<PostProcessor> class_post_processor(const Settings& s, const std::function<std::int32_t(std::string_view)>& id_of,
                                                  const JsonValue& root) {
  const auto id_named = [&](std::string_view name) {
    const AddedToken* token = s.find(name);
    if (token == nullptr) root.fail(fmt::format("{} needs a {}, which tokenizer_config.json takes away", s.class_name, name));
    return id_of(token->content);
  };
  switch (s.kind) {
    case TokenizerClass::bert: {
      const std::int32_t cls = id_named("cls_token"), sep = id_named("sep_token");
      return PostProcessor({{cls}, kFirst, {sep}}, {{cls}, kFirst, {sep}, second(1), {sep, 1}});
    }
    case TokenizerClass::mpnet:
    case TokenizerClass::roberta: {
      const std::int32_t cls = id_named("cls_token"), sep = id_named("sep_token");
      return PostProcessor({{cls}, kFirst, {sep}}, {{cls}, kFirst, {sep}, {sep}, second(0), {sep}});
    }
    case TokenizerClass::xlm_roberta: {
      const std::int32_t bos = id_named("bos_token"), eos = id_named("eos_token");
      return PostProcessor({{bos}, kFirst, {eos}}, {{bos}, kFirst, {eos}, {eos}, second(0), {eos}});
    }
    case TokenizerClass::gpt_neox:
      return s.ends ? ends_processor(s, id_of) : PostProcessor();
    default:
      return s.ends ? std::optional(ends_processor(s, id_of)) : std::nullopt;
  }
}

}  // namespace lazuli::tokenizer
