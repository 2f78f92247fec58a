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
/// the file and the place like `$.rope_parameters.factor`, when the value is of another kind, or is one that the type cannot hold: an
/// integer of more than 64 bits, NaN or an infinity, a string with half of a surrogate pair.
class JsonValue {
 public:
  bool is_null() const;
  bool is_bool() const;
  bool is_string() const;
  bool is_array() const;
  bool is_object() const;
  /// A number written without fraction and exponent that fits int64.
  bool is_int() const;
  /// Also an integer of more than 64 bits, NaN and the infinities.
  bool is_number() const;
  /// The text of a number that neither 64 bits nor a finite double hold; empty for all else.
  std::string_view odd_number() const;

  bool as_bool() const;
  int64_t as_int() const;
  uint64_t as_uint() const;
  /// Any finite number, an integer of more than 64 bits rounded.
  double as_double() const;
  /// The unescaped text, valid UTF-8; lives as long as the document.
  std::string_view as_string() const;
  /// The same with half of a surrogate pair as three bytes, which are no UTF-8.
  std::string_view loose_string() const;
  /// A string without half of a surrogate pair.
  bool is_whole_string() const;
  JsonArray as_array() const;
  JsonObject as_object() const;

  /// The value of `key` in this object, the last one where the key occurs twice; throws FormatError when it is missing.
  JsonValue get(std::string_view key) const;
  /// The same; nothing when it is missing.
  std::optional<JsonValue> find(std::string_view key) const;
  /// The same; nothing when it is missing or null.
  std::optional<JsonValue> find_set(std::string_view key) const;

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
  void refuse_odd_number(std::string_view expected) const;

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
  std::string_view key;  ///< half of a surrogate pair as three bytes, which are no UTF-8
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
  /// Counts the members.
  size_t size() const;

 private:
  friend class JsonValue;
  JsonObject(const JsonSource* source, JsonValue::Bits bits) : source_(source), bits_(bits) {}
  const JsonSource* source_;
  JsonValue::Bits bits_;
};

/// A parsed JSON text. Movable; values stay valid when it moves.
class JsonDocument {
 public:
  /// About what Python's json reads.
  static constexpr size_t kDefaultDepth = 1000;
  static constexpr size_t kDefaultBytes = size_t{256} << 20;

  /// Parses `text` as Python's json does, so NaN, Infinity, -Infinity, numbers of any size and halves of surrogate pairs may stand in it;
  /// a byte order mark at its start is left out. Errors call it `name`. Throws FormatError for invalid JSON or UTF-8, with line and column,
  /// and for nesting beyond `max_depth`.
  static JsonDocument parse(std::string_view text, std::string name, size_t max_depth = kDefaultDepth);
  /// Reads and parses a file of at most `max_bytes`. Throws IoError or FormatError, which says so when the file is a Git LFS pointer.
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
