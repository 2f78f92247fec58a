#include <utility>

#include "io/tokenizer/load_parts.h"

namespace lazuli::tokenizer {
namespace {

Precompiled read_precompiled(const JsonNode& rules) {
  try {
    return Precompiled(rules.string());
  } catch (const FormatError& error) {
    rules.fail(error.what());
  }
}

NormalizerStep read_step(const JsonNode& node) {
  const std::string_view type = node.type();
  if (type == "NFC") return UnicodeForm{true, false};
  if (type == "NFD") return UnicodeForm{false, false};
  if (type == "NFKC") return UnicodeForm{true, true};
  if (type == "NFKD") return UnicodeForm{false, true};
  if (type == "Lowercase") return Lowercase();
  if (type == "StripAccents") return StripAccents();
  if (type == "Nmt") return Nmt();
  if (type == "ByteLevel") return SpellBytes();
  if (type == "Replace") return read_replace(node);
  if (type == "Prepend") return Prepend{std::string(node.at("prepend").string())};
  if (type == "Strip") return Strip{node.flag("strip_left", true), node.flag("strip_right", true)};
  if (type == "Precompiled") return read_precompiled(node.at("precompiled_charsmap"));
  if (type == "BertNormalizer") {
    BertNormalizer bert;
    bert.clean_text = node.flag("clean_text", true);
    bert.handle_chinese_chars = node.flag("handle_chinese_chars", true);
    bert.lowercase = node.flag("lowercase", true);
    bert.strip_accents = node.flag("strip_accents", bert.lowercase);
    return bert;
  }
  node.fail(fmt::format("normalizer {} is not supported", type));
}

}  // namespace

// An expression of the file; errors say where it stands.
Regex read_regex(const JsonNode& expression) {
  try {
    return Regex(expression.string());
  } catch (const FormatError& error) {
    expression.fail(error.what());
  }
}

Replace read_replace(const JsonNode& node) {
  Replace replace;
  replace.content = node.at("content").string();
  const JsonNode pattern = node.at("pattern");
  if (const auto literal = pattern.find("String")) {
    if (literal->string().empty()) literal->fail("must not be empty");
    replace.pattern = std::string(literal->string());
  } else {
    replace.pattern = read_regex(pattern.at("Regex"));
  }
  return replace;
}

Normalizer read_normalizer(const std::optional<JsonNode>& node) {
  std::vector<NormalizerStep> steps;
  if (!node) return Normalizer();
  for_each_component(*node, "normalizers", [&](const JsonNode& item) { steps.push_back(read_step(item)); });
  return Normalizer(std::move(steps));
}

}  // namespace lazuli::tokenizer
