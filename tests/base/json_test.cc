// Tests of JSON reading and writing.
#include "base/json.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "base/json_writer.h"
#include "lazuli/error.h"

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
  for (const char* text : {"", " ", "{", "[1,]", "{\"a\" 1}", "nul", "1 2", "\"\xff\"", "[1e999]", "\"\\ud800\"", "[01]"}) {
    EXPECT_THROW(JsonDocument::parse(text, "t"), FormatError) << text;
  }
  EXPECT_THROW(JsonDocument::read("/nonexistent/file.json"), IoError);
}

TEST(Json, RefusesDeepNesting) {
  const auto nested = [](size_t n) { return std::string(n, '[') + std::string(n, ']'); };
  EXPECT_NO_THROW(JsonDocument::parse(nested(60), "t"));
  EXPECT_THROW(JsonDocument::parse(nested(65), "t"), FormatError);
  EXPECT_THROW(JsonDocument::parse(nested(1000000), "t"), FormatError);
}

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
