// The C++ in README and docs/ is taken from examples/, to the letter, where it is built and run; links and names of files lead somewhere.
#include <gtest/gtest.h>

#include <filesystem>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "base/file.h"
#include "support/source_folder.h"

namespace lazuli {
namespace {

namespace fs = std::filesystem;

const fs::path kRoot = source_folder();

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

/// The blocks of a document in one language.
std::vector<std::string> blocks_of(const fs::path& path, const std::string& language) {
  std::vector<std::string> blocks;
  const std::string text = text_of(path), fence = "```" + language + "\n";
  for (size_t at = text.find(fence); at != std::string::npos; at = text.find(fence, at + 1)) {
    const size_t begin = at + fence.size();
    blocks.push_back(text.substr(begin, text.find("```", begin) - begin));
  }
  return blocks;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

/// Whether the folder or file exists; a star stands for any end of a name.
bool is_there(const std::string& name) {
  const size_t star = name.find('*');
  if (star == std::string::npos) return fs::exists(kRoot / name);
  const fs::path prefix = kRoot / name.substr(0, star);
  if (!fs::is_directory(prefix.parent_path())) return false;
  const std::string begin = prefix.filename().string();
  for (const auto& entry : fs::directory_iterator(prefix.parent_path())) {
    if (entry.path().filename().string().starts_with(begin)) return true;
  }
  return false;
}

TEST(Documents, ShowCodeThatIsBuiltAndRun) {
  std::string examples;
  for (const fs::path& path : files(kRoot / "examples", ".cc")) examples += text_of(path);
  size_t blocks = 0;
  for (const fs::path& path : documents()) {
    for (const std::string& code : blocks_of(path, "cpp")) {
      EXPECT_NE(examples.find(code), std::string::npos) << path << ":\n" << code;
      ++blocks;
    }
  }
  EXPECT_GE(blocks, 6U);
}

TEST(Documents, ShowCMakeThatTheCheckOfPackagesBuilds) {
  const std::string script = text_of(kRoot / "scripts/package.sh");
  for (const fs::path& path : documents()) {
    for (const std::string& block : blocks_of(path, "cmake")) {
      for (const std::string& line : lines_of(block)) EXPECT_NE(script.find(line + "\n"), std::string::npos) << path << ": " << line;
    }
  }
}

// Commands of the program itself are run, in manual_test.cc; of the others the scripts and files must be there.
TEST(Documents, CallScriptsThatExist) {
  const std::set<std::string> known = {"lazuli", "export", "cmake", "python3", "ln", "printf", "echo", "cat", "END", "#"};
  const std::regex file(R"((?:^|[ /])((?:scripts|bench|models|examples)/[\w./-]+))");
  for (const fs::path& path : documents()) {
    for (const std::string& block : blocks_of(path, "sh")) {
      for (const std::string& line : lines_of(block)) {
        const std::string program = line.substr(0, line.find(' '));
        const bool built = program.starts_with("build/") || program.starts_with("venv/");
        EXPECT_TRUE(line.empty() || line.front() == '{' || built || known.contains(program) || is_there(program)) << path << ": " << line;
        for (auto it = std::sregex_iterator(line.begin(), line.end(), file); it != std::sregex_iterator(); ++it) {
          EXPECT_TRUE(is_there((*it)[1])) << path << ": " << line;
        }
      }
    }
  }
}

TEST(Documents, NameFilesThatExist) {
  const std::regex name(R"(`((?:src|include|tests|docs|scripts|bench|examples|cmake|models)/[\w./*-]*)`)");
  for (const fs::path& path : documents()) {
    const std::string text = text_of(path);
    for (auto it = std::sregex_iterator(text.begin(), text.end(), name); it != std::sregex_iterator(); ++it) {
      EXPECT_TRUE(is_there((*it)[1])) << path << ": " << (*it)[1];
    }
  }
}

TEST(Documents, ListEveryEnvironmentVariable) {
  const std::string listed = text_of(kRoot / "docs" / "environment.md");
  const std::regex read(R"re(\b(?:getenv|set_in)\("([A-Z_0-9]+)")re");
  std::set<std::string> names;
  for (const auto& entry : fs::recursive_directory_iterator(kRoot / "src")) {
    if (entry.path().extension() != ".cc") continue;
    const std::string text = text_of(entry.path());
    for (std::sregex_iterator it(text.begin(), text.end(), read), end; it != end; ++it) names.insert((*it)[1]);
  }
  EXPECT_GT(names.size(), 8U);
  for (const std::string& name : names) EXPECT_NE(listed.find("`" + name + "`"), std::string::npos) << name;
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
