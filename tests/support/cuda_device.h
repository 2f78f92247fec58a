// Defines how tests that need a CUDA device are skipped, with the reason, where there is none.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "backend/cuda/runtime.h"
#include "lazuli/lazy_tensor.h"

namespace lazuli::test {

/// cuda:0 as the thread's default device for a scope.
class OnCuda {
 public:
  OnCuda() { set_default_device({DeviceKind::cuda, 0}); }
  ~OnCuda() { set_default_device({}); }
  OnCuda(const OnCuda&) = delete;
  OnCuda& operator=(const OnCuda&) = delete;
};

}  // namespace lazuli::test

#define LAZULI_NEEDS_CUDA() \
  if (std::string problem; ::lazuli::cuda::device_count(&problem) == 0) GTEST_SKIP() << "no CUDA device: " << problem
