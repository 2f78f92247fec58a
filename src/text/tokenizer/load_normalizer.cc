#include <utility>

#include "text/tokenizer/load_parts.h"

namespace lazuli::tokenizer {
namespace {

Precompiled read_precompiled(const JsonValue& rules) {
  try {
    return Precompiled(rules.as_string());
  } catch (const FormatError& error) {
    rules.fail(error.what());
  }
}

NormalizerStep read_step(const JsonValue& node) {
  const std::string_view type = node.get("type").as_string();
  if (type == "NFC") return UnicodeForm{true, false};
  if (type == "NFD") return UnicodeForm{false, false};
  if (type == "NFKC") return UnicodeForm{true, true};
  if (type == "NFKD") return UnicodeForm{false, true};
  if (type == "Lowercase") return Lowercase();
  if (type == "StripAccents") return StripAccents();
  if (type == "Nmt") return Nmt();
  if (type == "ByteLevel") return SpellBytes();
  if (type == "Replace") return read_replace(node);
  if (type == "Prepend") return Prepend{std::string(node.get("prepend").as_string())};
  if (type == "Strip") return Strip{node.bool_or("strip_left", true), node.bool_or("strip_right", true)};
  if (type == "Precompiled") return read_precompiled(node.get("precompiled_charsmap"));
  if (type == "BertNormalizer") {
    BertNormalizer bert;
    bert.clean_text = node.bool_or("clean_text", true);
    bert.handle_chinese_chars = node.bool_or("handle_chinese_chars", true);
    bert.lowercase = node.bool_or("lowercase", true);
    bert.strip_accents = node.bool_or("strip_accents", bert.lowercase);
    return bert;
  }
  node.fail(fmt::format("normalizer {} is not supported", type));
}

}  // namespace

// An expression of the file; errors say where it stands.
Regex read_regex(const JsonValue& expression) {
  try {
    return Regex(expression.as_string());
  } catch (const FormatError& error) {
    expression.fail(error.what());
  }
}

Replace read_replace(const JsonValue& node) {
  Replace replace;
  replace.content = node.get("content").as_string();
  const JsonValue pattern = node.get("pattern");
  if (const auto literal = pattern.find_set("String")) {
    if (literal->as_string().empty()) literal->fail("must not be empty");
    replace.pattern = std::string(literal->as_string());
  } else {
    replace.pattern = read_regex(pattern.get("Regex"));
  }
  return replace;
}

Normalizer read_normalizer(const std::optional<JsonValue>& node) {
  std::vector<NormalizerStep> steps;
  if (!node) return Normalizer();
  for_each_component(*node, "normalizers", [&](const JsonValue& item) { steps.push_back(read_step(item)); });
  return Normalizer(std::move(steps));
}

}  // namespace lazuli::tokenizer
