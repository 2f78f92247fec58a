// Implements notices.
#include "lazuli/notice.h"

#include <fmt/format.h>

#include <cstdio>
#include <mutex>
#include <set>
#include <utility>

namespace lazuli {

namespace {

/// So many different texts are remembered: a process that serves for long does not grow.
constexpr size_t kRemembered = 1024;

void write_line(std::string_view text) {
  const std::string line = fmt::format("lazuli: note: {}\n", text);
  std::fwrite(line.data(), 1, line.size(), stderr);
}

struct Notices {
  std::mutex mutex;
  NoticeHandler handler = write_line;
  std::set<std::string> told;
};

Notices& notices() {
  static Notices all;
  return all;
}

}  // namespace

NoticeHandler set_notice_handler(NoticeHandler handler) {
  Notices& all = notices();
  const std::lock_guard<std::mutex> lock(all.mutex);
  all.told.clear();
  return std::exchange(all.handler, std::move(handler));
}

void notice(const std::string& text) {
  Notices& all = notices();
  NoticeHandler handler;
  {
    const std::lock_guard<std::mutex> lock(all.mutex);
    if (all.told.size() >= kRemembered) all.told.clear();
    if (!all.told.insert(text).second) return;
    handler = all.handler;
  }
  if (handler) handler(text);
}

}  // namespace lazuli
