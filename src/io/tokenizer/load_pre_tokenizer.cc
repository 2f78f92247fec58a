#include <array>
#include <utility>

#include "io/tokenizer/load_parts.h"
#include "io/tokenizer/unicode.h"

namespace lazuli::tokenizer {
namespace {

SplitBehavior read_behavior(const JsonNode& node) {
  static constexpr std::array<std::pair<std::string_view, SplitBehavior>, 5> kNames = {{
      {"Isolated", SplitBehavior::isolated},
      {"Removed", SplitBehavior::removed},
      {"MergedWithPrevious", SplitBehavior::merged_with_previous},
      {"MergedWithNext", SplitBehavior::merged_with_next},
      {"Contiguous", SplitBehavior::contiguous},
  }};
  const std::string_view name = node.string();
  for (const auto& [known, behavior] : kNames) {
    if (known == name) return behavior;
  }
  node.fail(fmt::format("unknown behavior \"{}\"", name));
}

Split read_split(const JsonNode& node) {
  Split split;
  split.behavior = read_behavior(node.at("behavior"));
  split.invert = node.flag("invert", false);
  const JsonNode pattern = node.at("pattern");
  if (const auto literal = pattern.find("String")) {
    split.pattern = std::string(literal->string());
    return split;
  }
  const JsonNode expression = pattern.at("Regex");
  if (const auto known = known_split(expression.string())) {
    split.pattern = *known;
    return split;
  }
  split.pattern = read_regex(expression);
  return split;
}

Metaspace read_metaspace(const JsonNode& node) {
  Metaspace metaspace;
  metaspace.replacement = read_character(node.at("replacement"));
  metaspace.prepend = read_prepend_scheme(node);
  metaspace.split = node.flag("split", true);
  return metaspace;
}

FixedLength read_fixed_length(const JsonNode& node) {
  const auto length = node.find("length");
  if (!length) return FixedLength();
  if (length->integer() < 1) length->fail("must be at least 1");
  return FixedLength{static_cast<std::size_t>(length->integer())};
}

PreTokenizerStep read_step(const JsonNode& node) {
  const std::string_view type = node.type();
  if (type == "Split") return read_split(node);
  if (type == "Digits") return Digits{node.flag("individual_digits", false)};
  if (type == "ByteLevel") return ByteLevel{node.flag("add_prefix_space", true), node.flag("use_regex", true)};
  if (type == "Metaspace") return read_metaspace(node);
  if (type == "BertPreTokenizer") return BertSplit();
  if (type == "Whitespace") return Words();
  if (type == "WhitespaceSplit") return WhitespaceSplit();
  if (type == "CharDelimiterSplit") return Split{read_character(node.at("delimiter")), SplitBehavior::removed};
  if (type == "UnicodeScripts") return UnicodeScripts();
  if (type == "FixedLength") return read_fixed_length(node);
  if (type == "Punctuation") {
    const auto behavior = node.find("behavior");
    return Punctuation{behavior ? read_behavior(*behavior) : SplitBehavior::isolated};
  }
  node.fail(fmt::format("pre-tokenizer {} is not supported", type));
}

}  // namespace

std::string read_character(const JsonNode& node) {
  const std::string_view text = node.string();
  if (text.empty() || code_point_at(text, 0).length != text.size()) node.fail(fmt::format("\"{}\" must be one character", text));
  return std::string(text);
}

Metaspace::PrependScheme read_prepend_scheme(const JsonNode& node) {
  using Scheme = Metaspace::PrependScheme;
  // Older files have only this flag.
  if (!node.flag("add_prefix_space", true)) return Scheme::never;
  const auto scheme = node.find("prepend_scheme");
  if (!scheme || scheme->string() == "always") return Scheme::always;
  if (scheme->string() == "first") return Scheme::first;
  if (scheme->string() == "never") return Scheme::never;
  scheme->fail(fmt::format("unknown scheme \"{}\"", scheme->string()));
}

PreTokenizer read_pre_tokenizer(const std::optional<JsonNode>& node) {
  std::vector<PreTokenizerStep> steps;
  if (!node) return PreTokenizer();
  for_each_component(*node, "pretokenizers", [&](const JsonNode& item) {
    // What follows sees the alphabet.
    if (!steps.empty()) {
      if (ByteLevel* bytes = std::get_if<ByteLevel>(&steps.back())) bytes->spell = true;
    }
    steps.push_back(read_step(item));
  });
  return PreTokenizer(std::move(steps));
}

}  // namespace lazuli::tokenizer
