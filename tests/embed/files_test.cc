// Checks the lists of texts that are read and the files of vectors that are written.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "base/file.h"
#include "embed/text_list.h"
#include "embed/vector_file.h"
#include "lazuli/error.h"
#include "support/temp_folder.h"

namespace lazuli {
namespace {

using test::message_of;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

TEST(TextList, EveryLineIsAText) {
  EXPECT_THAT(split_texts("one\n\n three \r\n", "a.txt"), ElementsAre("one", "", " three "));
  EXPECT_THAT(split_texts("one\ntwo", "-"), ElementsAre("one", "two"));
  EXPECT_THAT(split_texts("{\"text\": \"x\"}\n", "a.txt"), ElementsAre("{\"text\": \"x\"}"));
}

TEST(TextList, RowsAreReadFromJsonLines) {
  const std::string rows = "{\"text\": \"one\", \"id\": 3}\n\n{\"text\": \"a\\nb\"}\n";
  EXPECT_THAT(split_texts(rows, "a.jsonl"), ElementsAre("one", "a\nb"));
  EXPECT_THAT(split_texts(rows, "-"), ElementsAre("one", "a\nb"));
  EXPECT_THAT(split_texts("{not a row\n", "-"), ElementsAre("{not a row"));
  EXPECT_THAT(split_texts(rows, "-", TextFormat::lines).size(), 3U);
  EXPECT_THAT(message_of<FormatError>([] { split_texts("{\"text\": \"a\"}\n{\"txt\": 1}\n", "b.jsonl"); }),
              AllOf(HasSubstr("b.jsonl:2"), HasSubstr("text")));
}

TEST(TextList, MarksBlankLinesAndOtherKindsOfRowsAreKnown) {
  const std::string rows = "\xef\xbb\xbf\n{\"text\": \"a\"}\r\n{\"text\": \"b\"}\n";
  for (const char* name : {"-", "/dev/stdin", "a.JSONL", "a.ndjson", "a.json"})
    EXPECT_THAT(split_texts(rows, name), ElementsAre("a", "b")) << name;
  EXPECT_THAT(split_texts("[{\"text\": \"a\"}, {\"text\": \"b\"}]", "a.json"), ElementsAre("a", "b"));
  EXPECT_THAT(split_texts("id,text\n1,a\n2,b\n", "a.csv"), ElementsAre("a", "b"));
  EXPECT_THAT(split_texts("\xef\xbb\xbf"
                          "a\rb",
                          "a.txt"),
              ElementsAre("a", "b"));
  EXPECT_THAT(message_of<FormatError>([] { split_texts("caf\xe9\n", "a.txt"); }), HasSubstr("byte 3"));
  EXPECT_THAT(message_of<FormatError>([] { split_texts("{\"text\": null}\n", "a.jsonl"); }),
              AllOf(HasSubstr("a.jsonl:1"), HasSubstr("null")));
}

TEST(TextList, WhatIsNotReadIsReported) {
  DataReport report;
  split_texts("{\"text\": \"a\", \"id\": 1}\n{\"text\": \"\", \"id\": 2}\n", "x/a.jsonl", TextFormat::automatic, report);
  EXPECT_EQ(report.rows, 2);
  EXPECT_THAT(report.files, ElementsAre("a.jsonl"));
  EXPECT_EQ(report.left_out_text(), "columns: 1 (id)");
  EXPECT_THAT(report.notes, ElementsAre("1 of 2 texts are empty and get a vector too"));
}

TEST(TextList, NoTextAtAllIsAnError) {
  const test::TempFolder folder;
  folder.write("empty.txt", "");
  EXPECT_THROW(read_texts(folder.path("empty.txt")), FormatError);
  EXPECT_THROW(read_texts("/no/file.txt"), IoError);
}

TEST(TextList, FilesOfVectorsAreRefusedByName) {
  for (const auto& file : {std::pair<std::string, const char*>{"\x93NUMPY\x01", "v.npy"}, {"{}", "v.safetensors"}}) {
    EXPECT_THAT(message_of<FormatError>([&] { split_texts(file.first, file.second); }),
                AllOf(HasSubstr(file.second), HasSubstr("file of vectors")));
  }
}

TEST(VectorFile, NpyHasItsHeaderAlignedAndItsNumbersBehind) {
  const test::TempFolder folder;
  write_npy(folder.path("v.npy"), Tensor::from_vector<float>({1, 2, 3, 4, 5, 6}, {2, 3}));
  const std::string bytes = read_file(folder.path("v.npy"), 1 << 20);
  ASSERT_EQ(bytes.size(), 128U + 24U);
  EXPECT_EQ(bytes.substr(0, 8), std::string("\x93NUMPY\x01\x00", 8));
  EXPECT_EQ(static_cast<size_t>(static_cast<unsigned char>(bytes[8])) + 10, 128U);
  EXPECT_THAT(bytes, HasSubstr("{'descr': '<f4', 'fortran_order': False, 'shape': (2,3), }"));
  float last = 0;
  std::memcpy(&last, bytes.data() + bytes.size() - 4, 4);
  EXPECT_EQ(last, 6);
}

TEST(VectorFile, BytesAreWrittenAsSuch) {
  const test::TempFolder folder;
  write_npy(folder.path("i.npy"), Tensor::from_vector<int8_t>({-128, 0, 127}, {1, 3}));
  write_npy(folder.path("u.npy"), Tensor::from_vector<uint8_t>({255, 0}, {2, 1}));
  EXPECT_THAT(read_file(folder.path("i.npy"), 1 << 20), HasSubstr("{'descr': '|i1', 'fortran_order': False, 'shape': (1,3), }"));
  EXPECT_TRUE(read_file(folder.path("i.npy"), 1 << 20).ends_with(std::string("\x80\x00\x7f", 3)));
  EXPECT_THAT(read_file(folder.path("u.npy"), 1 << 20), HasSubstr("'descr': '|u1'"));
  EXPECT_THROW(write_npy(folder.path("x.npy"), Tensor::zeros(DType::i32, {1, 1})), DTypeError);
  EXPECT_EQ(embedding_line("a", Tensor::from_vector<int8_t>({1, 2, -3, 4}, {2, 2}), 1), "{\"text\":\"a\",\"embedding\":[-3,4]}\n");
}

TEST(VectorFile, LinesHaveTextAndShortestNumbers) {
  EXPECT_EQ(embedding_line("a\"b", std::vector<float>{0.1F, -2, 1e-7F}), "{\"text\":\"a\\\"b\",\"embedding\":[0.1,-2,1e-07]}\n");
  EXPECT_THROW(write_npy("/no/folder/v.npy", Tensor::zeros(DType::f32, {1, 1})), IoError);
}

}  // namespace
}  // namespace lazuli
