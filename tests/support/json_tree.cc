// Implements JsonTree on the program's own reader and writer of JSON.
#include "support/json_tree.h"

#include <algorithm>
#include <limits>
#include <ostream>
#include <stdexcept>

namespace lazuli::test {

JsonTree::JsonTree(std::initializer_list<JsonTree> items) {
  if (!std::all_of(items.begin(), items.end(), [](const JsonTree& item) { return item.is_entry(); })) {
    value_ = Array(items);
    return;
  }
  value_ = Object();
  for (const JsonTree& item : items) (*this)[std::string_view(std::get<std::string>(item[0].value_))] = item[1];
}

JsonTree JsonTree::array(std::initializer_list<JsonTree> items) { return JsonTree(Value(Array(items))); }

JsonTree JsonTree::parse(std::string_view text) { return from(JsonDocument::parse(text, "test").root()); }
JsonTree JsonTree::read(const std::string& path) { return from(JsonDocument::read(path).root()); }

JsonTree JsonTree::from(const JsonValue& value) {
  if (value.is_null()) return nullptr;
  if (value.is_bool()) return value.as_bool();
  if (value.is_string()) return std::string(value.as_string());
  if (value.is_int()) return value.as_int();
  if (value.is_number()) return value.as_double();
  JsonTree tree = value.is_array() ? array() : object();
  if (value.is_array()) {
    for (const JsonValue& item : value.as_array()) tree.push_back(from(item));
  } else {
    for (const JsonMember& member : value.as_object()) tree[member.key] = from(member.value);
  }
  return tree;
}

bool JsonTree::is_entry() const {
  const Array* pair = std::get_if<Array>(&value_);
  return pair != nullptr && pair->size() == 2 && std::holds_alternative<std::string>(pair->front().value_);
}

const JsonTree* JsonTree::find(std::string_view key) const {
  const Object& members = std::get<Object>(value_);
  const auto found = std::find_if(members.begin(), members.end(), [&](const auto& member) { return member.first == key; });
  return found == members.end() ? nullptr : &found->second;
}

JsonTree& JsonTree::operator[](std::string_view key) {
  if (is_null()) value_ = Object();
  Object& members = std::get<Object>(value_);
  const auto found = std::find_if(members.begin(), members.end(), [&](const auto& member) { return member.first == key; });
  return found == members.end() ? members.emplace_back(key, nullptr).second : found->second;
}

const JsonTree& JsonTree::at(std::string_view key) const {
  const JsonTree* found = find(key);
  if (found == nullptr) throw std::out_of_range("no member " + std::string(key));
  return *found;
}

void JsonTree::push_back(JsonTree item) {
  if (is_null()) value_ = Array();
  std::get<Array>(value_).push_back(std::move(item));
}

void JsonTree::update(const JsonTree& other) {
  for (const auto& [key, value] : other.items()) (*this)[std::string_view(key)] = value;
}

void JsonTree::clear() {
  if (is_object()) {
    value_ = Object();
  } else {
    value_ = Array();
  }
}

void JsonTree::write(JsonWriter& out) const {
  if (const Object* members = std::get_if<Object>(&value_)) {
    out.begin_object();
    for (const auto& [key, value] : *members) value.write(out.key(key));
    out.end_object();
  } else if (const Array* items = std::get_if<Array>(&value_)) {
    out.begin_array();
    for (const JsonTree& item : *items) item.write(out);
    out.end_array();
  } else {
    std::visit(
        [&](const auto& scalar) {
          if constexpr (requires { out.value(scalar); }) out.value(scalar);
        },
        value_);
  }
}

std::string JsonTree::dump() const {
  JsonWriter out;
  write(out);
  return out.text();
}

std::ostream& operator<<(std::ostream& out, const JsonTree& tree) { return out << tree.dump(); }

}  // namespace lazuli::test
