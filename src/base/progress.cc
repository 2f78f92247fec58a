#include "base/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "base/terminal.h"

namespace lazuli {
namespace {

constexpr int kBarWidth = 24;
constexpr std::chrono::milliseconds kInterval{100};

void put(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stderr);
  std::fflush(stderr);
}

}  // namespace

Progress::Progress(int64_t done, int64_t total, bool quiet)
    : first_(done), total_(std::max<int64_t>(total, 1)), quiet_(quiet), terminal_(is_terminal(STDERR_FILENO)), start_(Clock::now()) {}

double Progress::elapsed_seconds() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }

std::string Progress::time_left(int64_t done) const {
  if (done <= first_) return "?";
  return format_duration(elapsed_seconds() / static_cast<double>(done - first_) * static_cast<double>(std::max<int64_t>(total_ - done, 0)));
}

void Progress::update(int64_t done, std::string_view note) {
  if (quiet_ || !terminal_) return;
  const auto at = Clock::now();
  if (drawn_ && at - last_ < kInterval && done < total_) return;
  last_ = at;
  const auto filled = static_cast<size_t>(std::clamp<int64_t>(done * kBarWidth / total_, 0, kBarWidth));
  std::string text = fmt::format("{}{} {}/{}  {} left  {}", std::string(filled, '#'), std::string(kBarWidth - filled, '.'), done, total_,
                                 time_left(done), note);
  // A line that wraps could not be drawn over.
  const auto width = static_cast<size_t>(std::max(terminal_width(STDERR_FILENO) - 1, 10));
  if (text.size() > width) text.resize(width);
  put("\r\x1b[K" + text);
  drawn_ = true;
}

void Progress::line(std::string_view text) {
  if (quiet_) return;
  clear();
  put(std::string(text) + "\n");
}

void Progress::clear() {
  if (!drawn_) return;
  put("\r\x1b[K");
  drawn_ = false;
}

}  // namespace lazuli
