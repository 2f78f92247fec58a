#include "io/tokenizer/load_parts.h"

#include <array>
#include <utility>

namespace lazuli::tokenizer {
namespace {

std::int32_t read_id(const JsonNode& node, std::size_t limit) {
  const std::int64_t id = node.integer();
  if (id < 0 || static_cast<std::uint64_t>(id) >= limit) node.fail(fmt::format("id {} is not in 0 to {}", id, limit - 1));
  return static_cast<std::int32_t>(id);
}

constexpr int kMaxNesting = 16;

// Calls `each` for the component, or for those of a Sequence whose list is `list`.
template <typename Each>
void for_each_component(const JsonNode& node, std::string_view list, const Each& each, int nesting = 0) {
  if (node.type() != "Sequence") return each(node);
  if (nesting == kMaxNesting) node.fail(fmt::format("Sequences are nested more than {} deep", kMaxNesting));
  node.at(list).each_item([&](const JsonNode& item) { for_each_component(item, list, each, nesting + 1); });
}

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
  try {
    split.pattern = Regex(expression.string());
  } catch (const FormatError& error) {
    expression.fail(error.what());
  }
  return split;
}

Template read_template(const JsonNode& node, std::size_t limit) {
  Template items;
  node.at("single").each_item([&](const JsonNode& item) {
    if (const auto sequence = item.find("Sequence")) {
      if (sequence->at("id").string() != "A") sequence->fail("a template for one text may only name sequence A");
      items.push_back(kText);
      return;
    }
    const JsonNode token = item.at("SpecialToken").at("id");
    const JsonNode entry = node.at("special_tokens").at(token.string());
    entry.at("ids").each_item([&](const JsonNode& id) { items.push_back(read_id(id, limit)); });
  });
  return items;
}

}  // namespace

std::size_t id_limit(std::size_t tokens) { return 2 * tokens + 65536; }

Normalizer read_normalizer(const std::optional<JsonNode>& node) {
  std::vector<NormalizerStep> steps;
  if (!node) return Normalizer();
  for_each_component(*node, "normalizers", [&](const JsonNode& item) {
    if (item.type() != "NFC") item.fail(fmt::format("normalizer {} is not supported (NFC and Sequence are)", item.type()));
    steps.emplace_back(Nfc());
  });
  return Normalizer(std::move(steps));
}

PreTokenizer read_pre_tokenizer(const std::optional<JsonNode>& node) {
  std::vector<PreTokenizerStep> steps;
  if (!node) return PreTokenizer();
  for_each_component(*node, "pretokenizers", [&](const JsonNode& item) {
    if (!steps.empty() && std::holds_alternative<ByteLevel>(steps.back())) item.fail("nothing may follow ByteLevel");
    const std::string_view type = item.type();
    if (type == "Split") {
      steps.emplace_back(read_split(item));
    } else if (type == "Digits") {
      steps.emplace_back(Digits{item.flag("individual_digits", false)});
    } else if (type == "ByteLevel") {
      steps.emplace_back(ByteLevel{item.flag("add_prefix_space", true), item.flag("use_regex", true)});
    } else {
      item.fail(fmt::format("pre-tokenizer {} is not supported (ByteLevel, Split, Digits and Sequence are)", type));
    }
  });
  return PreTokenizer(std::move(steps));
}

Decoder read_decoder(const std::optional<JsonNode>& node) {
  if (!node) return Decoder(Decoder::Kind::spaced);
  auto kind = Decoder::Kind::spaced;
  for_each_component(*node, "decoders", [&](const JsonNode& item) {
    const std::string_view type = item.type();
    if (type == "ByteLevel") {
      if (kind != Decoder::Kind::spaced) item.fail("ByteLevel must be the first decoder");
      kind = Decoder::Kind::byte_level;
    } else if (type == "Fuse") {
      // What ByteLevel gives is one string already.
      if (kind == Decoder::Kind::spaced) kind = Decoder::Kind::fuse;
    } else {
      item.fail(fmt::format("decoder {} is not supported (ByteLevel, Fuse and Sequence are)", type));
    }
  });
  // A list of no decoders joins tokens as they are.
  return Decoder(kind == Decoder::Kind::spaced ? Decoder::Kind::fuse : kind);
}

PostProcessor read_post_processor(const std::optional<JsonNode>& node, std::size_t limit) {
  std::vector<Template> templates;
  if (!node) return PostProcessor();
  for_each_component(*node, "processors", [&](const JsonNode& item) {
    const std::string_view type = item.type();
    if (type == "TemplateProcessing") {
      templates.push_back(read_template(item, limit));
    } else if (type != "ByteLevel") {  // which changes offsets only
      item.fail(fmt::format("post-processor {} is not supported (ByteLevel, TemplateProcessing and Sequence are)", type));
    }
  });
  return PostProcessor(std::move(templates));
}

std::vector<AddedToken> read_added_tokens(const std::optional<JsonNode>& node, std::size_t limit) {
  std::vector<AddedToken> tokens;
  if (!node) return tokens;
  node->each_item([&](const JsonNode& item) {
    AddedToken token;
    token.id = read_id(item.at("id"), limit);
    token.content = item.at("content").string();
    token.single_word = item.flag("single_word", false);
    token.lstrip = item.flag("lstrip", false);
    token.rstrip = item.flag("rstrip", false);
    token.special = item.flag("special", false);
    token.normalized = item.flag("normalized", !token.special);
    if (token.content.size() > AddedTokens::kMaxBytes) {
      item.fail(fmt::format("content of {} bytes, at most {} are supported", token.content.size(), AddedTokens::kMaxBytes));
    }
    if (!token.content.empty()) tokens.push_back(std::move(token));
  });
  return tokens;
}

}  // namespace lazuli::tokenizer
