// Checks that a command knows what it needs before it runs: an error says how much and what helps, and so much is enough.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <regex>
#include <string>
#include <vector>

#include "base/json.h"
#include "cli/program.h"
#include "support/tiny_sentences.h"

namespace lazuli {
namespace {

using testing::HasSubstr;

class Memory : public testing::Test {
 protected:
  Memory() {
    test::make_tiny_sentences(folder_ / "encoder", "dense");
    std::ofstream texts(folder_ / "texts.txt"), code(folder_ / "code.py");
    for (int line = 0; line < 100; ++line) {
      texts << "the dog number " << line << " sat on a mat\n";
      code << "def function_" << line << "(x):\n    return x + " << line << "\n";
    }
  }

  struct Result {
    int code;
    std::string out, err;
  };
  Result run(const std::vector<std::string>& arguments, const std::string& limit) const {
    std::vector<std::string> all = arguments;
    all.insert(all.end(), {"--threads", "1", "--max-memory", limit});
    const Program program(folder_, all);
    const int code = program.wait();
    return {code, program.out(), program.err()};
  }

  /// The bytes that the error says are needed; 0 where it does not say so.
  static double needed(const std::string& error) {
    std::smatch match;
    if (!std::regex_search(error, match, std::regex(R"(needs ([0-9.]+) ([kMG]?)B \(.*\), limit [0-9.]+ [kMG]?B; .* needs less\n)")))
      return 0;
    const std::string unit = match[2];
    return std::stod(match[1]) * (unit == "k" ? 1e3 : unit == "M" ? 1e6 : unit == "G" ? 1e9 : 1);
  }

  /// The arguments choose the dtype of the files, whose weights take none of the limit.
  /// With a little less than what the error asks for it comes again, with a little more the command runs: the text has three digits.
  void expect_exact(const std::vector<std::string>& arguments, const std::string& too_little, const std::string& who,
                    const std::string& hint) const {
    const Result refused = run(arguments, too_little);
    EXPECT_EQ(refused.code, 1);
    EXPECT_THAT(refused.err, testing::AllOf(HasSubstr(who), HasSubstr(hint)));
    const double bytes = needed(refused.err);
    ASSERT_GT(bytes, 0) << refused.err;
    const Result still = run(arguments, std::to_string(std::llround(bytes * 0.98)));
    EXPECT_EQ(still.code, 1);
    EXPECT_EQ(needed(still.err), bytes) << still.err;
    const Result enough = run(arguments, std::to_string(std::llround(bytes * 1.01)));
    EXPECT_EQ(enough.code, 0) << enough.err;
  }

  TestFolder folder_;
};

TEST_F(Memory, GenerateNeedsItsCacheAndTheLargestPartOfThePrompt) {
  expect_exact({"generate", "--model", model_folder(), "--prompt", "def f(x):", "--max-tokens", "20", "--dtype", "bf16"}, "100kB",
               "[generate] needs", "--max-tokens");
}

TEST_F(Memory, FinetuneNeedsItsStepAndItsValidation) {
  const std::string adapter = folder_ / "adapter";
  expect_exact({"finetune", "--model", model_folder(), "--data", folder_ / "code.py", "--adapter-path", adapter, "--iters", "2",
                "--batch-size", "2", "--max-seq-length", "32", "--lora-rank", "2", "--val-batches", "1", "--dtype", "bf16"},
               "2MB", "[train] with all 8 layers computed again in the backward pass needs", "--batch-size");
}

TEST_F(Memory, AFinetuneComputesLayersAgainAndSaysSo) {
  const std::string adapter = folder_ / "adapter";
  const std::vector<std::string> arguments = {"finetune",
                                              "--model",
                                              model_folder(),
                                              "--data",
                                              folder_ / "code.py",
                                              "--adapter-path",
                                              adapter,
                                              "--iters",
                                              "2",
                                              "--lora-rank",
                                              "2",
                                              "--overwrite",
                                              "--json",
                                              "--dtype",
                                              "bf16",
                                              "--val-batches",
                                              "1",
                                              "--max-seq-length",
                                              "64"};
  const double bytes = needed(run(arguments, "2MB").err);
  const Result enough = run(arguments, std::to_string(std::llround(bytes * 1.01))), plenty = run(arguments, "8GB");
  ASSERT_EQ(enough.code, 0) << enough.err;
  EXPECT_THAT(enough.err, HasSubstr("layers are computed again in the backward pass"));
  EXPECT_THAT(plenty.err, testing::Not(HasSubstr("computed again")));
  const auto result = [](const Result& r) { return JsonDocument::parse(r.out, "stdout"); };
  const JsonDocument few = result(enough), all = result(plenty);
  EXPECT_GT(few.root().get("recomputed_layers").as_int(), 0);
  EXPECT_EQ(all.root().get("recomputed_layers").as_int(), 0);
  const double loss = all.root().get("train_loss_after").as_double();
  // Layers that are fused in another way round their bf16 results in other places.
  EXPECT_NEAR(few.root().get("train_loss_after").as_double(), loss, std::ldexp(loss, -9));
}

TEST_F(Memory, NothingIsWrittenBeforeAFinetuneThatNeedsTooMuch) {
  const std::string adapter = folder_ / "adapter";
  const Result r = run({"finetune", "--model", model_folder(), "--data", folder_ / "code.py", "--adapter-path", adapter, "--iters", "2",
                        "--batch-size", "512", "--max-seq-length", "256"},
                       "100MB");
  EXPECT_EQ(r.code, 1);
  EXPECT_THAT(r.err, testing::AllOf(HasSubstr("[train] with all"), HasSubstr("workspace"), HasSubstr("limit 100 MB")));
  EXPECT_FALSE(std::filesystem::exists(adapter));
}

TEST_F(Memory, EvalNeedsTheStatesOfItsWindows) {
  expect_exact({"eval", "--model", model_folder(), "--data", folder_ / "code.py", "--max-seq-length", "64", "--dtype", "bf16"}, "1MB",
               "[evaluate] needs", "--max-seq-length");
}

TEST_F(Memory, EmbedNeedsItsFirstBatchAndAllVectors) {
  expect_exact({"embed", "--model", folder_ / "encoder", "--input", folder_ / "texts.txt", "--output", folder_ / "v.npy"}, "200kB",
               "[embed] needs", "--batch-size");
}

TEST_F(Memory, WeightsThatAreConvertedAreCountedBeforeTheyAreLoaded) {
  const Result r = run({"eval", "--model", model_folder(), "--data", folder_ / "code.py", "--dtype", "f16"}, "5MB");
  EXPECT_EQ(r.code, 1);
  EXPECT_THAT(r.err, testing::AllOf(HasSubstr("to load the weights in f16 needs"), HasSubstr("limit 5.00 MB")));
}

TEST_F(Memory, TheTraceEndsWithWhatTheAllocatorTook) {
  const std::string trace = folder_ / "trace.json";
  const Result r = run({"eval", "--model", model_folder(), "--data", folder_ / "code.py", "--trace", trace}, "1GB");
  ASSERT_EQ(r.code, 0) << r.err;
  const std::string text = read_file(trace, size_t{1} << 28);
  for (const char* name : {"peak bytes", "live bytes", "cached bytes", "system allocations", "limit bytes"}) {
    EXPECT_THAT(text, HasSubstr("\"name\":\"allocator " + std::string(name) + "\""));
  }
  EXPECT_THAT(text, HasSubstr("\"name\":\"allocator limit bytes\",\"args\":{\"value\":1000000000}"));
}

}  // namespace
}  // namespace lazuli
