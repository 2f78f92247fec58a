// Declares what this machine is: its processor and its memory.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace lazuli {

struct SystemInfo {
  std::string processor;              ///< as the system names it
  std::vector<std::string> features;  ///< of the processor, those that kernels may use
  int logical_processors = 0;         ///< that this process may run on
  uint64_t memory_total = 0;          ///< bytes
  uint64_t memory_available = 0;      ///< bytes that can be had without swapping; within the control group's limit
  uint64_t memory_limit = 0;          ///< of the control group; 0: none
  std::string kernel;                 ///< `Linux 6.1.0`
};

/// What cannot be found out stays empty or 0.
SystemInfo system_info();
/// SystemInfo::memory_available alone, without the rest's reading of files.
uint64_t memory_available();

}  // namespace lazuli
