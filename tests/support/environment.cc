// Takes a user's own settings for Lazuli away before the first test: tests, and the programs that they start, are to behave the same
// everywhere.
#include <gtest/gtest.h>

#include <cstdlib>

namespace lazuli {
namespace {

class NoSettings : public testing::Environment {
  void SetUp() override {
    setenv("LAZULI_PROFILE", "", 1);
    unsetenv("LAZULI_PASSES");
    unsetenv("NO_COLOR");
  }
};

[[maybe_unused]] const testing::Environment* const kNoSettings = testing::AddGlobalTestEnvironment(new NoSettings);

}  // namespace
}  // namespace lazuli
