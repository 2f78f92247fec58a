#include "base/memory_usage.h"

#include <sys/resource.h>

#include <charconv>
#include <fstream>
#include <string>

namespace lazuli {

uint64_t peak_memory_bytes() {
  // getrusage also counts what the parent process held before it started this program, so the kernel's own record comes first.
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("VmHWM:", 0) != 0) continue;
    const size_t digit = line.find_first_of("0123456789");
    uint64_t kib = 0;
    if (digit != std::string::npos && std::from_chars(line.data() + digit, line.data() + line.size(), kib).ec == std::errc())
      return kib * 1024;
  }
  rusage usage{};
  if (getrusage(RUSAGE_SELF, &usage) != 0) return 0;
  return static_cast<uint64_t>(usage.ru_maxrss) * 1024;
}

}  // namespace lazuli
