// Checks the scanner that reads what the parser refuses: a NaN in front makes it read the rest of a text.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "lazuli/error.h"
#include "support/temp_folder.h"

namespace lazuli {
namespace {

using test::message_of;
using testing::ElementsAre;
using testing::EndsWith;

JsonDocument scanned(const std::string& text, size_t depth = JsonDocument::kDefaultDepth) {
  return JsonDocument::parse("[NaN, " + text + "]", "t", depth);
}
std::string error(const std::string& text) {
  return message_of<FormatError>([&] { scanned(text); });
}
/// Characters and halves of pairs.
std::string string_of(const std::string& text) {
  const JsonDocument d = scanned("\"" + text + "\"");
  return std::string((*++d.root().as_array().begin()).loose_string());
}

TEST(JsonScan, StringsHoldCharactersUpToTheirBorders) {
  const std::string half = "\\ud800", half_bytes = "\xed\xa0\x80";
  for (const std::string text : {"\x20\x7f", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80", "\xef\xbf\xbf",
                                 "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf", "\xe1\x80\xbf", "\xf1\xbf\x80\x80"}) {
    EXPECT_EQ(string_of("a" + text + "b"), "a" + text + "b") << text;
    EXPECT_EQ(string_of(half + text + "b"), half_bytes + text + "b") << text;
  }
  for (const std::string text :
       {"\x80", "\xbf", "\xc1\xbf", "\xc2\x41", "\xc2\xc0", "\xdf", "\xe0\x9f\xbf", "\xe0\xa0\x41", "\xe1\x80\xc0", "\xed\xa0\x80",
        "\xf0\x8f\xbf\xbf", "\xf0\x90\x80\x41", "\xf0\x90\x41\x80", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff"}) {
    EXPECT_THAT(error("\"" + text + "\""), testing::HasSubstr("line 1, column 8: UTF-8 expected, got byte 0x")) << text;
  }
}

TEST(JsonScan, EscapesAreReadBesideHalvesOfPairs) {
  const std::string half = "\\udfff", bytes = "\xed\xbf\xbf";
  for (const auto& [escape, character] : std::vector<std::pair<std::string, std::string>>{{"\\\"", "\""},
                                                                                          {"\\\\", "\\"},
                                                                                          {"\\/", "/"},
                                                                                          {"\\b", "\b"},
                                                                                          {"\\f", "\f"},
                                                                                          {"\\n", "\n"},
                                                                                          {"\\r", "\r"},
                                                                                          {"\\t", "\t"},
                                                                                          {"\\u007f", "\x7f"},
                                                                                          {"\\u0080", "\xc2\x80"},
                                                                                          {"\\u07ff", "\xdf\xbf"},
                                                                                          {"\\u0800", "\xe0\xa0\x80"},
                                                                                          {"\\uD7FF", "\xed\x9f\xbf"},
                                                                                          {"\\ue000", "\xee\x80\x80"},
                                                                                          {"\\uffff", "\xef\xbf\xbf"},
                                                                                          {"\\ud800\\udc00", "\xf0\x90\x80\x80"},
                                                                                          {"\\udbff\\udfff", "\xf4\x8f\xbf\xbf"},
                                                                                          {"\\ud83d\\ude00", "\xf0\x9f\x98\x80"}}) {
    EXPECT_EQ(string_of(half + escape + "x"), bytes + character + "x") << escape;
    EXPECT_EQ(string_of("x" + escape), "x" + character) << escape;
  }
  EXPECT_EQ(string_of("\\udbff\\ud800\\udc00"), "\xed\xaf\xbf\xf0\x90\x80\x80");
  EXPECT_EQ(string_of("\\ud800\\ue000"), "\xed\xa0\x80\xee\x80\x80");
  EXPECT_EQ(string_of("\\ud800\\n"), "\xed\xa0\x80\n");
  for (const char* wrong : {"\\x", "\\u12g4", "\\u-123", "\\u123", "\\U0041", "\\'"}) {
    EXPECT_THAT(error("\"" + std::string(wrong) + "\""), testing::HasSubstr("one of \"\\/bfnrt, or u and four digits, expected")) << wrong;
  }
  EXPECT_THAT(error("\"\\"), EndsWith("expected, got ']'"));
}

TEST(JsonScan, SaysWhatItExpectedAndWhere) {
  const auto says = [](const std::string& text, const std::string& end) { EXPECT_THAT(error(text), EndsWith(end)) << text; };
  says("\"a\tb\"", "line 1, column 9: an escape in a string expected, got byte 0x09");
  says("\"a\x1f\"", "an escape in a string expected, got byte 0x1f");
  says("{\"a\": 1 \"b\"}", "',' or '}' expected, got '\"'");
  says("[1 2]", "',' or ']' expected, got '2'");
  says("{1: 2}", "a key in quotes expected, got '1'");
  says("{\"a\": 1,}", "a key in quotes expected, got '}'");
  says("{\"a\", 1}", "':' expected, got ','");
  says("{\"a\":}", "a value expected, got '}'");
  says("[,1]", "a value expected, got ','");
  says("[1,]", "a value expected, got ']'");
  says("-", "a digit expected, got ']'");
  says("-a", "a digit expected, got 'a'");
  says("1.", "a digit expected, got ']'");
  says("1e+", "a digit expected, got ']'");
  says("01", "',' or ']' expected, got '1'");
  says("-01", "',' or ']' expected, got '1'");
  says("tru", "a value expected, got 't'");
  says("1\xc3\xa9", "',' or ']' expected, got '\xc3\xa9'");
  says("\n \xc3\xa9\n\xe2\x82\xac x", "line 2, column 2: a value expected, got '\xc3\xa9'");
  says("\"\xe2\x82\xac\xc3\xa9\" x", "line 1, column 12: ',' or ']' expected, got 'x'");
  says("1]\n]", "line 2, column 1: the end of the text expected, got ']'");
  EXPECT_THAT(message_of<FormatError>([] { JsonDocument::parse("[NaN", "t"); }), EndsWith("',' or ']' expected, got the end of the text"));
  EXPECT_THAT(message_of<FormatError>([] { JsonDocument::parse("{\"a\": NaN, ", "t"); }),
              EndsWith("a key in quotes expected, got the end of the text"));
  EXPECT_THAT(message_of<FormatError>([] { JsonDocument::parse("\xfe\xff", "t"); }), EndsWith("UTF-8 expected, got UTF-16"));
}

TEST(JsonScan, KeepsToTheDepthAsked) {
  EXPECT_NO_THROW(scanned("[[]]", 3));
  EXPECT_NO_THROW(scanned("{\"a\": [], \"b\": []}", 3));
  EXPECT_THAT(message_of<FormatError>([] { scanned("[[[]]]", 3); }), EndsWith("line 1, column 9: at most 3 levels expected"));
  EXPECT_THAT(message_of<FormatError>([] { scanned("{\"a\": {\"b\": {}}}", 3); }), EndsWith("at most 3 levels expected"));
}

TEST(JsonScan, ValuesThatStandInForOthersAreFoundInTheirPlaces) {
  const JsonDocument d = scanned(R"({"n": [1, Infinity, 2.5, {"x": -Infinity}], "s": ["a", "\ud800", "b"], "\udc00": "c", "t": true}, 4)");
  std::vector<JsonValue> items;
  for (const JsonValue& item : d.root().as_array()) items.push_back(item);
  ASSERT_EQ(items.size(), 3U);
  EXPECT_EQ(items[0].odd_number(), "NaN");
  EXPECT_EQ(items[2].as_int(), 4);
  std::vector<std::string> numbers, strings, keys;
  for (const JsonValue& n : items[1].get("n").as_array()) numbers.emplace_back(n.is_object() ? n.get("x").odd_number() : n.odd_number());
  for (const JsonValue& s : items[1].get("s").as_array()) strings.emplace_back(s.loose_string());
  for (const JsonMember& m : items[1].as_object()) keys.emplace_back(m.key);
  EXPECT_THAT(numbers, ElementsAre("", "Infinity", "", "-Infinity"));
  EXPECT_THAT(strings, ElementsAre("a", "\xed\xa0\x80", "b"));
  EXPECT_THAT(keys, ElementsAre("n", "s", "\xed\xb0\x80", "t"));
  EXPECT_FALSE(items[1].find("\xef\xbf\xbd"));
}

TEST(JsonScan, IntegersOf64BitsStayThatBesideOtherNumbers) {
  const JsonDocument d = scanned(
      "9223372036854775807, -9223372036854775808, 9223372036854775808, 18446744073709551615, "
      "18446744073709551616, -9223372036854775809, 12345678901234567890123456789012345678901");
  std::vector<JsonValue> n;
  for (const JsonValue& item : d.root().as_array()) n.push_back(item);
  EXPECT_EQ(n[1].as_int(), 9223372036854775807);
  EXPECT_EQ(n[2].as_int(), -9223372036854775807 - 1);
  EXPECT_EQ(n[3].as_uint(), 9223372036854775808U);
  EXPECT_EQ(n[4].as_uint(), 18446744073709551615U);
  for (const size_t k : {1U, 2U, 3U, 4U}) EXPECT_EQ(n[k].odd_number(), "") << k;
  EXPECT_EQ(n[5].as_double(), 0x1p64);
  EXPECT_EQ(n[6].odd_number(), "-9223372036854775809");
  EXPECT_THAT(message_of<FormatError>([&] { n[2].as_uint(); }), EndsWith("an integer from 0 to 2^64 - 1 expected, got an integer"));
  EXPECT_THAT(message_of<FormatError>([&] { n[3].as_int(); }),
              EndsWith("an integer of at most 9223372036854775807 expected, got 9223372036854775808"));
  // Of numbers in messages 40 characters are shown.
  EXPECT_THAT(message_of<FormatError>([&] { n[7].as_int(); }),
              EndsWith("got 1234567890123456789012345678901234567890... of 41 characters"));
  const JsonDocument forty = scanned("1234567890123456789012345678901234567890");
  EXPECT_THAT(message_of<FormatError>([&] { (*++forty.root().as_array().begin()).as_int(); }),
              EndsWith("got 1234567890123456789012345678901234567890"));
}

}  // namespace
}  // namespace lazuli
