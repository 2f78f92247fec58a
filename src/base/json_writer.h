// Defines JsonWriter, which writes JSON text piece by piece.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace lazuli {

/// Writes one JSON value in the order of the calls. Strings are escaped (invalid UTF-8 becomes U+FFFD), numbers read back
/// as the same number, NaN and infinities become null. Calls that make no JSON throw ValueError.
class JsonWriter {
 public:
  /// `indent` spaces per level on lines of their own; 0 writes one line without blanks.
  explicit JsonWriter(int indent = 0) : indent_(indent) {}

  JsonWriter& begin_object() { return begin('{'); }
  JsonWriter& end_object() { return end('}'); }
  JsonWriter& begin_array() { return begin('['); }
  JsonWriter& end_array() { return end(']'); }
  JsonWriter& key(std::string_view name);

  JsonWriter& value(std::string_view text);
  JsonWriter& value(const char* text) { return value(std::string_view(text)); }
  JsonWriter& value(const std::string& text) { return value(std::string_view(text)); }
  JsonWriter& value(double number);
  JsonWriter& value(std::nullptr_t);
  template <std::integral T>
  JsonWriter& value(T v) {
    if constexpr (std::is_same_v<T, bool>) {
      return write_bool(v);
    } else if constexpr (std::is_signed_v<T>) {
      return write_int(v);
    } else {
      return write_uint(v);
    }
  }
  /// `key(name).value(v)`.
  template <class T>
  JsonWriter& field(std::string_view name, const T& v) {
    key(name);
    return value(v);
  }

  /// The text so far; throws ValueError unless it is one complete value.
  const std::string& text() const;

 private:
  struct Level {
    char open;
    bool empty;
  };
  JsonWriter& begin(char open);
  JsonWriter& end(char close);
  JsonWriter& write_bool(bool v);
  JsonWriter& write_int(int64_t v);
  JsonWriter& write_uint(uint64_t v);
  void before_value();
  void next_item(Level& level);
  void new_line();

  std::string text_;
  std::vector<Level> levels_;
  int indent_;
  bool after_key_ = false;
};

}  // namespace lazuli
