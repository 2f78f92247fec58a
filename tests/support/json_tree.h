// Defines JsonTree, a JSON value that tests write down, change and turn into the text of a file.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <iosfwd>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/json.h"
#include "base/json_writer.h"

namespace lazuli::test {

/// Members keep their order. Asking for what is not there, or is of another kind, throws std::out_of_range or std::bad_variant_access.
class JsonTree {
 public:
  using Array = std::vector<JsonTree>;
  using Object = std::vector<std::pair<std::string, JsonTree>>;

  JsonTree(std::nullptr_t = nullptr) {}
  /// Also a boolean.
  template <std::integral T>
  JsonTree(T value) : value_(from_integral(value)) {}
  JsonTree(double value) : value_(value) {}
  JsonTree(const char* text) : value_(std::string(text)) {}
  JsonTree(std::string text) : value_(std::move(text)) {}
  template <class T>
  JsonTree(const std::vector<T>& items) : value_(Array(items.begin(), items.end())) {}
  /// {{"a", 1}, {"b", 2}} is an object, as is every list of pairs that start with a string; other lists are arrays.
  JsonTree(std::initializer_list<JsonTree> items);

  static JsonTree array(std::initializer_list<JsonTree> items = {});
  static JsonTree object() { return JsonTree(Value(Object())); }
  static JsonTree parse(std::string_view text);
  static JsonTree read(const std::string& path);

  bool is_null() const { return std::holds_alternative<std::nullptr_t>(value_); }
  size_t size() const { return is_object() ? std::get<Object>(value_).size() : std::get<Array>(value_).size(); }
  bool contains(std::string_view key) const { return find(key) != nullptr; }

  /// Of an object; a missing member is added, and null becomes an object.
  JsonTree& operator[](std::string_view key);
  const JsonTree& operator[](std::string_view key) const { return at(key); }
  const JsonTree& at(std::string_view key) const;
  JsonTree& operator[](std::integral auto index) { return std::get<Array>(value_).at(static_cast<size_t>(index)); }
  const JsonTree& operator[](std::integral auto index) const { return std::get<Array>(value_).at(static_cast<size_t>(index)); }

  /// Null becomes an array.
  void push_back(JsonTree item);
  /// Takes over the members of another object.
  void update(const JsonTree& other);
  void clear();

  const Object& items() const { return std::get<Object>(value_); }
  Array::const_iterator begin() const { return std::get<Array>(value_).begin(); }
  Array::const_iterator end() const { return std::get<Array>(value_).end(); }

  /// A number, a text or a list of them.
  template <class T>
  T get() const;
  template <class T>
  T value(std::string_view key, const T& fallback) const {
    const JsonTree* found = find(key);
    return found == nullptr ? fallback : found->get<T>();
  }
  operator std::string() const { return get<std::string>(); }

  std::string dump() const;
  friend std::ostream& operator<<(std::ostream& out, const JsonTree& tree);

 private:
  using Value = std::variant<std::nullptr_t, bool, int64_t, uint64_t, double, std::string, Array, Object>;
  explicit JsonTree(Value value) : value_(std::move(value)) {}
  static JsonTree from(const JsonValue& value);
  template <std::integral T>
  static Value from_integral(T value) {
    if constexpr (std::same_as<T, bool>) {
      return value;
    } else if constexpr (std::unsigned_integral<T>) {
      return static_cast<uint64_t>(value);
    } else {
      return static_cast<int64_t>(value);
    }
  }
  template <class T>
  static void get_into(const JsonTree& tree, std::vector<T>& out) {
    for (const JsonTree& item : tree) out.push_back(item.get<T>());
  }
  static void get_into(const JsonTree& tree, std::string& out) { out = std::get<std::string>(tree.value_); }
  template <std::integral T>
  static void get_into(const JsonTree& tree, T& out) {
    const auto* natural = std::get_if<uint64_t>(&tree.value_);
    out = static_cast<T>(natural != nullptr ? static_cast<int64_t>(*natural) : std::get<int64_t>(tree.value_));
  }
  bool is_object() const { return std::holds_alternative<Object>(value_); }
  bool is_entry() const;
  const JsonTree* find(std::string_view key) const;
  void write(JsonWriter& out) const;

  Value value_ = nullptr;
};

template <class T>
T JsonTree::get() const {
  T out{};
  get_into(*this, out);
  return out;
}

}  // namespace lazuli::test
