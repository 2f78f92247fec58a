// Tests of JSON reading and writing.
#include "base/json.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <fstream>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "base/json_writer.h"
#include "lazuli/error.h"
#include "support/temp_folder.h"

namespace lazuli {
namespace {

template <class F>
std::string format_error(F&& call) {
  try {
    call();
  } catch (const FormatError& e) {
    return e.what();
  }
  return "no error";
}

TEST(Json, ReadsEveryKind) {
  const JsonDocument d = JsonDocument::parse(R"({"a":[1,-2,18446744073709551615],"b":1.5,"c":"x\u00e9\n","d":true,"e":null,"f":{}})", "t");
  const JsonValue r = d.root();
  std::vector<JsonValue> items;
  for (JsonValue v : r.get("a").as_array()) items.push_back(v);
  ASSERT_EQ(items.size(), 3U);
  EXPECT_EQ(r.get("a").as_array().size(), 3U);
  EXPECT_EQ(items[1].as_int(), -2);
  EXPECT_EQ(items[2].as_uint(), std::numeric_limits<uint64_t>::max());
  EXPECT_FALSE(items[2].is_int());
  EXPECT_EQ(items[0].as_double(), 1.0);
  EXPECT_EQ(r.get("b").as_double(), 1.5);
  EXPECT_EQ(r.get("c").as_string(), "x\xc3\xa9\n");
  EXPECT_TRUE(r.get("d").as_bool());
  EXPECT_TRUE(r.get("e").is_null());
  EXPECT_TRUE(r.get("f").is_object());
  EXPECT_FALSE(r.find("g"));
}

TEST(Json, MembersKeepTheirOrder) {
  const JsonDocument d = JsonDocument::parse(R"({"z":1,"a":2,"z":3})", "t");
  std::string keys;
  int64_t sum = 0;
  for (const JsonMember& m : d.root().as_object()) {
    keys += m.key;
    sum = sum * 10 + m.value.as_int();
  }
  EXPECT_EQ(keys, "zaz");
  EXPECT_EQ(sum, 123);
}

TEST(Json, DefaultsStandInForMissingAndNull) {
  const JsonDocument d = JsonDocument::parse(R"({"n":null,"i":7,"s":"x"})", "t");
  const JsonValue r = d.root();
  EXPECT_EQ(r.int_or("n", 3), 3);
  EXPECT_EQ(r.int_or("i", 3), 7);
  EXPECT_EQ(r.double_or("i", 0.5), 7.0);
  EXPECT_EQ(r.double_or("none", 0.5), 0.5);
  EXPECT_TRUE(r.bool_or("none", true));
  EXPECT_EQ(r.string_or("s", "y"), "x");
  EXPECT_THROW(static_cast<void>(r.int_or("s", 1)), FormatError);
}

TEST(Json, ErrorsNameTheFileAndThePlace) {
  const JsonDocument d = JsonDocument::parse(R"({"a":{"b":[1,{"c":"x"}]}})", "config.json");
  const JsonValue b = d.root().get("a").get("b");
  JsonValue last = b;
  for (JsonValue v : b.as_array()) last = v;
  EXPECT_EQ(format_error([&] { last.get("c").as_int(); }), "config.json: $.a.b[1].c: an integer of 64 bits expected, got a string");
  EXPECT_EQ(format_error([&] { last.get("d"); }), "config.json: $.a.b[1]: key 'd' expected");
  EXPECT_EQ(format_error([&] { d.root().as_array(); }), "config.json: $: an array expected, got an object");
}

TEST(Json, RefusesWhatIsNoJson) {
  for (const char* text : {"",
                           " ",
                           "{",
                           "[1,]",
                           "{\"a\" 1}",
                           "nul",
                           "1 2",
                           "\"\xff\"",
                           "[01]",
                           "[nan]",
                           "[-NaN]",
                           "[+Infinity]",
                           "[Infinit]",
                           "[1.]",
                           "[.5]",
                           "[1e]",
                           "[--1]",
                           "[NaN1]",
                           "{NaN: 1}",
                           "{\"a\": NaN,}",
                           "[NaN",
                           "\"\\ud80\"",
                           "\"\\x\"",
                           "\"a\nb\"",
                           "[NaN, \"\xed\xa0\x80\"]",
                           "\xef\xbb\xbf",
                           "\xef\xbb\xbf\xef\xbb\xbf[]"}) {
    EXPECT_THROW(JsonDocument::parse(text, "t"), FormatError) << text;
  }
  EXPECT_THROW(JsonDocument::read("/nonexistent/file.json"), IoError);
}

TEST(Json, RefusesDeepNesting) {
  const auto nested = [](size_t n) { return std::string(n, '[') + std::string(n, ']'); };
  EXPECT_NO_THROW(JsonDocument::parse(nested(1000), "t"));
  EXPECT_NO_THROW(JsonDocument::parse("[NaN," + nested(999) + "]", "t"));
  EXPECT_THROW(JsonDocument::parse(nested(1002), "t"), FormatError);
  EXPECT_THROW(JsonDocument::parse(nested(1000000), "t"), FormatError);
  EXPECT_THROW(JsonDocument::parse("[NaN," + nested(1000), "t"), FormatError);
}

TEST(Json, SaysWhereATextIsNoJson) {
  const auto error = [](const std::string& text) { return format_error([&] { JsonDocument::parse(text, "t"); }); };
  EXPECT_EQ(error("{\n  \"a\": 1,\n  \"\xc3\xa9\": nul\n}"), "t: valid JSON expected: line 3, column 8: a value expected, got 'n'");
  EXPECT_EQ(error("[NaN, 1 2]"), "t: valid JSON expected: line 1, column 9: ',' or ']' expected, got '2'");
  EXPECT_EQ(error("{\"a\" 1}"), "t: valid JSON expected: line 1, column 6: ':' expected, got '1'");
  EXPECT_EQ(error("[\"ab"), "t: valid JSON expected: line 1, column 5: '\"' expected, got the end of the text");
  EXPECT_EQ(error("\"a\xff\""), "t: valid JSON expected: line 1, column 3: UTF-8 expected, got byte 0xff");
  EXPECT_EQ(error(std::string("\xff\xfe{\0}\0", 6)), "t: valid JSON expected: line 1, column 1: UTF-8 expected, got UTF-16");
  EXPECT_EQ(error("[]]"), "t: valid JSON expected: line 1, column 3: the end of the text expected, got ']'");
  EXPECT_EQ(error("[\"\\x\"]"), "t: valid JSON expected: line 1, column 4: one of \"\\/bfnrt, or u and four digits, expected, got 'x'");
}

// As Python's json writes and reads them.
TEST(Json, ReadsNumbersThatNoTypeHoldsAndRefusesThemWhereOneIsAskedFor) {
  const std::string digits(400, '7');
  const JsonDocument d = JsonDocument::parse(
      "{\"nan\": NaN, \"up\":[Infinity, -Infinity], \"big\": 1000000000000000019884624838656, \"minus\": "
      "-9223372036854775809,\n\"text\": \"NaN \\\" 1e999\", \"huge\": 1e400, \"digits\": " +
          digits + ", \"small\": 1e-400, \"exponent\": -2E+99999999999999999999, \"after\": [1, 2.5, true]}",
      "t");
  const JsonValue r = d.root();
  for (const char* key : {"nan", "big", "minus", "huge", "digits", "exponent"}) {
    EXPECT_TRUE(r.get(key).is_number()) << key;
    EXPECT_FALSE(r.get(key).is_int()) << key;
    EXPECT_THROW(r.get(key).as_int(), FormatError) << key;
    EXPECT_THROW(r.get(key).as_uint(), FormatError) << key;
    EXPECT_THROW(r.get(key).as_bool(), FormatError) << key;
    EXPECT_FALSE(r.get(key).odd_number().empty()) << key;
  }
  EXPECT_EQ(r.get("big").as_double(), 1e30);
  EXPECT_EQ(r.get("minus").as_double(), -0x1p63);
  EXPECT_EQ(r.get("small").as_double(), 0.0);
  EXPECT_EQ(r.get("text").as_string(), "NaN \" 1e999");
  int64_t items = 0;
  for (const JsonValue& v : r.get("after").as_array()) items += v.is_int() ? v.as_int() : 10;
  EXPECT_EQ(items, 21);
  EXPECT_EQ(r.get("after").odd_number(), "");
  EXPECT_EQ(format_error([&] { r.get("nan").as_double(); }), "t: $.nan: a finite number expected, got NaN");
  EXPECT_EQ(format_error([&] { (*++r.get("up").as_array().begin()).as_double(); }), "t: $.up[1]: a finite number expected, got -Infinity");
  EXPECT_EQ(format_error([&] { r.get("huge").as_double(); }), "t: $.huge: a finite number expected, got 1e400");
  EXPECT_EQ(format_error([&] { r.int_or("big", 1); }), "t: $.big: an integer of 64 bits expected, got 1000000000000000019884624838656");
  EXPECT_EQ(format_error([&] { r.get("digits").as_int(); }),
            "t: $.digits: an integer of 64 bits expected, got " + digits.substr(0, 40) + "... of 400 characters");
}

/// What a number is that no double holds: its value where it is zero, or the error. Behind NaN the scanner reads it; behind another number
/// only where the parser refuses it.
std::string beyond(const std::string& number, const std::string& before) {
  const JsonDocument d = JsonDocument::parse("[" + before + ", " + number + "]", "t");
  const JsonValue v = *++d.root().as_array().begin();
  try {
    const double value = v.as_double();
    return value != 0 ? "a number" : std::signbit(value) ? "-0" : "0";
  } catch (const FormatError& e) {
    return std::string(e.what()).starts_with("t: $[1]: a finite number expected, got ") ? "infinite" : e.what();
  }
}

TEST(Json, NumbersBeyondDoublesAreZeroOrInfinite) {
  const std::string zeros(700, '0');
  const std::vector<std::string> small = {"0." + zeros + "1e300",
                                          "0." + zeros + "1",
                                          "0." + zeros + "9e376",
                                          "1e-400",
                                          "1" + zeros + "e-1100",
                                          "0.0e400",
                                          "0e400",
                                          "0." + zeros + "e900",
                                          "1.5e-99999999999999999999",
                                          "0e99999999999999999999",
                                          "1e-9223372036854775807",
                                          "0.1e-9223372036854775808"};
  for (const char* before : {"NaN", "5"}) {
    for (const std::string& number : small) {
      EXPECT_EQ(beyond(number, before), "0") << before << " " << number;
      EXPECT_EQ(beyond("-" + number, before), "-0") << before << " -" << number;
    }
  }
  const std::vector<std::string> large = {"1" + zeros + "e-300",
                                          "1" + zeros,
                                          "1" + zeros + ".5",
                                          "0." + zeros + "1e1100",
                                          "0.001e400",
                                          "1e309",
                                          "1E+309",
                                          "1.5e99999999999999999999",
                                          "1e9223372036854775807",
                                          "0.1e9223372036854775808",
                                          "9." + zeros + "1e308",
                                          "17976931348623159" + std::string(293, '9') + "e-1"};
  for (const char* before : {"NaN", "5"}) {
    for (const std::string& number : large) {
      EXPECT_EQ(beyond(number, before), "infinite") << before << " " << number;
      EXPECT_EQ(beyond("-" + number, before), "infinite") << before << " -" << number;
    }
  }
  const std::vector<std::string> held = {"0." + zeros + "1e701", "1" + zeros + "e-700", "1" + zeros + ".0e-900", "0." + zeros + "1e400"};
  for (const char* before : {"NaN", "5"}) {
    for (const std::string& number : held) {
      EXPECT_EQ(beyond(number, before), "a number") << before << " " << number;
      EXPECT_EQ(beyond("-" + number, before), "a number") << before << " -" << number;
    }
  }
}

TEST(Json, ANumberKeepsItsTextAndSign) {
  const JsonDocument d = JsonDocument::parse("[1e400, -1e400, 2e-400, 5, -3e400]", "t");
  std::vector<std::string> texts;
  for (const JsonValue& v : d.root().as_array()) texts.emplace_back(v.odd_number());
  EXPECT_EQ(texts, (std::vector<std::string>{"1e400", "-1e400", "2e-400", "", "-3e400"}));
}

TEST(Json, TakesTheLastOfEqualKeys) {
  const JsonDocument d = JsonDocument::parse(R"({"a": 1, "b": 2, "a": {"c": 3, "c": null}})", "t");
  EXPECT_TRUE(d.root().get("a").get("c").is_null());
  EXPECT_EQ(d.root().as_object().size(), 3U);
}

TEST(Json, LeavesOutAByteOrderMark) {
  EXPECT_EQ(JsonDocument::parse("\xef\xbb\xbf{\"a\": 1}", "t").root().get("a").as_int(), 1);
  EXPECT_THROW(JsonDocument::parse("{\"a\": \xef\xbb\xbf 1}", "t"), FormatError);
}

TEST(Json, ReadsHalvesOfSurrogatePairsWhereTheyDoNotMatter) {
  const JsonDocument d = JsonDocument::parse(
      R"({"whole": "\ud83d\ude00", "half": "a\ud83d", "low": "\ude00b", "turned": "\ude00\ud83d", "\ud83d": 1, "\ufffd": 2, "last": "x\u00e9"})",
      "t");
  const JsonValue r = d.root();
  EXPECT_EQ(r.get("whole").as_string(), "\xf0\x9f\x98\x80");
  EXPECT_EQ(r.get("last").as_string(), "x\xc3\xa9");
  EXPECT_EQ(r.get("half").loose_string(), "a\xed\xa0\xbd");
  EXPECT_EQ(r.get("turned").loose_string(), "\xed\xb8\x80\xed\xa0\xbd");
  EXPECT_EQ(r.get("\xef\xbf\xbd").as_int(), 2);
  EXPECT_EQ(format_error([&] { r.get("low").as_string(); }),
            "t: $.low: a string of whole characters expected, got one with half of a surrogate pair");
  std::vector<std::string> keys;
  for (const JsonMember& m : r.as_object()) keys.emplace_back(m.key);
  EXPECT_EQ(keys[4], "\xed\xa0\xbd");
  EXPECT_EQ(keys[5], "\xef\xbf\xbd");
}

TEST(Json, SaysWhatADownloadLeftInTheFilesPlace) {
  const test::TempFolder folder;
  const auto error = [&](const std::string& text) {
    folder.write("config.json", text);
    return format_error([&] { JsonDocument::read(folder.path("config.json")); });
  };
  EXPECT_NE(error("version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 123\n").find("git lfs pull"), std::string::npos);
  EXPECT_NE(error("").find("the file is empty"), std::string::npos);
  EXPECT_NE(error("\n<!DOCTYPE html>\n<html>").find("download the raw file"), std::string::npos);
}

#if !defined(LAZULI_INSTRUMENTED)  // their shadow memory knows no such limit
/// What parsing says in a process of its own that may take 100 MB more than it has: 0 for the error of too little memory.
int exit_code_with_little_memory(const std::string& text) noexcept {
  const pid_t child = fork();
  if (child == 0) {
    std::ifstream statm("/proc/self/statm");
    rlim_t pages = 0;
    statm >> pages;
    const rlim_t bytes = pages * static_cast<rlim_t>(sysconf(_SC_PAGESIZE)) + 100'000'000;
    const rlimit limit = {bytes, bytes};
    if (setrlimit(RLIMIT_AS, &limit) != 0) _exit(3);
    try {
      JsonDocument::parse(text, "large.json");
    } catch (const OutOfMemory& e) {
      _exit(std::string_view(e.what()) == "large.json: no memory to parse 60.0 MB" ? 0 : 1);
    } catch (const std::exception&) {
      _exit(2);
    }
    _exit(4);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

TEST(Json, SaysWhenMemoryIsTooLittleForAText) {
  std::string text(60'000'000, ' ');
  text.front() = '[';
  text.back() = ']';
  EXPECT_EQ(exit_code_with_little_memory(text), 0);
}
#endif

TEST(Json, ValuesOutliveAMoveOfTheDocument) {
  JsonDocument d = JsonDocument::parse("[5]", "t");
  const JsonArray a = d.root().as_array();
  const JsonDocument moved = std::move(d);
  EXPECT_EQ((*a.begin()).as_int(), 5);
}

TEST(JsonWriter, WritesCompactAndIndentedText) {
  const auto write = [](int indent) {
    JsonWriter w(indent);
    w.begin_object().field("a", 1).key("b").begin_array().value(true).value(nullptr).end_array();
    w.key("c").begin_object().end_object().key("d").begin_array().end_array().end_object();
    return w.text();
  };
  EXPECT_EQ(write(0), R"({"a":1,"b":[true,null],"c":{},"d":[]})");
  EXPECT_EQ(write(2), "{\n  \"a\": 1,\n  \"b\": [\n    true,\n    null\n  ],\n  \"c\": {},\n  \"d\": []\n}");
}

TEST(JsonWriter, EscapesStringsAndReplacesInvalidUtf8) {
  JsonWriter w;
  w.value("\"\\\n\x01\xc3\xa9\xff");
  EXPECT_EQ(w.text(), "\"\\\"\\\\\\n\\u0001\xc3\xa9\xef\xbf\xbd\"");
}

TEST(JsonWriter, EscapesWhatJsonDemandsAndNothingElse) {
  JsonWriter w;
  w.value(std::string_view("/\b\f\n\r\t\x1f\x7f\0\xe2\x82z\xed\xa0\x80", 15));
  EXPECT_EQ(w.text(), "\"/\\b\\f\\n\\r\\t\\u001f\x7f\\u0000\uFFFDz\uFFFD\uFFFD\uFFFD\"");
}

TEST(JsonWriter, NumbersAreShortAndStayNoIntegers) {
  const std::vector<std::pair<double, std::string>> cases = {{0, "0.0"},
                                                             {-0.0, "-0.0"},
                                                             {2, "2.0"},
                                                             {0.1, "0.1"},
                                                             {-123456789.125, "-123456789.125"},
                                                             {1e14, "100000000000000.0"},
                                                             {1e15, "1e+15"},
                                                             {0.0001, "0.0001"},
                                                             {1e-5, "1e-05"},
                                                             {1.5e300, "1.5e+300"},
                                                             {5e-324, "5e-324"}};
  for (const auto& [number, text] : cases) {
    JsonWriter w;
    w.value(number);
    EXPECT_EQ(w.text(), text);
  }
}

TEST(JsonWriter, NumbersReadBackTheSame) {
  const std::vector<double> numbers = {0.1, 1.0 / 3, 1e-5, 1e300, -0.0, 5e-324, 123456789.125, 2.0};
  JsonWriter w;
  w.begin_array();
  for (double v : numbers) w.value(v);
  w.value(std::numeric_limits<uint64_t>::max()).value(std::numeric_limits<int64_t>::min());
  w.value(std::nan("")).value(std::numeric_limits<double>::infinity()).end_array();
  const JsonDocument d = JsonDocument::parse(w.text(), "t");
  std::vector<JsonValue> items;
  for (JsonValue v : d.root().as_array()) items.push_back(v);
  for (size_t i = 0; i < numbers.size(); ++i) EXPECT_EQ(items[i].as_double(), numbers[i]);
  EXPECT_EQ(items[8].as_uint(), std::numeric_limits<uint64_t>::max());
  EXPECT_EQ(items[9].as_int(), std::numeric_limits<int64_t>::min());
  EXPECT_TRUE(items[10].is_null());
  EXPECT_TRUE(items[11].is_null());
}

TEST(JsonWriter, RefusesCallsThatMakeNoJson) {
  EXPECT_THROW(JsonWriter().key("a"), ValueError);
  EXPECT_THROW(JsonWriter().begin_object().value(1), ValueError);
  EXPECT_THROW(JsonWriter().begin_array().key("a"), ValueError);
  EXPECT_THROW(JsonWriter().begin_array().end_object(), ValueError);
  EXPECT_THROW(JsonWriter().begin_object().key("a").end_object(), ValueError);
  EXPECT_THROW(JsonWriter().value(1).value(2), ValueError);
  EXPECT_THROW(JsonWriter().begin_array().text(), ValueError);
}

}  // namespace
}  // namespace lazuli
