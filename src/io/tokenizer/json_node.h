// Defines JsonNode, a value of a JSON file that knows where it stands, so that errors can name it.
#pragma once

#include <fmt/format.h>
#include <simdjson.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "lazuli/error.h"

namespace lazuli::tokenizer {

class JsonNode {
 public:
  JsonNode(simdjson::dom::element element, std::string place) : element_(element), place_(std::move(place)) {}

  const std::string& place() const { return place_; }
  const simdjson::dom::element& element() const { return element_; }

  [[noreturn]] void fail(std::string_view what) const { throw FormatError(fmt::format("[tokenizer] {}: {}", place_, what)); }

  /// The member of this object, which must be one; nothing when it is absent or null.
  std::optional<JsonNode> find(std::string_view key) const {
    simdjson::dom::element member;
    const auto error = object().at_key(key).get(member);
    if (error != simdjson::SUCCESS || member.is_null()) return std::nullopt;
    return JsonNode(member, place_ + (place_.ends_with(':') ? " " : ".") + std::string(key));
  }
  JsonNode at(std::string_view key) const {
    auto member = find(key);
    if (!member) fail(fmt::format("has no \"{}\"", key));
    return *std::move(member);
  }

  std::string_view string() const { return get<std::string_view>("a string"); }
  bool boolean() const { return get<bool>("true or false"); }
  std::int64_t integer() const { return get<std::int64_t>("an integer"); }
  simdjson::dom::object object() const { return get<simdjson::dom::object>("an object"); }
  /// Calls `each` with every item of this array, one at a time: a node is many times the size of a short item.
  template <typename Each>
  void each_item(const Each& each) const {
    std::size_t index = 0;
    for (const simdjson::dom::element item : get<simdjson::dom::array>("an array")) {
      each(JsonNode(item, fmt::format("{}[{}]", place_, index++)));
    }
  }

  bool flag(std::string_view key, bool otherwise) const {
    const auto member = find(key);
    return member ? member->boolean() : otherwise;
  }
  /// The "type" member, which names a kind of component.
  std::string_view type() const { return at("type").string(); }

 private:
  template <typename T>
  T get(std::string_view expected) const {
    T value;
    if (element_.get(value) != simdjson::SUCCESS) fail(fmt::format("must be {}", expected));
    return value;
  }

  simdjson::dom::element element_;
  std::string place_;
};

}  // namespace lazuli::tokenizer
