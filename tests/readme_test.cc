// The README's C++ example is the file in examples/, to the letter.
#include <gtest/gtest.h>

#include "base/file.h"

namespace lazuli {
namespace {

TEST(Readme, ShowsTheExampleThatIsBuiltAndRun) {
  const std::string readme = read_file(std::string(LAZULI_SOURCE_DIR) + "/README.md", 1 << 20);
  std::string example = read_file(std::string(LAZULI_SOURCE_DIR) + "/examples/lazy_basics.cc", 1 << 20);
  example.erase(0, example.find('\n') + 1);  // the line that says what the file is
  EXPECT_NE(readme.find("```cpp\n" + example + "```"), std::string::npos);
}

}  // namespace
}  // namespace lazuli
