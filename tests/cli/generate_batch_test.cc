// Checks `generate --batch`: lines in, lines out, and what is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <vector>

#include "base/json.h"
#include "cli/program.h"
#include "support/tiny_folder.h"

namespace lazuli {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;

class GenerateBatch : public testing::Test {
 protected:
  struct Result {
    int code;
    std::string out, err;
  };
  Result run(const std::string& lines, std::vector<std::string> arguments = {}) const {
    std::ofstream(folder_ / "prompts.jsonl") << lines;
    arguments.insert(arguments.begin(),
                     {"generate", "--batch", folder_ / "prompts.jsonl", "--model", model_folder(), "--threads", "1", "--max-tokens", "6"});
    const Program program(folder_, arguments);
    const int code = program.wait();
    return {code, program.out(), program.err()};
  }
  std::vector<std::string> texts(const std::string& out) const {
    std::vector<std::string> found;
    for (size_t first = 0; first < out.size();) {
      const size_t end = out.find('\n', first);
      const JsonDocument line = JsonDocument::parse(out.substr(first, end - first), "a line");
      EXPECT_EQ(line.root().get("index").as_int(), static_cast<int64_t>(found.size()));
      found.emplace_back(line.root().get("text").as_string());
      first = end + 1;
    }
    return found;
  }
  std::string alone(const std::string& prompt, std::vector<std::string> arguments = {}) const {
    arguments.insert(arguments.begin(), {"generate", "--prompt", prompt, "--model", model_folder(), "--threads", "1", "--max-tokens", "6"});
    const Program program(folder_, arguments);
    EXPECT_EQ(program.wait(), 0);
    const std::string out = program.out();
    return out.substr(0, out.size() - 1);  // without the line's end
  }
  TestFolder folder_;
};

constexpr const char* kLines = R"({"prompt": "def fibonacci(n):\n"}

{"prompt": "import os", "max_tokens": 3}
{"prompt": "class A:", "temp": 0.9, "seed": 5, "top_k": 40}
{"prompt": "for i in", "stop": ["("]}
)";

TEST_F(GenerateBatch, EachLineGivesTheTextThatItWouldGiveAlone) {
  for (const char* slots : {"1", "3", "8"}) {
    const Result r = run(kLines, {"--slots", slots});
    ASSERT_EQ(r.code, 0) << r.err;
    EXPECT_THAT(r.err, AllOf(HasSubstr("4 texts: "), HasSubstr("Planned memory: ")));
    const std::vector<std::string> found = texts(r.out);
    ASSERT_EQ(found.size(), 4U);
    EXPECT_EQ(found[0], alone("def fibonacci(n):\n"));
    EXPECT_EQ(found[1], alone("import os", {"--max-tokens", "3"}));
    EXPECT_EQ(found[2], alone("class A:", {"--temp", "0.9", "--seed", "5", "--top-k", "40"}));
    EXPECT_EQ(found[3], alone("for i in", {"--stop", "("}));
  }
}

TEST_F(GenerateBatch, JsonIsOneObject) {
  const Result r = run(kLines, {"--json"});
  ASSERT_EQ(r.code, 0) << r.err;
  const JsonDocument document = JsonDocument::parse(r.out, "stdout");
  EXPECT_EQ(document.root().get("results").as_array().size(), 4U);
  EXPECT_GT(document.root().get("planned_memory_bytes").as_int(), 0);
  EXPECT_GT(document.root().get("tokens_per_second").as_double(), 0);
  EXPECT_THAT(r.err, IsEmpty());
}

TEST_F(GenerateBatch, BadLinesAreNamedBeforeAnyTextIsMade) {
  const auto error = [&](const std::string& lines) {
    const Result r = run(lines);
    EXPECT_EQ(r.code, 1) << lines;
    EXPECT_THAT(r.out, IsEmpty());
    return r.err;
  };
  const std::string good = "{\"prompt\": \"a\"}\n";
  EXPECT_THAT(error(good + "{\"prompt\": 3}"), AllOf(HasSubstr("prompts.jsonl, line 2"), HasSubstr("$.prompt")));
  EXPECT_THAT(error(good + "{\"text\": \"a\"}"), AllOf(HasSubstr("line 2"), HasSubstr("prompt")));
  EXPECT_THAT(error("\n\n{\"prompt\": \"a\", \"tempo\": 1}"), AllOf(HasSubstr("line 3"), HasSubstr("$.tempo"), HasSubstr("temp, top_p")));
  EXPECT_THAT(error("{\"prompt\": \"a\", \"temp\": -1}"), AllOf(HasSubstr("$.temp"), HasSubstr("at least 0")));
  EXPECT_THAT(error("{\"prompt\": \"a\", \"top_p\": 0}"), HasSubstr("$.top_p"));
  EXPECT_THAT(error("{\"prompt\": \"a\", \"max_tokens\": 0}"), HasSubstr("$.max_tokens"));
  EXPECT_THAT(error("{\"prompt\": \"a\", \"stop\": [\"\"]}"), HasSubstr("$.stop[0]"));
  EXPECT_THAT(error(good + "{\"prompt\": \"a\", \"adapter_path\": \"nowhere\"}"), AllOf(HasSubstr("line 2"), HasSubstr("nowhere")));
  EXPECT_THAT(error("{\"prompt\": \"a\", \"adapter_path\": \"\"}"), HasSubstr("$.adapter_path: a folder, or null"));
  EXPECT_THAT(error("{\"prompt\": \"a\", \"adapter_path\": \"/tmp\\u0000x\"}"), HasSubstr("$.adapter_path: a folder, or null"));
  EXPECT_THAT(error("{\"prompt\\u0000zzz\": 1, \"prompt\": \"a\"}"),
              AllOf(HasSubstr("$.prompt\\u0000zzz"), HasSubstr("expected as the key")));
  EXPECT_THAT(error("{\"prompt\": \"a\", \"seed\": -1}"), HasSubstr("$.seed: an integer of at least 0"));
  EXPECT_THAT(error(good + "\n{\"prompt\": \"\"}"), HasSubstr("prompts.jsonl, line 3: at least one token is expected"));
  EXPECT_THAT(error("{\"prompt\": \"a\""), HasSubstr("line 1"));
  EXPECT_THAT(error("[1]"), HasSubstr("line 1"));
  EXPECT_THAT(error(" \n"), HasSubstr("at least one line with a prompt is expected"));
}

TEST_F(GenerateBatch, WrongOptionsAreErrorsOfUsage) {
  EXPECT_EQ(run(kLines, {"--prompt", "a"}).code, 2);
  EXPECT_EQ(run(kLines, {"--slots", "0"}).code, 2);
  const Program none(folder_, {"generate", "--model", model_folder()});
  EXPECT_EQ(none.wait(), 2);
  EXPECT_THAT(none.err(), HasSubstr("one of --prompt and --batch is expected"));
  const Program slots(folder_, {"generate", "--model", model_folder(), "--prompt", "a", "--slots", "2"});
  EXPECT_EQ(slots.wait(), 2);
}

}  // namespace
}  // namespace lazuli
