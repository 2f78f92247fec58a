// Defines Notices, which collects what is told while it lives.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "lazuli/notice.h"

namespace lazuli::test {

class Notices {
 public:
  Notices() : before_(set_notice_handler([this](std::string_view text) { told_.emplace_back(text); })) {}
  Notices(const Notices&) = delete;
  Notices& operator=(const Notices&) = delete;
  ~Notices() { set_notice_handler(std::move(before_)); }
  const std::vector<std::string>& told() const { return told_; }

 private:
  std::vector<std::string> told_;
  NoticeHandler before_;
};

}  // namespace lazuli::test
