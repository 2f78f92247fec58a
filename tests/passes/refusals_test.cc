// Checks that every reason for which a fusion is refused is met by a graph, which then computes what it did. A refusal that nobody tries is
// one condition away from a wrong result.
#include <filesystem>
#include <map>
#include <regex>

#include "base/file.h"
#include "lazuli/error.h"
#include "support/refusal_cases.h"
#include "support/source_folder.h"

namespace lazuli {
namespace {

std::vector<test::Refused> all_cases() {
  std::vector<test::Refused> all;
  for (const auto* part : {&test::refused_rows(), &test::refused_products(), &test::refused_attention(), &test::refused_neighbours()}) {
    all.insert(all.end(), part->begin(), part->end());
  }
  return all;
}

TEST(Refusals, LeaveTheResultAsItWas) {
  for (const test::Refused& c : all_cases()) {
    SCOPED_TRACE(std::string(c.pattern) + ": " + c.reason + ": " + c.what);
    try {
      TestGraph t;
      const ComputationGraph g = t.done(c.outputs(t));
      OptimizerReport report;
      const ComputationGraph after = optimized(g, &report);
      EXPECT_TRUE(refused(report, c.pattern, c.reason)) << after.to_text();
      expect_equivalent(g, after);
    } catch (const Error& e) {
      ADD_FAILURE() << e.what();
    }
  }
}

/// Reasons that no graph gives: shape rules already refuse the graph, or two checks before them would have to let it through. And those of
/// the optimiser's step, which joins_test.cc gives.
const std::map<std::string, int> kWithoutCase = {
    {"the operands do not fit the fused op", 1},
    {"the operands are not floats", 2},  // softmax and cross_entropy take floats only
    {"a step depends on another", 1},
    {"no factor waits for all gradients, and each can be dropped after its own step", 1},
};

TEST(Refusals, EachReasonInTheSourcesIsTried) {
  std::map<std::string, int> in_sources, tried = kWithoutCase;
  const std::regex text("refuse\\((?:\"[^\"]*\", )?[^;\"]*\"([^\"]*)\"");
  for (const auto& entry : std::filesystem::recursive_directory_iterator(source_folder() + "/src/passes")) {
    if (entry.path().extension() != ".cc") continue;
    const std::string source = read_file(entry.path(), size_t{1} << 20);
    for (auto at = std::sregex_iterator(source.begin(), source.end(), text); at != std::sregex_iterator(); ++at) ++in_sources[(*at)[1]];
  }
  for (const test::Refused& c : all_cases()) ++tried[c.reason];
  EXPECT_GT(in_sources.size(), 40U);
  for (const auto& [reason, count] : in_sources) EXPECT_GE(tried[reason], count) << "no case for: " << reason;
}

}  // namespace
}  // namespace lazuli
