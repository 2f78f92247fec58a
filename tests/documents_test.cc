// The C++ in README and docs/ is taken from examples/, to the letter, where it is built and run; links lead somewhere.
#include <gtest/gtest.h>

#include <filesystem>
#include <regex>
#include <string>
#include <vector>

#include "base/file.h"

namespace lazuli {
namespace {

namespace fs = std::filesystem;

const fs::path kRoot = LAZULI_SOURCE_DIR;

std::string text_of(const fs::path& path) { return read_file(path.string(), 1 << 20); }

std::vector<fs::path> files(const fs::path& folder, const std::string& extension) {
  std::vector<fs::path> found;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() == extension) found.push_back(entry.path());
  }
  return found;
}

std::vector<fs::path> documents() {
  std::vector<fs::path> all = files(kRoot / "docs", ".md");
  for (const fs::path& path : files(kRoot, ".md")) all.push_back(path);
  return all;
}

TEST(Documents, ShowCodeThatIsBuiltAndRun) {
  std::string examples;
  for (const fs::path& path : files(kRoot / "examples", ".cc")) examples += text_of(path);
  size_t blocks = 0;
  for (const fs::path& path : documents()) {
    const std::string text = text_of(path), fence = "```cpp\n";
    for (size_t at = text.find(fence); at != std::string::npos; at = text.find(fence, at + 1)) {
      const size_t begin = at + fence.size();
      const std::string code = text.substr(begin, text.find("```", begin) - begin);
      EXPECT_NE(examples.find(code), std::string::npos) << path << ":\n" << code;
      ++blocks;
    }
  }
  EXPECT_GE(blocks, 2U);
}

TEST(Documents, LinksLeadToFiles) {
  const std::regex link(R"(\]\(([^)#: ]+)\))");
  for (const fs::path& path : documents()) {
    const std::string text = text_of(path);
    for (auto it = std::sregex_iterator(text.begin(), text.end(), link); it != std::sregex_iterator(); ++it) {
      EXPECT_TRUE(fs::exists(path.parent_path() / (*it)[1].str())) << path << ": " << (*it)[1];
    }
  }
}

}  // namespace
}  // namespace lazuli
