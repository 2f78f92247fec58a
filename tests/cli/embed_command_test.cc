// Checks the commands embed and similar: the files they write, what they print, and their exit codes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "base/json.h"
#include "cli/program.h"
#include "embed/vector_file.h"
#include "lazuli/safetensors.h"
#include "support/tiny_sentences.h"

namespace lazuli {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class EmbedCommand : public testing::Test {
 protected:
  EmbedCommand() {
    test::make_tiny_sentences(folder_ / "model", "dense");
    std::ofstream(folder_ / "texts.txt") << "a cat\n\nThe dog sat on the mat\n";
    std::ofstream(folder_ / "texts.jsonl") << "{\"text\": \"a cat\"}\n{\"text\": \"how do I train?\"}\n";
  }
  struct Result {
    int code;
    std::string out, err;
  };
  Result run(std::vector<std::string> arguments) const {
    arguments.insert(arguments.end(), {"--model", folder_ / "model", "--threads", "1"});
    const Program program(folder_, arguments);
    const int code = program.wait();
    return {code, program.out(), program.err()};
  }
  TestFolder folder_;
};

TEST_F(EmbedCommand, WritesAnArrayAndReportsJson) {
  const Result r = run({"embed", "--input", folder_ / "texts.txt", "--output", folder_ / "v.npy", "--json"});
  ASSERT_EQ(r.code, 0) << r.err;
  const JsonDocument document = JsonDocument::parse(r.out, "output");
  EXPECT_EQ(document.root().get("count").as_int(), 3);
  EXPECT_EQ(document.root().get("dimensions").as_int(), 24);
  EXPECT_GT(document.root().get("tokens").as_int(), 6);
  EXPECT_GT(document.root().get("tokens_per_second").as_double(), 0);
  EXPECT_GT(document.root().get("peak_memory_bytes").as_int(), 1 << 20);
  EXPECT_EQ(std::filesystem::file_size(folder_ / "v.npy"), 128U + 3 * 24 * 4);
}

TEST_F(EmbedCommand, APromptMayBeGivenAsText) {
  const auto vectors = [this](const std::vector<std::string>& prompt) {
    std::vector<std::string> words = {"embed", "--input", folder_ / "texts.txt", "--output", "-"};
    words.insert(words.end(), prompt.begin(), prompt.end());
    const Result r = run(words);
    EXPECT_EQ(r.code, 0) << r.err;
    return r.out;
  };
  const std::string query = vectors({"--prompt", "query: find "}), none = vectors({"--prompt", ""});
  EXPECT_EQ(query, vectors({"--prompt-name", "query"}));
  EXPECT_EQ(none, vectors({"--prompt-name", "document"}));
  EXPECT_NE(query, none);
  EXPECT_EQ(run({"embed", "--input", folder_ / "texts.txt", "--output", "-", "--prompt", "a", "--prompt-name", "query"}).code, 2);
}

TEST_F(EmbedCommand, APromptOfTheQueryMayBeGivenAsText) {
  const auto hits = [this](const std::vector<std::string>& prompt) {
    std::vector<std::string> words = {"similar", "--input", folder_ / "texts.jsonl", "--query", "cat"};
    words.insert(words.end(), prompt.begin(), prompt.end());
    const Result r = run(words);
    EXPECT_EQ(r.code, 0) << r.err;
    return r.out;
  };
  const std::string passage = hits({"--query-prompt", "passage: "});
  EXPECT_EQ(passage, hits({"--query-prompt-name", "passage"}));
  EXPECT_NE(passage, hits({"--query-prompt", ""}));
  EXPECT_EQ(run({"similar", "--input", folder_ / "texts.jsonl", "--query", "a", "--query-prompt", "a", "--query-prompt-name", "b"}).code,
            2);
}

TEST_F(EmbedCommand, RowsThatAreReadAsLinesAreTold) {
  std::ofstream(folder_ / "rows.txt") << "{\"text\": \"a cat\"}\n";
  const Result r = run({"embed", "--input", folder_ / "rows.txt", "--output", folder_ / "v.npy"});
  EXPECT_THAT(r.err, HasSubstr("begins like rows of JSON"));
  EXPECT_THAT(run({"embed", "--input", folder_ / "rows.txt", "--input-format", "lines", "--output", folder_ / "v.npy"}).err,
              testing::Not(HasSubstr("begins like rows")));
  std::ofstream(folder_ / "rows.txt") << "id\t\"text\"\n1\ta cat\n";
  EXPECT_THAT(run({"embed", "--input", folder_ / "rows.txt", "--output", folder_ / "v.npy"}).err, HasSubstr("begins like a table"));
  for (const char* text : {"text\n", "a text, an id\n", "texts,id\n"}) {
    std::ofstream(folder_ / "rows.txt") << text;
    EXPECT_THAT(run({"embed", "--input", folder_ / "rows.txt", "--output", folder_ / "v.npy"}).err, testing::Not(HasSubstr("begins like")));
  }
}

TEST_F(EmbedCommand, WritesRowsInTheOrderOfTheTexts) {
  const Result to_file = run({"embed", "--input", folder_ / "texts.jsonl", "--output", folder_ / "v.jsonl"});
  ASSERT_EQ(to_file.code, 0) << to_file.err;
  EXPECT_EQ(to_file.out, "");
  EXPECT_THAT(to_file.err, AllOf(HasSubstr("2 texts"), HasSubstr("tokens/s")));
  const Result to_stdout = run({"embed", "--input", folder_ / "texts.jsonl", "--output", "-", "--quiet"});
  EXPECT_EQ(to_stdout.err, "");
  EXPECT_EQ(to_stdout.out, read_file(folder_ / "v.jsonl", 1 << 20));
  const JsonDocument row = JsonDocument::parse(to_stdout.out.substr(0, to_stdout.out.find('\n')), "row");
  EXPECT_EQ(row.root().get("text").as_string(), "a cat");
  EXPECT_EQ(row.root().get("embedding").as_array().size(), 24U);
}

TEST_F(EmbedCommand, VectorsAreCutAndRoundedBeforeTheyAreWritten) {
  const auto embed = [&](const std::string& output, const std::vector<std::string>& more) {
    std::vector<std::string> words = {"embed", "--input", folder_ / "texts.txt", "--output", output};
    words.insert(words.end(), more.begin(), more.end());
    return run(words);
  };
  ASSERT_EQ(embed(folder_ / "all.safetensors", {}).code, 0);
  const Tensor all = SafetensorsFile::open(folder_ / "all.safetensors").tensor("embeddings");
  const Result r = embed(folder_ / "v.safetensors", {"--dimensions", "10", "--normalize", "--precision", "int8", "--json"});
  ASSERT_EQ(r.code, 0) << r.err;
  EXPECT_THAT(r.err, HasSubstr("ranges of --precision int8 are those of only 3 texts"));
  EXPECT_EQ(JsonDocument::parse(r.out, "output").root().get("dimensions").as_int(), 10);
  const QuantizedVectors expected = quantize_vectors(truncate_vectors(all, 10, true), VectorPrecision::int8);
  const SafetensorsFile file = SafetensorsFile::open(folder_ / "v.safetensors");
  EXPECT_EQ(file.tensor("embeddings").to_vector<int8_t>(), expected.values.to_vector<int8_t>());
  EXPECT_EQ(file.tensor("ranges").to_vector<float>(), expected.ranges.to_vector<float>());
  const std::string rows = embed("-", {"--dimensions", "10", "--normalize", "--precision", "int8", "--quiet"}).out;
  EXPECT_EQ(rows.substr(0, rows.find('\n') + 1), embedding_line("a cat", expected.values, 0));
  ASSERT_EQ(embed(folder_ / "v.npy", {"--precision", "binary"}).code, 0);
  EXPECT_EQ(std::filesystem::file_size(folder_ / "v.npy"), 128U + 3 * 3);
}

TEST_F(EmbedCommand, MoreDimensionsThanThereAreAndRangesOfOneTextAreRefused) {
  const Result many = run({"embed", "--input", folder_ / "texts.txt", "--output", "-", "--dimensions", "25"});
  EXPECT_EQ(many.code, 1);
  EXPECT_THAT(many.err, HasSubstr("--dimensions: at most 24"));
  std::ofstream(folder_ / "one.txt") << "a cat\n";
  const Result one = run({"embed", "--input", folder_ / "one.txt", "--output", "-", "--precision", "int8"});
  EXPECT_EQ(one.code, 1);
  EXPECT_THAT(one.err, HasSubstr("at least two texts"));
}

TEST_F(EmbedCommand, APromptChangesTheVectors) {
  const std::vector<std::string> words = {"embed", "--input", folder_ / "texts.txt", "--output", "-", "--quiet"};
  auto other = words;
  other.insert(other.end(), {"--prompt-name", "passage"});
  const Result a = run(words), b = run(other);
  EXPECT_EQ(b.code, 0) << b.err;
  EXPECT_NE(a.out, b.out);
  other.back() = "none-such";
  const Result c = run(other);
  EXPECT_EQ(c.code, 1);
  EXPECT_THAT(c.err, HasSubstr("none-such"));
}

TEST_F(EmbedCommand, WrongCommandLinesAreRefused) {
  EXPECT_EQ(run({"embed", "--input", folder_ / "texts.txt"}).code, 2);
  EXPECT_EQ(run({"embed", "--input", folder_ / "texts.txt", "--output", folder_ / "v.csv"}).code, 2);
  EXPECT_EQ(run({"embed", "--input", folder_ / "texts.txt", "--output", "-", "--json"}).code, 2);
  EXPECT_EQ(run({"embed", "--input", folder_ / "texts.txt", "--output", "-", "--batch-size", "0"}).code, 2);
  const Result missing = run({"embed", "--input", folder_ / "none.txt", "--output", "-"});
  EXPECT_EQ(missing.code, 1);
  EXPECT_THAT(missing.err, HasSubstr("none.txt"));
  EXPECT_EQ(run({"embed", "--input", folder_ / "texts.txt", "--output", folder_ / "no/v.npy"}).code, 1);
}

TEST_F(EmbedCommand, SimilarPrintsTheClosestFirst) {
  const Result r = run({"similar", "--query", "A CAT", "--input", folder_ / "texts.txt", "--top", "2", "--quiet"});
  ASSERT_EQ(r.code, 0) << r.err;
  EXPECT_TRUE(r.out.starts_with(" 1.0000  a cat\n")) << r.out;
  EXPECT_EQ(std::count(r.out.begin(), r.out.end(), '\n'), 2);
}

TEST_F(EmbedCommand, SimilarHasJsonToo) {
  const Result r = run({"similar", "--query", "how do I train?", "--input", folder_ / "texts.jsonl", "--json"});
  ASSERT_EQ(r.code, 0) << r.err;
  const JsonDocument document = JsonDocument::parse(r.out, "output");
  const JsonArray results = document.root().get("results").as_array();
  ASSERT_EQ(results.size(), 2U);
  EXPECT_EQ((*results.begin()).get("index").as_int(), 1);
  EXPECT_NEAR((*results.begin()).get("score").as_double(), 1, 1e-5);
}

TEST_F(EmbedCommand, SimilarComparesAsTheModelSays) {
  const auto first_line = [&](const std::string& name) {
    std::ofstream(folder_ / "model/config_sentence_transformers.json") << R"({"similarity_fn_name": ")" << name << "\"}";
    const Result r = run({"similar", "--query", "A CAT", "--input", folder_ / "texts.txt", "--top", "1", "--quiet"});
    return r.out + r.err;
  };
  EXPECT_EQ(first_line("dot"), " 1.0000  a cat\n");
  EXPECT_THAT(first_line("euclidean"), HasSubstr("0.0000  a cat"));
  EXPECT_THAT(first_line("manhattan"), HasSubstr("0.0000  a cat"));
}

TEST_F(EmbedCommand, AnInterruptedSearchPrintsNoneOfItsResults) {
  std::ofstream many(folder_ / "many.txt");
  for (int line = 0; line < 100000; ++line) many << "the dog number " << line << " sat on a mat\n";
  many.close();
  const Program program(folder_,
                        {"similar", "--query", "a cat", "--input", folder_ / "many.txt", "--model", folder_ / "model", "--threads", "1"});
  std::this_thread::sleep_for(std::chrono::milliseconds(400));
  program.send(SIGINT);
  EXPECT_EQ(program.wait(), 130) << program.err();
  EXPECT_EQ(program.out(), "");
}

class InterruptedEmbed : public EmbedCommand {
 protected:
  static constexpr int kLines = 60000;
  InterruptedEmbed() {
    std::ofstream many(folder_ / "many.txt");
    for (int line = 0; line < kLines; ++line) many << "the dog number " << line << " sat on a mat\n";
  }
  Program start(const std::string& output, const std::string& batch_size) const {
    return Program(folder_, {"embed", "--input", folder_ / "many.txt", "--output", output, "--batch-size", batch_size, "--model",
                             folder_ / "model", "--threads", "1"});
  }
  template <class Reached>
  static void interrupt_when(const Program& program, const Reached& reached) {
    while (!reached() && !program.ended()) std::this_thread::sleep_for(std::chrono::milliseconds(2));
    program.send(SIGINT);
  }
  /// Said when all texts are tokens and the first pass begins.
  static bool read_all(const Program& program) { return program.err().find("data: ") != std::string::npos; }
};

TEST_F(InterruptedEmbed, PrintsNoRowOfABatchThatWasNotFinished) {
  const Program program = start("-", "65536");
  interrupt_when(program, [&] { return read_all(program); });
  EXPECT_EQ(program.wait(), 130) << program.err();
  EXPECT_EQ(program.out().substr(0, 200), "");
  EXPECT_THAT(program.err(), HasSubstr("stopped after 0 of 60000 texts"));
}

TEST_F(InterruptedEmbed, EndsBetweenBatchesWithWholeRows) {
  const Program program = start("-", "4");
  interrupt_when(program, [&] { return !program.out().empty(); });
  EXPECT_EQ(program.wait(), 130) << program.err();
  std::istringstream rows(program.out());
  int count = 0;
  for (std::string row; std::getline(rows, row); ++count) {
    const JsonDocument document = JsonDocument::parse(row, "row");
    EXPECT_EQ(document.root().get("text").as_string(), "the dog number " + std::to_string(count) + " sat on a mat");
  }
  EXPECT_TRUE(program.out().ends_with("]}\n"));
  EXPECT_EQ(count % 4, 0);
  EXPECT_LT(count, kLines);
  EXPECT_THAT(program.err(), HasSubstr("stopped after " + std::to_string(count) + " of 60000 texts"));
}

TEST_F(InterruptedEmbed, WritesNoFile) {
  const Program program = start(folder_ / "v.npy", "32");
  interrupt_when(program, [&] { return read_all(program); });
  EXPECT_EQ(program.wait(), 130) << program.err();
  EXPECT_THAT(program.err(), AllOf(HasSubstr("stopped; "), HasSubstr("v.npy was not written")));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "v.npy"));
}

TEST_F(EmbedCommand, AnAdapterTrainedOnPairsBringsThemTogether) {
  std::ofstream pairs(folder_ / "pairs.jsonl");
  for (int k = 0; k < 12; ++k) {
    pairs << R"({"anchor": "a cat", "positive": "how do I train?"})"
          << "\n"
          << R"({"anchor": "the dog", "positive": "find a word"})"
          << "\n";
  }
  pairs.close();
  const Result r = run({"finetune", "--task", "similarity", "--data", folder_ / "pairs.jsonl", "--adapter-path", folder_ / "adapter",
                        "--iters", "30", "--batch-size", "2", "--learning-rate", "1e-2", "--json"});
  ASSERT_EQ(r.code, 0) << r.err;
  EXPECT_THAT(r.err, AllOf(HasSubstr("22 pairs to train on"), testing::Not(HasSubstr("perplexity"))));
  const JsonDocument document = JsonDocument::parse(r.out, "output");
  EXPECT_LT(document.root().get("val_loss_after").as_double(), document.root().get("val_loss_before").as_double());
  EXPECT_GT(document.root().get("trained_tokens").as_int(), 30 * 4);
  const auto score = [&](const std::vector<std::string>& more) {
    std::vector<std::string> words = {"similar", "--query", "a cat", "--input", folder_ / "texts.jsonl", "--json"};
    words.insert(words.end(), more.begin(), more.end());
    const JsonDocument found = JsonDocument::parse(run(words).out, "output");
    double of_train = 0;
    for (const JsonValue& hit : found.root().get("results").as_array()) {
      if (hit.get("index").as_int() == 1) of_train = hit.get("score").as_double();
    }
    return of_train;
  };
  EXPECT_GT(score({"--adapter-path", folder_ / "adapter"}), score({}) + 0.02);
}

TEST_F(EmbedCommand, PairsThatTeachOrMeasureNothingAreRefusedOrSaidToBe) {
  const std::string one = "{\"anchor\": \"a cat\", \"positive\": \"a mat\"}\n",
                    other = "{\"anchor\": \"a dog\", \"positive\": \"a rug\"}\n";
  const auto train = [&](const std::string& rows, const std::string& batch_size) {
    std::ofstream(folder_ / "pairs.jsonl") << rows;
    return run({"finetune", "--task", "similarity", "--data", folder_ / "pairs.jsonl", "--adapter-path", folder_ / "adapter" + batch_size,
                "--iters", "1", "--batch-size", batch_size, "--json"});
  };
  const Result alone = train(one, "4"), single = train(one + other, "1"), two = train(one + other, "2");
  EXPECT_EQ(alone.code, 1);
  EXPECT_THAT(alone.err, HasSubstr("at least two pairs"));
  EXPECT_EQ(single.code, 1);
  EXPECT_THAT(single.err, HasSubstr("--batch-size of at least 2"));
  ASSERT_EQ(two.code, 0) << two.err;
  EXPECT_THAT(two.err, HasSubstr("0 to validate"));
  EXPECT_TRUE(JsonDocument::parse(two.out, "output").root().get("val_loss_before").is_null());
}

TEST_F(EmbedCommand, SaysWhatItReadAndWhichTextsItCuts) {
  std::ofstream long_text(folder_ / "long.txt");
  for (int k = 0; k < 400; ++k) long_text << "cat ";
  long_text << "\na cat\n";
  long_text.close();
  const Result r = run({"embed", "--input", folder_ / "long.txt", "--output", folder_ / "v.npy"});
  ASSERT_EQ(r.code, 0) << r.err;
  EXPECT_THAT(r.err, AllOf(testing::StartsWith("data: long.txt, "), HasSubstr("left out: ends of texts of over ")));
}

TEST_F(EmbedCommand, AnAdapterIsTrainedOnRoundedWeightsToo) {
  std::ofstream pairs(folder_ / "pairs.jsonl");
  for (int k = 0; k < 12; ++k)
    pairs << R"({"anchor": "a cat", "positive": "how do I train?"})"
             "\n"
             R"({"anchor": "the dog", "positive": "find a word"})"
             "\n";
  pairs.close();
  const Result r = run({"finetune", "--task", "similarity", "--data", folder_ / "pairs.jsonl", "--adapter-path", folder_ / "adapter",
                        "--iters", "20", "--batch-size", "2", "--learning-rate", "1e-2", "--quantize", "int8", "--json"});
  ASSERT_EQ(r.code, 0) << r.err;
  const JsonDocument document = JsonDocument::parse(r.out, "output");
  EXPECT_LT(document.root().get("val_loss_after").as_double(), document.root().get("val_loss_before").as_double());
}

TEST_F(EmbedCommand, AFusedEncoderEmbedsAsModelAndAdapterDo) {
  // In f32, so that fused weights are not rounded to the f16 of the files.
  std::map<std::string, Tensor> weights;
  {
    const Checkpoint stored = Checkpoint::open(folder_ / "model");
    for (const std::string& name : stored.names()) weights.emplace(name, stored.tensor(name).to(DType::f32));
  }
  save_safetensors(folder_ / "model/model.safetensors", weights);
  std::ofstream(folder_ / "pairs.jsonl") << R"({"anchor": "a cat", "positive": "how do I train?"})"
                                         << "\n"
                                         << R"({"anchor": "the dog", "positive": "find a word"})"
                                         << "\n";
  const std::string adapter = folder_ / "adapter";
  ASSERT_EQ(run({"finetune", "--task", "similarity", "--data", folder_ / "pairs.jsonl", "--adapter-path", adapter, "--iters", "5",
                 "--learning-rate", "1e-2", "--quiet"})
                .code,
            0);
  const Result fuse = run({"fuse", "--adapter-path", adapter, "--save-path", folder_ / "fused"});
  ASSERT_EQ(fuse.code, 0) << fuse.err;
  const auto vectors = [&](const std::vector<std::string>& more) {
    std::vector<std::string> words = {"embed", "--input", folder_ / "texts.txt", "--output", "-", "--quiet"};
    words.insert(words.end(), more.begin(), more.end());
    std::istringstream rows(run(words).out);
    std::vector<double> numbers;
    for (std::string row; std::getline(rows, row);) {
      const JsonDocument document = JsonDocument::parse(row, "row");
      for (const JsonValue& v : document.root().get("embedding").as_array()) numbers.push_back(v.as_double());
    }
    return numbers;
  };
  const std::vector<double> both = vectors({"--adapter-path", adapter}), without = vectors({});
  std::filesystem::rename(folder_ / "model", folder_ / "base");
  std::filesystem::rename(folder_ / "fused", folder_ / "model");
  EXPECT_THAT(vectors({}), testing::Pointwise(testing::DoubleNear(1e-5), both));
  EXPECT_THAT(both, testing::Not(testing::Pointwise(testing::DoubleNear(1e-3), without)));
}

}  // namespace
}  // namespace lazuli
