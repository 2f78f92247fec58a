#include "exec/team.h"

#include <sched.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <system_error>
#include <thread>

#include "base/spin.h"
#include "lazuli/error.h"

namespace lazuli {

namespace {

int available_processors() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) == 0) {
    const int n = CPU_COUNT(&set);
    if (n > 0) return n;
  }
  return 1;
}

std::atomic<int>& configured() {
  static std::atomic<int> n{available_processors()};
  return n;
}

/// How long one looks for a change before one sleeps: longer than the steps of a run that one thread does alone and than what a loop does
/// between two runs.
constexpr auto kTeamSpin = std::chrono::microseconds(500);

}  // namespace

int thread_count() { return configured().load(std::memory_order_relaxed); }

void set_thread_count(int n) {
  if (n < 1 || n > 1024) throw ValueError("threads: " + std::to_string(n) + " is not between 1 and 1024");
  configured().store(n, std::memory_order_relaxed);
}

void Team::start(int helpers) {
  const uint32_t seen = region_.load(std::memory_order_relaxed);
  try {
    for (; helpers_ < std::min(helpers, most_helpers_); ++helpers_) std::thread([this, k = helpers_ + 1, seen] { work(k, seen); }).detach();
  } catch (const std::system_error&) {
    most_helpers_ = helpers_;  // the system has no more: those that there are do all the work
  }
}

uint32_t Team::announce(int threads) {
  const uint32_t number = (region_.load(std::memory_order_relaxed) >> kThreadBits) + 1;
  return (number << kThreadBits) | static_cast<uint32_t>(threads - 1);
}

void Team::attend(int threads) {
  if (threads <= 1) return;
  start(threads - 1);
  // A region of nobody: the door stays shut.
  region_.store(announce(1), std::memory_order_seq_cst);
  region_.notify_all();
}

void Team::run(int threads, Body body, void* context) {
  if (threads <= 1) {
    body(context, 0);
    return;
  }
  start(threads - 1);
  const uint32_t region = announce(threads);
  body_ = body;
  context_ = context;
  door_.store((static_cast<uint64_t>(region) << 32) | kOpen, std::memory_order_release);
  region_.store(region, std::memory_order_seq_cst);
  region_.notify_all();
  body(context, 0);
  uint64_t door = door_.fetch_and(~kOpen, std::memory_order_acq_rel);
  while ((door & kInside) != 0) {
    const bool done = spin_until(
        [&] {
          door = door_.load(std::memory_order_acquire);
          return (door & kInside) == 0;
        },
        kTeamSpin);
    if (done) break;
    door_.wait(door, std::memory_order_acquire);
    door = door_.load(std::memory_order_acquire);
  }
}

uint32_t Team::await_other_than(uint32_t seen) {
  uint32_t region = seen;
  const bool changed = spin_until(
      [&] {
        region = region_.load(std::memory_order_acquire);
        return region != seen;
      },
      kTeamSpin);
  if (changed) return region;
  region_.wait(seen, std::memory_order_seq_cst);
  return region_.load(std::memory_order_acquire);
}

void Team::work(int thread, uint32_t seen) {
  for (;;) {
    seen = await_other_than(seen);
    if (static_cast<uint32_t>(thread) > (seen & ((1u << kThreadBits) - 1))) continue;
    uint64_t door = door_.load(std::memory_order_acquire);
    bool inside = false;
    while (!inside && (door >> 32) == seen && (door & kOpen) != 0) {
      inside = door_.compare_exchange_weak(door, door + 1, std::memory_order_acq_rel, std::memory_order_acquire);
    }
    if (!inside) continue;
    body_(context_, thread);
    // The last one out of a closed region tells the one who waits for it.
    if ((door_.fetch_sub(1, std::memory_order_acq_rel) & (kOpen | kInside)) == 1) door_.notify_all();
  }
}

}  // namespace lazuli
