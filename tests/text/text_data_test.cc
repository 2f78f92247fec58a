// Checks the reading of texts: rows, encodings, what is left out, and the tokens.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "text/text_data_fixture.h"

namespace lazuli {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

TEST_F(TextData, AFolderGivesItsTextFilesSortedAndSaysWhatItLeavesOut) {
  write("b.py", "print(1)\n");
  write("a/z.txt", "zed");
  write("binary.dat", std::string("\x01\x00\x02", 3));
  write("latin", "caf\xe9");
  write("latin.txt", "caf\xe9");
  write("empty.txt", "");
  write(".git/config", "hidden");
  write("notes.pdf", "%PDF-1.7 text");
  write("settings.json", "{\"a\": 1}");
  fs::create_directory_symlink(folder_, folder_ / "loop");
  fs::create_symlink("nowhere", folder_ / "broken");
  EXPECT_THAT(read(), ElementsAre("zed", "print(1)\n"));
  EXPECT_THAT(report_.files, ElementsAre("a/z.txt", "b.py"));
  for (const char* said :
       {"hidden files and folders: 1 (.git)", "empty files: 1 (empty.txt)", "not UTF-8", "latin.txt", "binary files: 2", "a PDF",
        "JSON files without rows: 1 (settings.json)", "links to folders: 1 (loop)", "broken links: 1 (broken)"}) {
    EXPECT_THAT(left_out(), HasSubstr(said));
  }
}

TEST_F(TextData, JsonLinesGiveOneDocumentARow) {
  write("rows.jsonl", "{\"text\": \"one\\n\"}\n\n{\"text\": \"two\", \"id\": 3}");
  const auto rows = read_documents(path("rows.jsonl"), report_);
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[0].text, "one\n");
  EXPECT_EQ(rows[1].name, "rows.jsonl:3");
  EXPECT_EQ(report_.rows, 2);
  EXPECT_EQ(left_out(), "columns: 1 (id)");
}

TEST_F(TextData, RowsAreKnownByNameInLettersOfEitherSizeOrByTheirFirstLine) {
  const std::string row = "{\"text\": \"a\"}\n", two = row + "{\"text\": \"b\"}\n";
  for (const char* name : {"A.JSONL", "a.ndjson", "a.json", "a.dat", "rows"}) {
    write(name, "\n" + two);
    EXPECT_THAT(read(name), ElementsAre("a", "b")) << name;
  }
  write("array.json", "[{\"text\": \"a\"},\n {\"text\": \"b\"}]");
  EXPECT_THAT(read("array.json"), ElementsAre("a", "b"));
  write("object.json", "{\n  \"text\": \"a\"\n}\n");
  EXPECT_THAT(read("object.json"), ElementsAre("a"));
  write("a.csv", "id,text\r\n1,\"a, \"\"b\"\"\nc\"\r\n2,\r\n3,d\r\n");
  EXPECT_THAT(read("a.csv"), ElementsAre("a, \"b\"\nc", "d"));
  EXPECT_THAT(left_out(), AllOf(HasSubstr("rows whose text is null: 1"), HasSubstr("columns: 1 (id)")));
  write("a.tsv", "text\tid\na\t1\n");
  EXPECT_THAT(read("a.tsv"), ElementsAre("a"));
  // Text stays text, braces and all, but it is said.
  write("a.txt", row);
  EXPECT_THAT(read("a.txt"), ElementsAre(row));
  EXPECT_THAT(report_.notes, ElementsAre(HasSubstr("read as text")));
  // Without a name that says it, rows are known by their column.
  write("array", "\n[{\"text\": \"a\"}]");
  EXPECT_THAT(read("array"), ElementsAre("a"));
  for (const char* text : {"[]", "[1]", "[{\"name\": \"a\"}]"}) {
    write("array", text);
    EXPECT_THAT(read("array"), ElementsAre(text));
  }
  write("table", "id,text\n1,a\n");
  EXPECT_EQ(read("table"), (std::vector<std::string>{"id,text\n1,a\n"}));
  EXPECT_THAT(report_.notes, ElementsAre(AllOf(HasSubstr("begins like a table"), HasSubstr(".csv"))));
}

TEST_F(TextData, WhatPythonWritesIsReadInColumnsThatNobodyAsksFor) {
  for (const char* value :
       {"NaN", "Infinity", "-Infinity", "1e999", "123456789012345678901234567890", "\"\\ud83d\"", "[\"\\ud83d\"]", "[NaN]"}) {
    write("rows.jsonl", std::string("{\"score\": ") + value + ", \"text\": \"fine\"}\n");
    EXPECT_EQ(format_error("rows.jsonl"), "no error") << value;
  }
}

TEST_F(TextData, BadRowsAreNamedByFileAndLine) {
  write("rows.jsonl", "{\"text\": \"fine\"}\n{\"text\": 3}\n");
  EXPECT_THAT(format_error("rows.jsonl"), HasSubstr("rows.jsonl:2"));
  write("rows.jsonl", "{\"text\": \"fine\"}\n\n{\"text\": \"open\n");
  EXPECT_THAT(format_error("rows.jsonl"), HasSubstr("rows.jsonl:3"));
  write("rows.jsonl", "{\"text\": \"\xff\"}\n");
  EXPECT_THAT(format_error("rows.jsonl"), AllOf(HasSubstr("rows.jsonl"), HasSubstr("byte 10 (line 1)"), HasSubstr("UTF-8")));
  write("rows.jsonl", "{\"text\": \"fine\"}\n{\"text\": \"half \\ud83d\"}\n");
  EXPECT_THAT(format_error("rows.jsonl"), AllOf(HasSubstr("rows.jsonl:2"), HasSubstr("half of a surrogate pair")));
  write("rows.jsonl", "\n\n");
  EXPECT_THAT(format_error("rows.jsonl"), HasSubstr("none"));
  write("rows.jsonl", "[1, 2]\n");
  EXPECT_THAT(format_error("rows.jsonl"), AllOf(HasSubstr("rows.jsonl[0]"), HasSubstr("object")));
  write("rows.csv", "text,id\na\n");
  EXPECT_THAT(format_error("rows.csv"), AllOf(HasSubstr("rows.csv:2"), HasSubstr("2 cells")));
  write("rows.csv", "text,,id,,text\na,,1,,b\n");
  EXPECT_THAT(format_error("rows.csv"), AllOf(HasSubstr("rows.csv:1"), HasSubstr("'text' twice")));
  write("rows.csv", "text\n\"open\n");
  EXPECT_THAT(format_error("rows.csv"), AllOf(HasSubstr("rows.csv:2"), HasSubstr("closing quote")));
}

TEST_F(TextData, ColumnsThatWouldChangeTheMeaningAreRefusedByName) {
  const auto error = [&](const std::string& row) {
    write("rows.jsonl", row + "\n");
    return format_error("rows.jsonl");
  };
  EXPECT_THAT(error("{\"prompt\": \"x\", \"completion\": \"y\"}"), AllOf(HasSubstr("prompt, completion"), HasSubstr("\"text\"")));
  EXPECT_THAT(error("{\"messages\": []}"), AllOf(HasSubstr("messages"), HasSubstr("template")));
  EXPECT_THAT(error("{\"text\": \"a\", \"messages\": []}"), HasSubstr("$.messages"));
  EXPECT_THAT(error("{\"text\": \"a\", \"prompt\": \"b\", \"completion\": \"c\"}"), HasSubstr("$.prompt"));
  EXPECT_THAT(error("{\"text\": \"a\", \"weight\": 0.5}"), HasSubstr("$.weight"));
  fs::create_directory(folder_ / "rows");
  write("rows/part.jsonl", "{\"content\": \"a\"}\n");
  EXPECT_THAT(format_error("rows"), AllOf(HasSubstr("part.jsonl:1"), HasSubstr("content")));
}

TEST_F(TextData, EveryNameOfAColumnThatChangesTheMeaningIsKnown) {
  const auto error = [&](const std::string& row) {
    write("rows.jsonl", row + "\n");
    return format_error("rows.jsonl");
  };
  for (const std::string name : {"weight", "weights", "sample_weight", "sample_weights"}) {
    EXPECT_THAT(error("{\"text\": \"a\", \"" + name + "\": 1}"), HasSubstr("$." + name + ": all rows weigh the same here"));
  }
  for (const std::string name : {"messages", "conversations", "conversation", "chat"}) {
    EXPECT_THAT(error("{\"text\": \"a\", \"" + name + "\": []}"), HasSubstr("$." + name + ": 'text' without it expected"));
    EXPECT_THAT(error("{\"" + name + "\": []}"), HasSubstr("conversations are not read"));
  }
  for (const std::string name : {"prompt", "completion", "instruction", "response", "output", "question", "answer"}) {
    EXPECT_THAT(error("{\"" + name + "\": \"a\"}"), HasSubstr("write what is asked and what is answered as one \"text\""));
    EXPECT_EQ(error("{\"text\": \"a\", \"" + name + "\": \"b\"}"), "no error");
  }
  EXPECT_THAT(error("{\"other\": \"a\"}"), testing::EndsWith("expected, got the columns other"));
  EXPECT_THAT(error("{}"), testing::EndsWith("expected, got the columns none"));
  for (const auto& [value, kind] :
       {std::pair("3", "a number"), {"[\"a\"]", "a list"}, {"{}", "another kind of value"}, {"true", "another"}}) {
    EXPECT_THAT(error(std::string("{\"text\": ") + value + "}"), HasSubstr(std::string("$.text: a string expected, got ") + kind));
  }
}

TEST_F(TextData, TablesHaveTheSeparatorOfTheirFirstLine) {
  for (const auto& [name, text] : {std::pair("a.csv", "id,text\n1,a;b\n"),
                                   {"b.csv", "id;text\n1;a,b\n"},
                                   {"c.csv", "id\ttext\n1\ta,b\n"},
                                   {"d.tsv", "id\ttext\n1\ta;b\n"},
                                   {"e.csv", "text\na;b\n"},
                                   {"f.csv", "\n\nid;text\n1;a,b\n"}}) {
    write(name, text);
    EXPECT_THAT(read(name), ElementsAre(testing::AnyOf("a;b", "a,b"))) << name;
  }
  write("g.csv", "text,id\n");
  EXPECT_THAT(format_error("g.csv"), HasSubstr("got none"));
}

TEST_F(TextData, RowsWithoutATextAreCounted) {
  write("rows.jsonl", "{\"text\": \"\"}\n{\"text\": null}\n{\"text\": \"a\"}\n{\"text\": \"\"}\n");
  EXPECT_THAT(read("rows.jsonl"), ElementsAre("a"));
  EXPECT_EQ(left_out(), "rows with an empty text: 2; rows whose text is null: 1");
  write("rows.jsonl", "{\"text\": \"\"}\n");
  EXPECT_THAT(format_error("rows.jsonl"), AllOf(HasSubstr("none"), HasSubstr("empty text: 1")));
  // As in Python, the last value of a name counts.
  write("rows.jsonl", "{\"text\": \"a\", \"text\": \"b\"}\n");
  EXPECT_THAT(read("rows.jsonl"), ElementsAre("b"));
}

TEST_F(TextData, MarksAreTakenOffAndWiderEncodingsConverted) {
  write("a.txt", "\xef\xbb\xbfhello");
  EXPECT_THAT(read("a.txt"), ElementsAre("hello"));
  write("a.jsonl", "\xef\xbb\xbf{\"text\": \"a\"}\n\xef\xbb\xbf{\"text\": \"b\"}\n");
  EXPECT_THAT(read("a.jsonl"), ElementsAre("a", "b"));
  const std::string little("\xff\xfeh\0\xe9\0\x3d\xd8\x00\xde\n\0", 12), big("\xfe\xff\0h\0\xe9\xd8\x3d\xde\x00\0\n", 12);
  for (const std::string& bytes : {little, big}) {
    write("a.txt", bytes);
    EXPECT_THAT(read("a.txt"), ElementsAre("h\xc3\xa9\xf0\x9f\x98\x80\n"));
    EXPECT_THAT(report_.notes, ElementsAre("a.txt was read as UTF-16"));
  }
  write("a.txt", std::string("\xff\xfe\0\0h\0\0\0", 8));
  EXPECT_THAT(read("a.txt"), ElementsAre("h"));
  write("a.txt", std::string("\xff\xfe\x3d\xd8h\0", 6));
  EXPECT_THAT(format_error("a.txt"), AllOf(HasSubstr("UTF-16"), HasSubstr("second half")));
  write("a.txt", std::string("\xff\xfeh", 3));
  EXPECT_THAT(format_error("a.txt"), HasSubstr("middle of a character"));
  write("a.txt", std::string("h\0e\0l\0l\0o\0", 10));
  EXPECT_THAT(format_error("a.txt"), HasSubstr("UTF-16 without a byte order mark"));
}

TEST_F(TextData, LineEndsOfTextAreThoseOfPythonAndThoseOfRowsStay) {
  write("a.txt", "a\r\nb\rc\n\r");
  EXPECT_THAT(read("a.txt"), ElementsAre("a\nb\nc\n\n"));
  EXPECT_EQ(report_.notes.size(), 1U);
  write("a.jsonl", "{\"text\": \"a\\r\\nb\"}\r\n");
  EXPECT_THAT(read("a.jsonl"), ElementsAre("a\r\nb"));
}

TEST_F(TextData, PathsWithoutTextAreErrorsThatSayWhatToDo) {
  EXPECT_THAT(format_error(), HasSubstr("none"));
  const std::pair<std::string, std::string> cases[] = {{std::string("\x89PNG\x00", 5), "PNG"},
                                                       {"\x1f\x8b\x08", "gunzip"},
                                                       {"PK\x03\x04", "zip"},
                                                       {std::string("PAR1\x00", 5), "to_json"},
                                                       {"%PDF-1.4", "pdftotext"},
                                                       {"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"},
                                                       {std::string("a\0b", 3), "byte 1 is 0"},
                                                       {"", "empty"},
                                                       {"\xef\xbb\xbf", "empty"},
                                                       {"caf\xe9 cr\xe8me", "byte 3 (line 1) is 0xe9"},
                                                       {"a\n\xc0\x80", "byte 2 (line 2)"}};
  for (const auto& [bytes, said] : cases) {
    write("a.txt", bytes);
    EXPECT_THAT(format_error("a.txt"), AllOf(HasSubstr("a.txt"), HasSubstr(said)));
  }
  // Letters that also begin a binary kind of file.
  write("a.txt", "PAR1 is a part of GGUF");
  EXPECT_EQ(read("a.txt").size(), 1U);
  EXPECT_THROW(read_documents(path("missing.txt")), IoError);
}

class TextTokens : public TextData {
 protected:
  /// Words of letters; the post-processor puts `before` and `after` around a text, where they are not empty.
  Tokenizer tokenizer(const std::string& before, const std::string& after) const {
    const auto special = [](const std::string& name) { return R"({"SpecialToken": {"id": ")" + name + R"(", "type_id": 0}},)"; };
    const auto entry = [](const char* name, int id) {
      return std::string("\"") + name + R"(": {"id": ")" + name + R"(", "ids": [)" + std::to_string(id) + R"(], "tokens": [")" + name +
             "\"]}";
    };
    std::string single = before.empty() ? "" : special(before);
    single += R"({"Sequence": {"id": "A", "type_id": 0}},)";
    if (!after.empty()) single += special(after);
    single.pop_back();
    const std::string processor = R"({"type": "TemplateProcessing", "single": [)" + single + R"(], "pair": [)" + single +
                                  R"(,{"Sequence": {"id": "B", "type_id": 0}}], "special_tokens": {)" + entry("<s>", 0) + "," +
                                  entry("</s>", 1) + "}}";
    write("tokenizer.json",
          R"({"added_tokens": [{"id": 0, "content": "<s>", "special": true}, {"id": 1, "content": "</s>", "special": true}],
      "pre_tokenizer": {"type": "Whitespace"}, "post_processor": )" +
              processor + R"(,
      "model": {"type": "WordLevel", "vocab": {"<s>": 0, "</s>": 1, "a": 2, "b": 3, "?": 4}, "unk_token": "?"}})");
    return Tokenizer::load(path("tokenizer.json"));
  }
  static std::vector<int32_t> ids(const Tokenizer& tokenizer) {
    const Document documents[] = {{"1", "a b", true}, {"2", "b", true}, {"3", "a</s>", true}};
    return encode_documents(documents, tokenizer, 1);
  }
};

TEST_F(TextTokens, EachTextHasWhatTheTokenizerPutsThereAndOneEndOfText) {
  EXPECT_THAT(ids(tokenizer("", "")), ElementsAre(2, 3, 1, 3, 1, 2, 1));
  EXPECT_THAT(ids(tokenizer("<s>", "")), ElementsAre(0, 2, 3, 1, 0, 3, 1, 0, 2, 1));
  EXPECT_THAT(ids(tokenizer("<s>", "</s>")), ElementsAre(0, 2, 3, 1, 0, 3, 1, 0, 2, 1, 1));
}

TEST_F(TextTokens, TheTailOfOneLongFileIsHeldOut) {
  const Tokenizer words = tokenizer("<s>", "");
  TextSplit one;
  std::string text;
  for (int k = 0; k < 398; ++k) text += k % 2 == 0 ? "a " : "b ";
  one.train = {{"long.txt", text}};
  const TokenSplit parts = encode_split(one, words, 1);
  EXPECT_EQ(parts.tokens, 400);
  EXPECT_EQ(parts.train.size(), 360U);
  EXPECT_EQ(parts.validation.size(), 41U);
  EXPECT_EQ(parts.validation.front(), parts.train.back());
  EXPECT_EQ(parts.validation.back(), 1);
  EXPECT_EQ(parts.held_out, "the last 40 tokens of long.txt");
  one.train[0].row = true;
  EXPECT_TRUE(encode_split(one, words, 1).validation.empty());
  one.train = {{"short.txt", "a b"}};
  EXPECT_THAT(encode_split(one, words, 1).held_out, HasSubstr("too few"));
}

}  // namespace
}  // namespace lazuli
