// Tests the writing, checking and repair of UTF-8.
#include "base/utf8.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace lazuli {
namespace {

TEST(Utf8, EveryCharacterIsWrittenAndReadBack) {
  for (char32_t c = 0; c <= 0x10ffff; ++c) {
    std::string text;
    append_utf8(text, c);
    const bool surrogate = c >= 0xd800 && c < 0xe000;
    ASSERT_EQ(text.size(), c < 0x80 ? 1U : c < 0x800 ? 2U : c < 0x10000 ? 3U : 4U) << static_cast<uint32_t>(c);
    ASSERT_EQ(utf8_length(text), surrogate ? 0U : text.size()) << static_cast<uint32_t>(c);
    ASSERT_EQ(is_utf8(text), !surrogate) << static_cast<uint32_t>(c);
  }
}

TEST(Utf8, EndsAtTheFirstByteThatIsNone) {
  const std::string long_text(200, 'x');
  for (const std::string& before : {std::string(), std::string("ab\u00e9"), long_text, long_text + "\U0001F680"}) {
    EXPECT_EQ(utf8_end(before), before.size());
    for (const char* bad : {"\xff", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82", "\x80"}) {
      EXPECT_EQ(utf8_end(before + bad), before.size());
      EXPECT_EQ(utf8_end(before + bad + "x"), before.size());
    }
  }
}

TEST(Utf8, EachMaximalPartIsRepairedByOneReplacement) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"a\xff", "a\uFFFD"},         {"\xe2\x82z", "\uFFFDz"},     {"\xf0\x9f\x98", "\uFFFD"},
      {"\xc0\x80", "\uFFFD\uFFFD"}, {"\xe0\x80", "\uFFFD\uFFFD"}, {"\xed\xa0\x80", "\uFFFD\uFFFD\uFFFD"},
  };
  for (const auto& [bytes, expected] : cases) {
    std::string storage;
    EXPECT_EQ(repaired(bytes, storage), expected);
  }
  std::string storage, out;
  EXPECT_EQ(repaired("fine", storage), "fine");
  EXPECT_EQ(append_repaired("x\xe2\x82", out), 2U) << "the start of a character waits for the rest";
  EXPECT_EQ(out, "x");
}

}  // namespace
}  // namespace lazuli
