// Defines WireReader, which reads the fields of a protobuf message one after the other.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace lazuli::tokenizer {

/// How a field is stored; groups, which nobody writes any more, are refused.
enum class WireType { varint = 0, fixed64 = 1, bytes = 2, fixed32 = 5 };

/// A field: its number in the message, and its value as `type` says.
struct WireField {
  std::uint32_t number = 0;
  WireType type = WireType::varint;
  std::uint64_t value = 0;  ///< of all types but `bytes`
  std::string_view bytes;   ///< a text, or a message in this one

  ///@{
  /// The value as what it stands for. They throw FormatError, saying `name`, when it is stored in another way.
  std::string_view text(std::string_view name) const;
  float number32(std::string_view name) const;
  bool flag(std::string_view name) const;
  std::int32_t integer(std::string_view name) const;
  ///@}
};

/// Lengths are checked against what is left before they are used, and nothing is copied.
class WireReader {
 public:
  /// `message` must outlive the reader and its fields.
  explicit WireReader(std::string_view message) : message_(message) {}

  /// The next field, or nothing at the end. Throws FormatError with the offset when the bytes are no message.
  std::optional<WireField> next();

 private:
  std::uint64_t varint();
  std::uint64_t fixed(std::size_t bytes);

  std::string_view message_;
  std::size_t pos_ = 0;
};

}  // namespace lazuli::tokenizer
