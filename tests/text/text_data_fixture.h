// Defines TextData, a folder of texts and what reading it gives.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "lazuli/error.h"
#include "support/temp_folder.h"
#include "text/text_data.h"

namespace lazuli {

class TextData : public testing::Test {
 protected:
  void write(const std::string& name, const std::string& bytes) const { temporary_.write(name, bytes); }
  std::string path(const std::string& name = {}) const { return (folder_ / name).string(); }
  std::string format_error(const std::string& name = {}) const {
    try {
      read_documents(path(name));
    } catch (const FormatError& e) {
      return e.what();
    }
    return "no error";
  }
  static std::vector<std::string> names(const std::vector<Document>& documents) {
    std::vector<std::string> out;
    for (const Document& d : documents) out.push_back(d.name);
    return out;
  }

  std::vector<std::string> read(const std::string& name = {}) {
    report_ = {};
    std::vector<std::string> texts;
    for (const Document& d : read_documents(path(name), report_)) texts.push_back(d.text);
    return texts;
  }
  TextSplit split(const std::string& name = {}, uint64_t seed = 0) {
    report_ = {};
    return read_split(path(name), seed, report_);
  }
  std::string left_out() const { return report_.left_out_text(); }

  const test::TempFolder temporary_;
  const std::filesystem::path folder_ = temporary_.path();
  DataReport report_;
};

}  // namespace lazuli
