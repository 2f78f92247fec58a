// Defines Replays, the recorded launches of one plan, found by the addresses that they were recorded with.
#pragma once

#include <cstdint>
#include <mutex>
#include <span>
#include <vector>

#include "backend/plan.h"

namespace lazuli::cuda {

/// A plan's memory comes from pools, so the same few sets of addresses come back, and a run with one of them is a single graph launch.
class Replays final : public PlanState {
 public:
  enum class Advice : uint8_t { launch, record, replay };

  Replays() = default;
  Replays(const Replays&) = delete;
  Replays& operator=(const Replays&) = delete;
  ~Replays() override;

  /// What a run with these addresses should do; `graph` is set for `replay`. A set is worth recording when it comes back.
  Advice advise(std::span<const uint64_t> addresses, void** graph);
  /// Keeps what was recorded for the addresses.
  void keep(std::span<const uint64_t> addresses, void* graph);

 private:
  struct Entry {
    std::vector<uint64_t> addresses;
    void* graph = nullptr;
    uint64_t last_use = 0;
  };
  static constexpr size_t kMost = 8;

  Entry* find(std::span<const uint64_t> addresses);

  std::mutex mutex_;
  std::vector<Entry> entries_;
  uint64_t clock_ = 0;
};

/// Of all CUDA devices.
const PlanRunner& plan_runner();

}  // namespace lazuli::cuda
