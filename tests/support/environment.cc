// Takes a user's own settings for Lazuli away: tests, and the programs that they start, are to behave the same everywhere.
#include <cstdlib>

namespace lazuli {
namespace {

// Before main: the parameters of tests are made from the settings, and before the first test is set up.
[[maybe_unused]] const bool kNoSettings = [] {
  setenv("LAZULI_PROFILE", "", 1);
  unsetenv("LAZULI_PASSES");
  unsetenv("NO_COLOR");
  return true;
}();

}  // namespace
}  // namespace lazuli
