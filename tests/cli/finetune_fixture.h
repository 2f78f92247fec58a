// Defines FinetuneFixture: a small model, a text, and runs of `finetune` on them.
#pragma once

#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "cli/program.h"
#include "support/tiny_folder.h"

namespace lazuli {

class FinetuneFixture : public testing::Test {
 protected:
  using Words = std::vector<std::string>;
  static constexpr size_t kLimit = size_t{1} << 24;

  /// `settings`: flags of every run.
  explicit FinetuneFixture(Words settings = {}) : settings_(std::move(settings)) {
    test::write_tiny_llama(folder_ / "llama");
    write_text("text.txt", "dd");
  }
  void write_text(const std::string& name, const std::string& end) const {
    std::ofstream text(folder_ / name);
    for (int k = 0; k < 100; ++k) text << "abcdabab" << (k % 3 == 0 ? "cc" : end);
  }
  Words words(const Words& more) const {
    Words all = {"finetune", "--model", folder_ / "llama", "--data", folder_ / "text.txt", "--adapter-path", adapter(), "--threads", "1"};
    all.insert(all.end(), settings_.begin(), settings_.end());
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  struct Result {
    int code;
    std::string err;
  };
  Result run(const Words& more) const {
    const Program program(folder_, words(more));
    const int code = program.wait();
    return {code, program.err()};
  }
  std::string adapter() const { return folder_ / "adapter"; }
  TestFolder folder_;

 private:
  Words settings_;
};

}  // namespace lazuli
