// Defines the tracer: spans of what the program does, written as Chrome/Perfetto JSON.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

namespace lazuli {

namespace trace {
extern std::atomic<bool> enabled;

/// Begins collecting; `stop` writes what was collected to the file given here. Throws IoError from `stop`.
void start(std::string path);
void stop();
/// Nanoseconds on the clock of the trace.
uint64_t now();
/// A finished span on the calling thread. `args` is the inside of a JSON object (`"shapes":"..."`) or empty.
void span(std::string_view category, std::string_view name, uint64_t begin, std::string args = {});
/// A counter's value at this moment.
void counter(std::string_view name, double value);

/// Measures its own lifetime when tracing is on.
class Scope {
 public:
  Scope(std::string_view category, std::string_view name) : category_(category), name_(name), begin_(on() ? now() : 0) {}
  ~Scope() {
    if (begin_ != 0) span(category_, name_, begin_);
  }
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;

 private:
  static bool on() { return enabled.load(std::memory_order_relaxed); }
  std::string_view category_, name_;
  uint64_t begin_;
};

/// An op was recorded. `op`: static storage.
void record_event(std::string_view op);
}  // namespace trace

}  // namespace lazuli
