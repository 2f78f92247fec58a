// Defines Progress: how far a long job is, as a bar on a terminal and as plain lines elsewhere.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace lazuli {

/// Reports to stderr. On a terminal one line is drawn over and over, with the time left; elsewhere only `line` writes.
class Progress {
 public:
  /// `done` of `total` units are there already; the time left is judged by those that follow. `quiet`: writes nothing at all.
  Progress(int64_t done, int64_t total, bool quiet);
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress() { clear(); }

  /// Draws the bar, a few times a second at most, with `note` behind it.
  void update(int64_t done, std::string_view note);
  /// Writes a line that stays, above the bar.
  void line(std::string_view text);
  /// Takes the bar away.
  void clear();
  /// `1:05`, the time that the rest would take at the rate so far; `?` before anything is done.
  std::string time_left(int64_t done) const;
  double elapsed_seconds() const;

 private:
  using Clock = std::chrono::steady_clock;
  int64_t first_, total_;
  bool quiet_, terminal_;
  bool drawn_ = false;
  Clock::time_point start_, last_;
};

}  // namespace lazuli
