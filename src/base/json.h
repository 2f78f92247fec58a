// Defines the reading of JSON: documents, values with typed getters, and errors that name the file and the place.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace lazuli {

class JsonArray;
class JsonObject;
struct JsonSource;

/// One value of a JsonDocument; small, copyable, and valid only as long as its document. Getters throw FormatError, naming
/// the file and the place like `$.rope_parameters.factor`, when the value is of another kind.
class JsonValue {
 public:
  bool is_null() const;
  bool is_bool() const;
  bool is_string() const;
  bool is_array() const;
  bool is_object() const;
  /// A number written without fraction and exponent that fits int64.
  bool is_int() const;
  bool is_number() const;

  bool as_bool() const;
  int64_t as_int() const;
  uint64_t as_uint() const;
  /// Any number.
  double as_double() const;
  /// The unescaped text, valid UTF-8; lives as long as the document.
  std::string_view as_string() const;
  JsonArray as_array() const;
  JsonObject as_object() const;

  /// The value of `key` in this object; throws FormatError when it is missing.
  JsonValue get(std::string_view key) const;
  /// The value of `key` in this object; nothing when it is missing.
  std::optional<JsonValue> find(std::string_view key) const;

  /// The value of `key`, or `fallback` when it is missing or null.
  bool bool_or(std::string_view key, bool fallback) const;
  int64_t int_or(std::string_view key, int64_t fallback) const;
  double double_or(std::string_view key, double fallback) const;
  std::string string_or(std::string_view key, std::string_view fallback) const;

  /// The place in the document, `$` for its root.
  std::string place() const;
  /// Throws FormatError "FILE: PLACE: MESSAGE".
  [[noreturn]] void fail(std::string_view message) const;

 private:
  friend class JsonDocument;
  friend class JsonArray;
  friend class JsonObject;
  friend struct JsonSource;
  using Bits = std::array<uint64_t, 2>;
  JsonValue(const JsonSource* source, Bits bits) : source_(source), bits_(bits) {}
  std::optional<JsonValue> find_set(std::string_view key) const;

  const JsonSource* source_;
  Bits bits_;
};

/// The elements of an array, in order.
class JsonArray {
 public:
  class Iterator {
   public:
    JsonValue operator*() const;
    Iterator& operator++();
    bool operator!=(const Iterator& o) const { return bits_ != o.bits_; }

   private:
    friend class JsonArray;
    Iterator(const JsonSource* source, JsonValue::Bits bits) : source_(source), bits_(bits) {}
    const JsonSource* source_;
    JsonValue::Bits bits_;
  };
  Iterator begin() const;
  Iterator end() const;
  /// Counts the elements.
  size_t size() const;

 private:
  friend class JsonValue;
  JsonArray(const JsonSource* source, JsonValue::Bits bits) : source_(source), bits_(bits) {}
  const JsonSource* source_;
  JsonValue::Bits bits_;
};

struct JsonMember {
  std::string_view key;
  JsonValue value;
};

/// The members of an object, in the order of the text; a key may occur twice.
class JsonObject {
 public:
  class Iterator {
   public:
    JsonMember operator*() const;
    Iterator& operator++();
    bool operator!=(const Iterator& o) const { return bits_ != o.bits_; }

   private:
    friend class JsonObject;
    Iterator(const JsonSource* source, JsonValue::Bits bits) : source_(source), bits_(bits) {}
    const JsonSource* source_;
    JsonValue::Bits bits_;
  };
  Iterator begin() const;
  Iterator end() const;

 private:
  friend class JsonValue;
  JsonObject(const JsonSource* source, JsonValue::Bits bits) : source_(source), bits_(bits) {}
  const JsonSource* source_;
  JsonValue::Bits bits_;
};

/// A parsed JSON text. Movable; values stay valid when it moves.
class JsonDocument {
 public:
  static constexpr size_t kDefaultDepth = 64;
  static constexpr size_t kDefaultBytes = size_t{256} << 20;

  /// Parses `text`; errors call it `name`. Throws FormatError for invalid JSON or UTF-8 and for nesting beyond `max_depth`.
  static JsonDocument parse(std::string_view text, std::string name, size_t max_depth = kDefaultDepth);
  /// Reads and parses a file of at most `max_bytes`. Throws IoError or FormatError.
  static JsonDocument read(const std::string& path, size_t max_bytes = kDefaultBytes);

  JsonDocument(JsonDocument&&) noexcept;
  JsonDocument& operator=(JsonDocument&&) noexcept;
  ~JsonDocument();
  JsonValue root() const;
  const std::string& name() const;

 private:
  explicit JsonDocument(std::unique_ptr<JsonSource> source);
  std::unique_ptr<JsonSource> source_;
};

}  // namespace lazuli
