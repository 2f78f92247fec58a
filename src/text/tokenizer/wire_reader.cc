#include "text/tokenizer/wire_reader.h"

#include <fmt/format.h>

#include <bit>

#include "lazuli/error.h"

namespace lazuli::tokenizer {
namespace {

constexpr int kVarintBytes = 10;
constexpr std::uint64_t kLargestNumber = (std::uint64_t{1} << 29) - 1;

void check_type(const WireField& field, WireType wanted, std::string_view name) {
  if (field.type == wanted) return;
  throw FormatError(fmt::format("field {} ({}) has the wire type {}, expected {}", field.number, name, static_cast<int>(field.type),
                                static_cast<int>(wanted)));
}

}  // namespace

std::string_view WireField::text(std::string_view name) const {
  check_type(*this, WireType::bytes, name);
  return bytes;
}

float WireField::number32(std::string_view name) const {
  check_type(*this, WireType::fixed32, name);
  return std::bit_cast<float>(static_cast<std::uint32_t>(value));
}

bool WireField::flag(std::string_view name) const {
  check_type(*this, WireType::varint, name);
  return value != 0;
}

std::int32_t WireField::integer(std::string_view name) const {
  check_type(*this, WireType::varint, name);
  return static_cast<std::int32_t>(static_cast<std::uint32_t>(value));
}

std::uint64_t WireReader::varint() {
  std::uint64_t value = 0;
  for (int i = 0; i < kVarintBytes; ++i) {
    if (pos_ == message_.size()) throw FormatError(fmt::format("a number ends at byte {} of a message, more bytes expected", pos_));
    const auto byte = static_cast<unsigned char>(message_[pos_++]);
    value |= static_cast<std::uint64_t>(byte & 0x7F) << (7 * i);
    if (byte < 0x80) return value;
  }
  throw FormatError(fmt::format("a number before byte {} of a message has more than {} bytes", pos_, kVarintBytes));
}

std::uint64_t WireReader::fixed(std::size_t bytes) {
  if (bytes > message_.size() - pos_) throw FormatError(fmt::format("a number at byte {} of a message needs {} bytes", pos_, bytes));
  std::uint64_t value = 0;
  for (std::size_t i = bytes; i > 0; --i) value = value << 8 | static_cast<unsigned char>(message_[pos_ + i - 1]);
  pos_ += bytes;
  return value;
}

std::optional<WireField> WireReader::next() {
  if (pos_ == message_.size()) return std::nullopt;
  const std::size_t start = pos_;
  const std::uint64_t key = varint();
  if (key >> 3 == 0 || key >> 3 > kLargestNumber) throw FormatError(fmt::format("no field starts at byte {} of a message", start));
  WireField field;
  field.number = static_cast<std::uint32_t>(key >> 3);
  switch (key & 7) {
    case 0:
      field.value = varint();
      break;
    case 1:
      field.value = fixed(8);
      break;
    case 2: {
      const std::uint64_t length = varint();
      if (length > message_.size() - pos_) {
        throw FormatError(fmt::format("field {} at byte {} of a message has {} bytes, but {} are left", field.number, start, length,
                                      message_.size() - pos_));
      }
      field.bytes = message_.substr(pos_, static_cast<std::size_t>(length));
      pos_ += field.bytes.size();
      break;
    }
    case 5:
      field.value = fixed(4);
      break;
    default:
      throw FormatError(
          fmt::format("field {} at byte {} of a message has the wire type {}, which is not supported", field.number, start, key & 7));
  }
  field.type = static_cast<WireType>(key & 7);
  return field;
}

}  // namespace lazuli::tokenizer
