#include <utility>

#include "text/tokenizer/load_parts.h"
#include "text/tokenizer/unicode.h"

namespace lazuli::tokenizer {
namespace {

std::size_t read_count(const JsonValue& node) {
  const std::int64_t count = node.as_int();
  if (count < 0) node.fail("must not be negative");
  return static_cast<std::size_t>(count);
}

std::string text_or(const JsonValue& node, std::string_view key, std::string_view otherwise) {
  const auto text = node.find_set(key);
  return std::string(text ? text->as_string() : otherwise);
}

DecoderStep read_replace_step(const JsonValue& node) {
  Replace replace = read_replace(node);
  const std::string* literal = std::get_if<std::string>(&replace.pattern);
  if (literal != nullptr && code_point_at(*literal, 0).length == literal->size()) return CharacterDecoder{*literal, replace.content};
  return ReplaceDecoder{std::move(replace)};
}

DecoderStep read_step(const JsonValue& node) {
  const std::string_view type = node.get("type").as_string();
  if (type == "ByteLevel") return ByteLevelDecoder();
  if (type == "ByteFallback") return ByteFallbackDecoder();
  if (type == "Fuse") return FuseDecoder();
  if (type == "Replace") return read_replace_step(node);
  if (type == "Strip")
    return StripDecoder{read_character(node.get("content")), read_count(node.get("start")), read_count(node.get("stop"))};
  if (type == "WordPiece") return WordPieceDecoder{text_or(node, "prefix", "##"), node.bool_or("cleanup", true)};
  if (type == "BPEDecoder") return BpeDecoder{text_or(node, "suffix", "</w>")};
  if (type == "CTC") {
    return CtcDecoder{text_or(node, "pad_token", "<pad>"), text_or(node, "word_delimiter_token", "|"), node.bool_or("cleanup", true)};
  }
  if (type == "Metaspace") {
    return MetaspaceDecoder{read_character(node.get("replacement")), read_prepend_scheme(node) != Metaspace::PrependScheme::never};
  }
  node.fail(fmt::format("decoder {} is not supported", type));
}

}  // namespace

Decoder read_decoder(const std::optional<JsonValue>& node) {
  if (!node) return {SpacedDecoder()};
  Decoder steps;
  for_each_component(*node, "decoders", [&](const JsonValue& item) { steps.push_back(read_step(item)); });
  return steps;
}

}  // namespace lazuli::tokenizer
