#include <array>
#include <utility>

#include "text/tokenizer/load_parts.h"
#include "text/tokenizer/unicode.h"

namespace lazuli::tokenizer {
namespace {

SplitBehavior read_behavior(const JsonValue& node) {
  static constexpr std::array<std::pair<std::string_view, SplitBehavior>, 5> kNames = {{
      {"Isolated", SplitBehavior::isolated},
      {"Removed", SplitBehavior::removed},
      {"MergedWithPrevious", SplitBehavior::merged_with_previous},
      {"MergedWithNext", SplitBehavior::merged_with_next},
      {"Contiguous", SplitBehavior::contiguous},
  }};
  const std::string_view name = node.as_string();
  for (const auto& [known, behavior] : kNames) {
    if (known == name) return behavior;
  }
  node.fail(fmt::format("unknown behavior \"{}\"", name));
}

Split read_split(const JsonValue& node) {
  Split split;
  split.behavior = read_behavior(node.get("behavior"));
  split.invert = node.bool_or("invert", false);
  const JsonValue pattern = node.get("pattern");
  if (const auto literal = pattern.find_set("String")) {
    split.pattern = std::string(literal->as_string());
    return split;
  }
  const JsonValue expression = pattern.get("Regex");
  if (const auto known = known_split(expression.as_string())) {
    split.pattern = *known;
    return split;
  }
  split.pattern = read_regex(expression);
  return split;
}

Metaspace read_metaspace(const JsonValue& node) {
  Metaspace metaspace;
  metaspace.replacement = read_character(node.get("replacement"));
  metaspace.prepend = read_prepend_scheme(node);
  metaspace.split = node.bool_or("split", true);
  return metaspace;
}

FixedLength read_fixed_length(const JsonValue& node) {
  const auto length = node.find_set("length");
  if (!length) return FixedLength();
  if (length->as_int() < 1) length->fail("must be at least 1");
  return FixedLength{static_cast<std::size_t>(length->as_int())};
}

PreTokenizerStep read_step(const JsonValue& node) {
  const std::string_view type = node.get("type").as_string();
  if (type == "Split") return read_split(node);
  if (type == "Digits") return Digits{node.bool_or("individual_digits", false)};
  if (type == "ByteLevel") return ByteLevel{node.bool_or("add_prefix_space", true), node.bool_or("use_regex", true)};
  if (type == "Metaspace") return read_metaspace(node);
  if (type == "BertPreTokenizer") return BertSplit();
  if (type == "Whitespace") return Words();
  if (type == "WhitespaceSplit") return WhitespaceSplit();
  if (type == "CharDelimiterSplit") return Split{read_character(node.get("delimiter")), SplitBehavior::removed};
  if (type == "UnicodeScripts") return UnicodeScripts();
  if (type == "FixedLength") return read_fixed_length(node);
  if (type == "Punctuation") {
    const auto behavior = node.find_set("behavior");
    return Punctuation{behavior ? read_behavior(*behavior) : SplitBehavior::isolated};
  }
  node.fail(fmt::format("pre-tokenizer {} is not supported", type));
}

}  // namespace

std::string read_character(const JsonValue& node) {
  const std::string_view text = node.as_string();
  if (text.empty() || code_point_at(text, 0).length != text.size()) node.fail(fmt::format("\"{}\" must be one character", text));
  return std::string(text);
}

Metaspace::PrependScheme read_prepend_scheme(const JsonValue& node) {
  using Scheme = Metaspace::PrependScheme;
  // Older files have only this flag.
  if (!node.bool_or("add_prefix_space", true)) return Scheme::never;
  const auto scheme = node.find_set("prepend_scheme");
  if (!scheme || scheme->as_string() == "always") return Scheme::always;
  if (scheme->as_string() == "first") return Scheme::first;
  if (scheme->as_string() == "never") return Scheme::never;
  scheme->fail(fmt::format("unknown scheme \"{}\"", scheme->as_string()));
}

PreTokenizer read_pre_tokenizer(const std::optional<JsonValue>& node) {
  std::vector<PreTokenizerStep> steps;
  if (!node) return PreTokenizer();
  for_each_component(*node, "pretokenizers", [&](const JsonValue& item) {
    // What follows sees the alphabet.
    if (!steps.empty()) {
      if (ByteLevel* bytes = std::get_if<ByteLevel>(&steps.back())) bytes->spell = true;
    }
    steps.push_back(read_step(item));
  });
  return PreTokenizer(std::move(steps));
}

}  // namespace lazuli::tokenizer
