#include <utility>

#include "text/tokenizer/load_parts.h"
#include "text/tokenizer/settings.h"

namespace lazuli::tokenizer {
namespace {

std::int32_t read_id(const JsonValue& node, std::size_t limit) {
  const std::int64_t id = node.as_int();
  if (id < 0 || static_cast<std::uint64_t>(id) >= limit) node.fail(fmt::format("id {} is not in 0 to {}", id, limit - 1));
  return static_cast<std::int32_t>(id);
}

// ["[SEP]", 102]
std::int32_t read_token_and_id(const JsonValue& node, std::size_t limit) {
  std::int32_t id = -1;
  std::size_t count = 0;
  for (const JsonValue& item : node.as_array()) {
    if (count++ == 0) {
      item.as_string();
    } else {
      id = read_id(item, limit);
    }
  }
  if (count != 2) node.fail("must be a token and its id");
  return id;
}

std::int32_t read_type(const JsonValue& node) {
  const auto type = node.find_set("type_id");
  const std::int64_t value = type ? type->as_int() : 0;
  if (value < 0 || value > 65535) node.fail(fmt::format("type_id {} is not in 0 to 65535", value));
  return static_cast<std::int32_t>(value);
}

Template read_template(const JsonValue& node, std::string_view key, std::size_t limit) {
  Template items;
  const bool pair = key == "pair";
  for (const JsonValue& item : node.get(key).as_array()) {
    if (const auto sequence = item.find_set("Sequence")) {
      const std::string_view id = sequence->get("id").as_string();
      if (id != "A" && id != "B") sequence->fail(fmt::format("names sequence \"{}\", a template has A and B", id));
      if (id == "B" && !pair) sequence->fail("a template for one text may only name sequence A");
      items.push_back({id == "A" ? TemplateItem::kFirst : TemplateItem::kSecond, read_type(*sequence)});
      continue;
    }
    const JsonValue token = item.get("SpecialToken");
    const std::int32_t type = read_type(token);
    const JsonValue entry = node.get("special_tokens").get(token.get("id").as_string());
    for (const JsonValue& id : entry.get("ids").as_array()) items.push_back({read_id(id, limit), type});
  }
  return items;
}

PostProcessor read_template_processing(const JsonValue& node, std::size_t limit) {
  Template single = read_template(node, "single", limit);
  if (!node.find_set("pair")) return PostProcessor(std::move(single), {{TemplateItem::kFirst, 0}, {TemplateItem::kSecond, 1}});
  return PostProcessor(std::move(single), read_template(node, "pair", limit));
}

// BERT's `[CLS] A [SEP] B [SEP]`, the second text of type 1; RoBERTa's `<s> A </s></s> B </s>`, all of one type.
PostProcessor read_bert_processing(const JsonValue& node, bool roberta, std::size_t limit) {
  const std::int32_t cls = read_token_and_id(node.get("cls"), limit);
  const std::int32_t sep = read_token_and_id(node.get("sep"), limit);
  const std::int32_t second = roberta ? 0 : 1;
  Template single = {{cls, 0}, {TemplateItem::kFirst, 0}, {sep, 0}};
  Template pair = single;
  if (roberta) pair.push_back({sep, 0});
  pair.push_back({TemplateItem::kSecond, second});
  pair.push_back({sep, second});
  return PostProcessor(std::move(single), std::move(pair));
}

}  // namespace

std::size_t id_limit(std::size_t tokens) { return 2 * tokens + 65536; }

PostProcessor read_post_processor(const std::optional<JsonValue>& node, std::size_t limit) {
  std::optional<PostProcessor> processor;
  if (!node) return PostProcessor();
  for_each_component(*node, "processors", [&](const JsonValue& item) {
    const std::string_view type = item.get("type").as_string();
    if (type == "ByteLevel") return;  // which changes offsets only
    if (processor) item.fail(fmt::format("post-processor {} follows another that adds tokens, which is not supported", type));
    if (type == "TemplateProcessing") {
      processor = read_template_processing(item, limit);
    } else if (type == "BertProcessing" || type == "RobertaProcessing") {
      processor = read_bert_processing(item, type == "RobertaProcessing", limit);
    } else {
      item.fail(fmt::format("post-processor {} is not supported", type));
    }
  });
  return processor ? *std::move(processor) : PostProcessor();
}

std::vector<AddedToken> read_added_tokens(const std::optional<JsonValue>& node, std::size_t limit) {
  std::vector<AddedToken> tokens;
  if (!node) return tokens;
  for (const JsonValue& item : node->as_array()) {
    AddedToken token = read_token(item, false);
    token.id = read_id(item.get("id"), limit);
    if (!token.content.empty()) tokens.push_back(std::move(token));
  }
  return tokens;
}

}  // namespace lazuli::tokenizer
