// Checks that the expressions of tokenizers take steps in proportion to a text of one long run, and match as they did without that.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "text/tokenizer/regex.h"
#include "text/tokenizer/run_guards.h"

namespace lazuli::tokenizer {
namespace {

// Of tokenizers in use, and of the kinds that fail after a look at a whole run.
const std::vector<std::string>& expressions() {
  static const std::vector<std::string> all = {
      R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
      R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
      R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
      R"('(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s)",
      R"(\s+$)",
      R"(\s+(?=x))",
      R"(\s*[\r\n]+x)",
      R"( +\n)",
      R"( {2,}x)",
      R"(\s+\S+x)",
      R"([A-Z]*[a-z]+)",
      R"(\d+(?=x))",
      R"(.+?\t)",
      R"((?:!+|a*)z)",
      R"((\s+|\d+)(?!\s|\d|$))",
      R"(\s++x)",
      R"([^a]*?z)",
  };
  return all;
}

std::vector<std::pair<size_t, size_t>> matches(const Regex& regex, const std::string& text, uint64_t* steps = nullptr) {
  MatchBudget budget(text.size());
  const uint64_t before = budget.left();
  std::vector<TextSpan> found;
  regex.matches(text, {0, text.size()}, found, budget);
  if (steps != nullptr) *steps = before - budget.left();
  std::vector<std::pair<size_t, size_t>> out;
  for (const TextSpan span : found) out.emplace_back(span.begin, span.end);
  return out;
}

TEST(TokenizerRegex, ALongRunTakesStepsInProportion) {
  constexpr size_t kBytes = size_t{1} << 14;
  for (const std::string& expression : expressions()) {
    const Regex regex(expression);
    for (const std::string part : {" ", "\n", "a", "A", "1", "!", "\t", " \n", "\xC3\xA9", "\xE3\x80\x80"}) {
      for (const char* end : {"", "x"}) {
        std::string text;
        while (text.size() < kBytes) text += part;
        uint64_t steps = 0;
        ASSERT_NO_THROW(matches(regex, text + end, &steps)) << expression << " on '" << part << "'";
        EXPECT_LT(steps, 200 * text.size()) << expression << " on '" << part << "'";
      }
    }
  }
}

// Backtracking takes a step for each character of the run.
TEST(TokenizerRegex, ARunOfAMegabyteIsNoRunaway) {
  const std::string spaces(size_t{3} << 20, ' ');
  EXPECT_EQ(matches(Regex(expressions()[1]), spaces).size(), 1U);
  EXPECT_TRUE(matches(Regex(R"(\s+(?=x))"), spaces).empty());
}

TEST(TokenizerRegex, GuardsOfRunsChangeNoMatch) {
  std::mt19937 random(7);
  const std::string alphabet = "  \n\taA1!xz";
  for (const std::string& expression : expressions()) {
    // An atomic group has no guards, and around the whole it changes nothing.
    const Regex guarded(expression), plain("(?>" + expression + ")");
    for (int round = 0; round < 1000; ++round) {
      std::string text;
      const size_t length = random() % 40;
      while (text.size() < length) text.append(1 + random() % 4, alphabet[random() % alphabet.size()]);
      EXPECT_EQ(matches(guarded, text), matches(plain, text)) << expression << " on '" << text << "'";
    }
  }
}

TEST(TokenizerRegex, OnlyWhatDependsOnThePlaceAloneIsGuarded) {
  EXPECT_EQ(with_run_guards(R"(\s+$)"), R"((?<!\s)\s+$)");
  EXPECT_EQ(with_run_guards(R"(a|[ \]]*b|(?:x{2,}|y)z)"), R"(a|(?<![ \]])[ \]]*b|(?:(?<!x)x{2,}|y)z)");
  for (const char* same : {R"(a?b+)", R"(x{2,5}y)", R"((\s+)\1)", R"((?:a+b)*c)", R"((?>a+)b)", R"(a\Kb+)", R"(\R+x)", R"((?=a+)b)",
                           R"(^+a)", R"((?x) a+ b)", R"((a+)", R"([a+)"}) {
    EXPECT_EQ(with_run_guards(same), same);
  }
}

}  // namespace
}  // namespace lazuli::tokenizer
