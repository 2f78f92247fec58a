// Checks the command `bench`: its table, its JSON and what it refuses.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/json.h"
#include "cli/program.h"
#include "support/tiny_folder.h"
#include "support/tiny_sentences.h"

namespace lazuli {
namespace {

using testing::HasSubstr;

class BenchCommand : public testing::Test {
 protected:
  struct Result {
    int code;
    std::string out, err;
  };
  Result bench(std::vector<std::string> more) const {
    more.insert(more.begin(), {"bench", "--model", model_folder(), "--prompt-tokens", "16", "--generate-tokens", "3", "--train-tokens", "8",
                               "--batch-size", "2", "--repeats", "3"});
    const Program program(folder_, more);
    const int code = program.wait();
    return {code, program.out(), program.err()};
  }
  TestFolder folder_;
};

TEST_F(BenchCommand, JsonHasTheMedianOfAllRuns) {
  const Result r = bench({"--json", "--quiet"});
  ASSERT_EQ(r.code, 0) << r.err;
  EXPECT_EQ(r.err, "");
  const JsonDocument document = JsonDocument::parse(r.out, "stdout");
  const std::vector<std::pair<std::string, int64_t>> expected = {{"pp16", 16}, {"tg3", 3}, {"train2x8", 16}};
  size_t k = 0;
  for (const JsonValue result : document.root().get("results").as_array()) {
    ASSERT_LT(k, expected.size());
    EXPECT_EQ(result.get("test").as_string(), expected[k].first);
    EXPECT_EQ(result.get("tokens").as_int(), expected[k].second);
    std::vector<double> samples;
    for (const JsonValue sample : result.get("samples").as_array()) samples.push_back(sample.as_double());
    ASSERT_EQ(samples.size(), 3U);
    std::sort(samples.begin(), samples.end());
    EXPECT_EQ(result.get("median").as_double(), samples[1]);
    ++k;
  }
  EXPECT_EQ(k, expected.size());
}

TEST_F(BenchCommand, RooflineListsEveryKernelWithItsLimit) {
  const Result r = bench({"--json", "--quiet", "--roofline", "--repeats", "1"});
  ASSERT_EQ(r.code, 0) << r.err;
  const JsonDocument document = JsonDocument::parse(r.out, "stdout");
  const JsonValue roofline = document.root().get("roofline");
  EXPECT_GT(roofline.get("bytes_per_second").as_double(), 1e8);
  EXPECT_GT(roofline.get("flops_per_second").as_double(), 1e8);
  int tests = 0;
  for (const JsonValue test : roofline.get("tests").as_array()) {
    double sum = 0;
    bool product = false;
    for (const JsonValue kernel : test.get("kernels").as_array()) {
      EXPECT_GE(kernel.get("calls").as_int(), 1);
      sum += kernel.get("seconds").as_double();
      product = product || kernel.get("flops").as_double() > 0;
    }
    EXPECT_TRUE(product);
    EXPECT_GT(sum, 0);
    EXPECT_LE(sum, test.get("seconds").as_double() * 1.01);
    ++tests;
  }
  EXPECT_EQ(tests, 3);
}

TEST_F(BenchCommand, TableHasARowForEachMeasurement) {
  const Result r = bench({"--train-tokens", "0"});
  ASSERT_EQ(r.code, 0) << r.err;
  EXPECT_THAT(r.out, testing::AllOf(HasSubstr("| pp16 "), HasSubstr("| tg3 "), testing::Not(HasSubstr("train"))));
}

TEST_F(BenchCommand, RoundedWeightsAreNamedWithTheirSize) {
  const Result r = bench({"--prompt-tokens", "0", "--train-tokens", "0", "--quantize", "int8"});
  ASSERT_EQ(r.code, 0) << r.err;
  EXPECT_THAT(r.out, testing::AllOf(HasSubstr("| qwen2 int8 "), testing::Not(HasSubstr("f32"))));
  const auto bytes = [&](const char* quantize) {
    const Result json = bench({"--prompt-tokens", "0", "--train-tokens", "0", "--quantize", quantize, "--json", "--quiet"});
    const JsonDocument document = JsonDocument::parse(json.out, "stdout");
    EXPECT_EQ(document.root().get("quantization").as_string(), quantize);
    return document.root().get("weight_bytes").as_int();
  };
  const int64_t none = bytes("none"), int8 = bytes("int8"), int4 = bytes("int4");
  EXPECT_GE(none, 4 * 15740288);
  EXPECT_LT(int8, none * 3 / 10);
  EXPECT_LT(int4, int8);
}

TEST_F(BenchCommand, SlotsAreMeasuredAlone) {
  const auto slots = [&](std::vector<std::string> options) {
    options.insert(options.begin(), {"bench", "--model", model_folder(), "--slots", "3", "--repeats", "1", "--threads", "1"});
    const Program program(folder_, options);
    const int code = program.wait();
    return std::pair(code, program.out() + program.err());
  };
  const auto [code, text] = slots({"--generate-tokens", "4"});
  EXPECT_EQ(code, 0) << text;
  EXPECT_THAT(text, testing::AllOf(HasSubstr("| tg3x4 "), testing::Not(HasSubstr("| pp"))));
  EXPECT_EQ(slots({"--generate-tokens", "0"}).first, 2);
  EXPECT_THAT(slots({"--prompt-tokens", "8"}).second, HasSubstr("--prompt-tokens: --slots measures nothing else"));
}

TEST_F(BenchCommand, WhatCannotBeMeasuredIsNamed) {
  const Result longer = bench({"--prompt-tokens", "2000"});
  EXPECT_EQ(longer.code, 1);
  EXPECT_THAT(longer.err, HasSubstr("--prompt-tokens: at most 1024"));
  EXPECT_EQ(bench({"--prompt-tokens", "0", "--generate-tokens", "0", "--train-tokens", "0"}).code, 2);
}

TEST_F(BenchCommand, SizesThatAreNotGivenFitTheContext) {
  test::write_tiny_llama(folder_ / "llama");
  const Program program(folder_, {"bench", "--model", folder_ / "llama", "--repeats", "1", "--batch-size", "1"});
  EXPECT_EQ(program.wait(), 0) << program.err();
  EXPECT_THAT(program.out(), testing::AllOf(HasSubstr("| pp128 "), HasSubstr("| tg128 "), HasSubstr("| train1x128 ")));
  test::make_tiny_sentences(folder_ / "encoder", "");
  const Program encoder(folder_, {"bench", "--model", folder_ / "encoder", "--repeats", "1", "--embed-tokens", "100000"});
  EXPECT_EQ(encoder.wait(), 1);
  EXPECT_THAT(encoder.err(), HasSubstr("--embed-tokens: at most "));
}

TEST_F(BenchCommand, EncodersEmbed) {
  test::make_tiny_sentences(folder_ / "encoder", "");
  const Result r = bench({"--model", folder_ / "encoder", "--embed-tokens", "6", "--embed-batch", "3", "--json"});
  ASSERT_EQ(r.code, 0) << r.err;
  const JsonDocument document = JsonDocument::parse(r.out, "stdout");
  for (const JsonValue result : document.root().get("results").as_array()) EXPECT_EQ(result.get("test").as_string(), "embed3x6");
  EXPECT_EQ(document.root().get("results").as_array().size(), 1U);
}

}  // namespace
}  // namespace lazuli
