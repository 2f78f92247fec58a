// Checks that a folder of src/, and one of the CPU backend, includes only folders that come before it.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <regex>
#include <string>
#include <vector>

#include "support/source_folder.h"

namespace {

namespace fs = std::filesystem;

// Folders in the order in which they may be included; those within one pair of braces may not include each other.
using Order = std::vector<std::vector<std::string>>;
const Order kOrder = {
    {"base"},    {"tensor"}, {"io"},   {"text"}, {"graph"}, {"autograd"}, {"passes"},
    {"backend"}, {"plan"},   {"exec"}, {"nn"},   {"quant"}, {"models"},   {"train", "generate", "embed"},
    {"explain"}, {"cli"},
};
// Of each public header, the first folder that may include it.
const std::map<std::string, std::string> kHomes = {
    {"error.h", "base"},
    {"notice.h", "base"},
    {"determinism.h", "base"},
    {"dtype.h", "tensor"},
    {"shape.h", "tensor"},
    {"tensor.h", "tensor"},
    {"memory.h", "tensor"},
    {"safetensors.h", "io"},
    {"quant_format.h", "tensor"},
    {"quantized_weight.h", "tensor"},
    {"weight_source.h", "io"},
    {"tokenizer.h", "text"},
    {"operation.h", "graph"},
    {"ops.def", "graph"},
    {"op.h", "graph"},
    {"ops.h", "graph"},
    {"graph.h", "graph"},
    {"lazy_tensor.h", "graph"},
    {"transforms.h", "autograd"},
    {"function.h", "graph"},
    {"optimizer.h", "passes"},
    {"weights.h", "backend"},
    {"optimize.h", "plan"},
    {"plan_cache.h", "plan"},
    {"future.h", "exec"},
    {"async_executor.h", "exec"},
    {"eager.h", "exec"},
    {"nn.h", "nn"},
    {"quantize.h", "quant"},
    {"adapter.h", "nn"},
    {"model.h", "models"},
    {"text_model.h", "models"},
    {"encoder.h", "models"},
    {"train.h", "train"},
    {"generate.h", "generate"},
    {"evaluate.h", "generate"},
    {"embed.h", "embed"},
    {"rerank.h", "embed"},
};
const Order kCpuOrder = {{"common"}, {"tiles"}, {"elementwise"}, {"move", "rows"}, {"gemm"}, {"products", "attention", "quantized"}};

std::optional<std::size_t> level_of(const Order& order, const std::string& folder) {
  const auto level = std::find_if(order.begin(), order.end(),
                                  [&](const auto& names) { return std::find(names.begin(), names.end(), folder) != names.end(); });
  if (level == order.end()) return std::nullopt;
  return static_cast<std::size_t>(level - order.begin());
}

bool may_include(const Order& order, const std::string& from, const std::string& to) {
  return from == to || level_of(order, to).value() < level_of(order, from).value();
}

// The quoted includes of a file.
std::vector<fs::path> includes_of(const fs::path& file) {
  static const std::regex include_line(R"re(^\s*#\s*include\s*"([^"]+)".*)re");
  std::vector<fs::path> includes;
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    std::smatch match;
    if (std::regex_match(line, match, include_line)) includes.emplace_back(match[1].str());
  }
  return includes;
}

// The folders of src/ that the quoted includes of a file name; public headers belong to no folder.
std::vector<std::string> included_folders(const fs::path& file) {
  std::vector<std::string> folders;
  for (const fs::path& included : includes_of(file)) {
    const std::string folder = included.begin()->string();
    if (included.has_parent_path() && folder != "lazuli") folders.push_back(folder);
  }
  return folders;
}

std::vector<fs::path> sources_under(const fs::path& root) {
  std::vector<fs::path> files;
  if (!fs::exists(root)) return files;
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    const auto extension = entry.path().extension();
    if (extension == ".cc" || extension == ".h") files.push_back(entry.path());
  }
  return files;
}

TEST(Layering, FoldersIncludeOnlyThoseBeforeThem) {
  const fs::path src = fs::path(lazuli::source_folder()) / "src";
  for (const auto& file : sources_under(src)) {
    const std::string folder = fs::relative(file, src).begin()->string();
    const std::string name = fs::relative(file, lazuli::source_folder()).string();
    ASSERT_TRUE(level_of(kOrder, folder)) << name << ": the folder has no place in the order of tests/layering_test.cc";
    for (const auto& included : included_folders(file)) {
      if (!fs::is_directory(src / included)) continue;
      ASSERT_TRUE(level_of(kOrder, included)) << name << " includes " << included << "/, which has no place in the order";
      EXPECT_TRUE(may_include(kOrder, folder, included)) << name << " includes " << included << "/, which comes after " << folder << "/";
    }
  }
}

// What lies in no folder of the CPU backend, its registration, puts them together.
TEST(Layering, FoldersOfTheCpuBackendIncludeOnlyThoseBeforeThem) {
  const fs::path cpu = fs::path(lazuli::source_folder()) / "src/backend/cpu";
  std::size_t walls = 0;
  for (const auto& file : sources_under(cpu)) {
    const fs::path inside = fs::relative(file, cpu);
    if (!inside.has_parent_path()) continue;
    const std::string folder = inside.begin()->string();
    ASSERT_TRUE(level_of(kCpuOrder, folder)) << inside << ": the folder has no place in the order of tests/layering_test.cc";
    for (const fs::path& included : includes_of(file)) {
      const fs::path other = included.lexically_relative("backend/cpu");
      if (other.empty() || *other.begin() == "..") continue;
      const std::string to = other.begin()->string();
      ASSERT_TRUE(level_of(kCpuOrder, to)) << inside << " includes " << other << ", whose folder has no place in the order";
      EXPECT_TRUE(may_include(kCpuOrder, folder, to)) << inside << " includes " << to << "/, which comes after " << folder << "/";
      walls += folder != to ? 1 : 0;
    }
  }
  EXPECT_GT(walls, 50);
}

// Everything else knows a backend by its contract.
TEST(Layering, NobodyIncludesTheInsideOfABackend) {
  static const std::regex inside(R"re(^\s*#\s*include\s*"backend/(cpu|cuda|reference)/.*)re");
  const fs::path src = fs::path(lazuli::source_folder()) / "src";
  for (const auto& file : sources_under(src)) {
    const std::string name = fs::relative(file, src).string();
    if (name == "backend/registry.cc") continue;
    std::ifstream in(file);
    std::smatch match;
    for (std::string line; std::getline(in, line);) {
      if (std::regex_match(line, match, inside)) {
        EXPECT_TRUE(name.starts_with("backend/" + match[1].str() + "/")) << name << ": " << line;
      }
    }
  }
}

TEST(Layering, PublicHeadersIncludeOnlyPublicHeaders) {
  for (const auto& file : sources_under(fs::path(lazuli::source_folder()) / "include")) {
    EXPECT_TRUE(included_folders(file).empty()) << file.filename().string() << " includes an internal header";
  }
}

TEST(Layering, PublicHeadersHaveAPlaceInTheOrder) {
  const fs::path root = lazuli::source_folder();
  const auto check = [&](const fs::path& file, const std::string& folder) {
    for (const fs::path& included : includes_of(file)) {
      if (*included.begin() != "lazuli") continue;
      const auto home = kHomes.find(included.filename().string());
      ASSERT_TRUE(home != kHomes.end()) << included << " has no place in the order of tests/layering_test.cc";
      EXPECT_LE(level_of(kOrder, home->second), level_of(kOrder, folder)) << file << ", of " << folder << "/, includes " << included;
    }
  };
  for (const auto& file : sources_under(root / "src")) check(file, fs::relative(file, root / "src").begin()->string());
  for (const auto& file : sources_under(root / "include")) {
    const auto home = kHomes.find(file.filename().string());
    ASSERT_TRUE(home != kHomes.end()) << file << " has no place in the order of tests/layering_test.cc";
    check(file, home->second);
  }
}

TEST(Layering, OrderIsStrict) {
  EXPECT_TRUE(may_include(kOrder, "exec", "graph"));
  EXPECT_TRUE(may_include(kOrder, "graph", "graph"));
  EXPECT_FALSE(may_include(kOrder, "graph", "exec"));
  EXPECT_FALSE(may_include(kOrder, "train", "generate"));
  EXPECT_TRUE(may_include(kCpuOrder, "attention", "gemm"));
  EXPECT_FALSE(may_include(kCpuOrder, "move", "rows"));
}

}  // namespace
