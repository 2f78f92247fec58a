// Checks how bytes become text: marks, the borders of characters in every encoding, line ends, and what is known to be no text.
#include "io/text_encoding.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "lazuli/error.h"
#include "support/temp_folder.h"

namespace lazuli {
namespace {

using test::message_of;
using testing::AllOf;
using testing::HasSubstr;

std::string units(const std::vector<uint32_t>& values, size_t width, bool little) {
  std::string out;
  for (const uint32_t value : values) {
    for (size_t k = 0; k < width; ++k) out += static_cast<char>(value >> (8 * (little ? k : width - 1 - k)) & 0xff);
  }
  return out;
}

std::string decoded(const std::vector<uint32_t>& values, size_t width, bool little) {
  std::vector<uint32_t> marked = {0xfeff};
  marked.insert(marked.end(), values.begin(), values.end());
  const DecodedText text = decode_text(units(marked, width, little), "a");
  EXPECT_EQ(text.encoding, width == 2 ? "UTF-16" : "UTF-32");
  return text.text;
}
std::string refused(const std::vector<uint32_t>& values, size_t width, bool little) {
  return message_of<FormatError>([&] { decoded(values, width, little); });
}

/// Characters at the borders of the lengths that UTF-8 has, with their bytes.
const std::vector<std::pair<uint32_t, std::string>> kBorders = {{0x41, "A"},
                                                                {0x7f, "\x7f"},
                                                                {0x80, "\xc2\x80"},
                                                                {0x7ff, "\xdf\xbf"},
                                                                {0x800, "\xe0\xa0\x80"},
                                                                {0xd7ff, "\xed\x9f\xbf"},
                                                                {0xe000, "\xee\x80\x80"},
                                                                {0xffff, "\xef\xbf\xbf"}};

TEST(TextEncoding, CharactersOfUtf16AreConvertedUpToTheirBorders) {
  for (const bool little : {true, false}) {
    for (const auto& [value, bytes] : kBorders) EXPECT_EQ(decoded({0x41, value, 0x42}, 2, little), "A" + bytes + "B") << value;
    EXPECT_EQ(decoded({0x41, 0xd800, 0xdc00}, 2, little), "A\xf0\x90\x80\x80");
    EXPECT_EQ(decoded({0x41, 0xdbff, 0xdfff}, 2, little), "A\xf4\x8f\xbf\xbf");
    EXPECT_EQ(decoded({0x41, 0xd83d, 0xde00, 0x43}, 2, little), "A\xf0\x9f\x98\x80\x43");
    for (const uint32_t low : {0xdc00U, 0xdfffU}) {
      EXPECT_THAT(refused({0x41, low}, 2, little), HasSubstr("at byte 4 it has the second half of a character without the first")) << low;
    }
    for (const uint32_t high : {0xd800U, 0xdbffU}) {
      EXPECT_THAT(refused({0x41, high}, 2, little), HasSubstr("at byte 4 it has half a character")) << high;
      for (const uint32_t next : {0x41U, 0xdbffU, 0xe000U}) {
        EXPECT_THAT(refused({0x41, high, next}, 2, little), HasSubstr("at byte 6 it lacks the second half of a character")) << next;
      }
    }
  }
}

TEST(TextEncoding, CharactersOfUtf32AreConvertedUpToTheirBorders) {
  for (const bool little : {true, false}) {
    for (const auto& [value, bytes] : kBorders) EXPECT_EQ(decoded({0x41, value, 0x42}, 4, little), "A" + bytes + "B") << value;
    EXPECT_EQ(decoded({0x10000}, 4, little), "\xf0\x90\x80\x80");
    EXPECT_EQ(decoded({0x10ffff}, 4, little), "\xf4\x8f\xbf\xbf");
    EXPECT_EQ(decoded({}, 4, little), "");
    for (const uint32_t value : {0xd800U, 0xdfffU, 0x110000U, 0xffffffffU}) {
      EXPECT_THAT(refused({0x41, value}, 4, little),
                  AllOf(HasSubstr("text in UTF-32 expected"), HasSubstr("at byte 8 it has no character")));
    }
  }
}

TEST(TextEncoding, WiderEncodingsEndWithAWholeCharacter) {
  const auto error = [](const std::string& bytes) { return message_of<FormatError>([&] { decode_text(bytes, "a"); }); };
  EXPECT_THAT(error(std::string("\xff\xfe"
                                "A\0B",
                                5)),
              HasSubstr("UTF-16 expected, as its byte order mark says, but at byte 4 it ends"));
  for (const size_t more : {1U, 2U, 3U}) {
    EXPECT_THAT(error(std::string("\0\0\xfe\xff\0\0\0A", 8) + std::string(more, '\0')),
                HasSubstr("UTF-32 expected, as its byte order mark says, but at byte 8 it ends in the middle of a character"));
  }
}

TEST(TextEncoding, BytesThatAreNoUtf8AreNamedByTheirPlace) {
  const auto error = [](const std::string& bytes) { return message_of<FormatError>([&] { decode_text(bytes, "a.txt"); }); };
  // Characters of each length up to their borders come before the byte that is none.
  const std::string before = "A\x7f\xc2\x80\xdf\xbf\n\xe0\xa0\x80\xef\xbf\xbf\n\xf0\x90\x80\x80\xf4\x8f\xbf\xbf";
  EXPECT_EQ(decode_text(before, "a").text, before);
  for (const char* bytes : {"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xc2", "\xc2\x41", "\xdf", "\xe0\x9f\xbf", "\xe0\xa0", "\xed\xa0\x80",
                            "\xef\xbf", "\xf0\x8f\xbf\xbf", "\xf0\x90\x80", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff"}) {
    const unsigned byte = static_cast<unsigned char>(bytes[0]);
    std::string shown = "byte " + std::to_string(before.size()) + " (line 3) is 0x";
    for (const unsigned digit : {byte / 16, byte % 16}) shown += "0123456789abcdef"[digit];
    EXPECT_THAT(error(before + bytes), HasSubstr("a.txt: text in UTF-8 expected, but " + shown + ", invalid there")) << shown;
  }
}

TEST(TextEncoding, MarksAreTakenOffOnce) {
  EXPECT_EQ(decode_text("\xef\xbb\xbf"
                        "a",
                        "a")
                .text,
            "a");
  EXPECT_EQ(decode_text("\xef\xbb\xbf"
                        "a",
                        "a")
                .encoding,
            "UTF-8");
  EXPECT_EQ(decode_text("a\xef\xbb\xbf", "a").text, "a\xef\xbb\xbf");
  EXPECT_EQ(decode_text("a", "a").encoding, "");
  EXPECT_EQ(utf8_mark("\xef\xbb\xbf"), 3U);
  EXPECT_EQ(utf8_mark("\xef\xbb"), 0U);
  EXPECT_EQ(utf8_mark(""), 0U);
}

TEST(TextEncoding, LineEndsAreMadeOneKindAndCounted) {
  const auto unified = [](std::string text) {
    const size_t made = unify_line_ends(text);
    return std::pair(text, made);
  };
  EXPECT_EQ(unified(""), std::pair(std::string(), size_t{0}));
  EXPECT_EQ(unified("a\nb\n"), std::pair(std::string("a\nb\n"), size_t{0}));
  EXPECT_EQ(unified("a\r\nb\r\n"), std::pair(std::string("a\nb\n"), size_t{2}));
  EXPECT_EQ(unified("\r\r\n\n\r"), std::pair(std::string("\n\n\n\n"), size_t{3}));
  EXPECT_EQ(unified("a\rb"), std::pair(std::string("a\nb"), size_t{1}));
}

TEST(TextEncoding, FilesThatAreNoTextAreKnownByTheirFirstBytes) {
  const std::string zero(1, '\0');
  const std::vector<std::pair<std::string, std::string>> kinds = {
      {"\x1f\x8b\x08", "gzip data"},
      {"PK\x03\x04", "a zip archive"},
      {"PK\x05\x06", "an empty zip archive"},
      {"\x28\xb5\x2f\xfd", "zstd data"},
      {"\xfd"
       "7zXZ" +
           zero,
       "xz data"},
      {"BZh91AY&SY", "bzip2 data"},
      {"\x04\x22\x4d\x18", "lz4 data"},
      {"7z\xbc\xaf\x27\x1c", "a 7z archive"},
      {"Rar!\x1a\x07", "a rar archive"},
      {std::string(257, '\0') + "ustar", "a tar archive"},
      {"PAR1" + zero, "a Parquet file"},
      {"ARROW1" + zero, "an Arrow file"},
      {"FEA1" + zero, "a Feather file"},
      {"\xff\xff\xff\xff", "an Arrow stream"},
      {"Obj\x01", "an Avro file"},
      {"SQLite format 3" + zero, "an SQLite database"},
      {"%PDF-1.7", "a PDF"},
      {"%!PS-Adobe", "PostScript"},
      {"{\\rtf1", "an RTF document"},
      {"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Office document"},
      {"version https://git-lfs.github.com/spec/v1", "a Git LFS pointer"},
      {"\x89PNG\r\n", "a PNG image"},
      {"\xff\xd8\xff\xe0", "a JPEG image"},
      {"GIF89a" + zero, "a GIF image"},
      {"\x93NUMPY", "a NumPy array"},
      {"\x89HDF\r\n", "an HDF5 file"},
      {"GGUF" + zero, "a GGUF model"},
      {"\x7f"
       "ELF",
       "a program"},
  };
  for (const auto& [bytes, kind] : kinds) {
    ASSERT_TRUE(binary_kind(bytes)) << kind;
    EXPECT_TRUE(binary_kind(bytes)->starts_with(kind)) << *binary_kind(bytes);
    EXPECT_THAT(message_of<FormatError>([&, &data = bytes] { decode_text(data, "a"); }), HasSubstr("a: text expected, got " + kind));
    // In another place they say nothing.
    const auto later = binary_kind("text " + bytes);
    EXPECT_TRUE(!later || later->starts_with("binary data")) << kind;
  }
  for (const char* text : {"PAR1 of it", "ARROW1", "FEA1", "GIF89a", "GGUF", "PK", "", "BZh"}) EXPECT_FALSE(binary_kind(text)) << text;
  EXPECT_FALSE(binary_kind(std::string(257, ' ') + "ustar"));
}

TEST(TextEncoding, ZerosAreNoTextAndManyMayBeUtf16) {
  const auto kind = [](size_t zeros, size_t letters) { return *binary_kind(std::string(letters, 'a') + std::string(zeros, '\0')); };
  EXPECT_EQ(kind(1, 0), "binary data (byte 0 is 0)");
  EXPECT_EQ(kind(1, 9), "binary data (byte 9 is 0)");
  const std::string wide = "binary data, or UTF-16 without a byte order mark (byte ";
  EXPECT_THAT(kind(1, 1), HasSubstr(wide + "1 is 0); convert it to UTF-8"));
  // More than two and fewer than three of five.
  EXPECT_EQ(kind(40, 60), "binary data (byte 60 is 0)");
  EXPECT_THAT(kind(41, 59), HasSubstr(wide));
  EXPECT_THAT(kind(59, 41), HasSubstr(wide));
  EXPECT_EQ(kind(60, 40), "binary data (byte 40 is 0)");
  // The first 4,096 bytes tell.
  EXPECT_THAT(*binary_kind(std::string(2000, 'a') + std::string(2096, '\0') + std::string(9000, 'a')), HasSubstr(wide));
}

}  // namespace
}  // namespace lazuli
