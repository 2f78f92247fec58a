// Reads /proc and the control group's files.
#include "base/system_info.h"

#include <sched.h>
#include <sys/utsname.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <sstream>
#include <string_view>

namespace lazuli {

namespace {

/// The text after `key` and a colon.
std::string proc_field(const char* path, const std::string& key) {
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);) {
    if (!line.starts_with(key)) continue;
    const size_t colon = line.find(':');
    if (colon == std::string::npos) continue;
    const size_t begin = line.find_first_not_of(" \t", colon + 1);
    return begin == std::string::npos ? "" : line.substr(begin);
  }
  return {};
}

uint64_t kilobytes(const std::string& text) {
  uint64_t value = 0;
  std::istringstream(text) >> value;
  return value * 1024;
}

uint64_t number_in(const char* path) {
  std::ifstream in(path);
  uint64_t value = 0;
  return in >> value ? value : 0;
}

int allowed_processors() {
  cpu_set_t set;
  CPU_ZERO(&set);
  return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 0;
}

constexpr std::string_view kFeatures[] = {"sse4_1",      "sse4_2",      "avx",      "f16c",     "fma",
                                          "avx2",        "avx_vnni",    "avx512f",  "avx512bw", "avx512_vnni",
                                          "avx512_bf16", "avx512_fp16", "amx_tile", "amx_int8", "amx_bf16"};

std::vector<std::string> known_features() {
  std::vector<std::string> found;
  std::istringstream flags(proc_field("/proc/cpuinfo", "flags"));
  for (std::string flag; flags >> flag;) {
    if (std::find(std::begin(kFeatures), std::end(kFeatures), flag) != std::end(kFeatures)) found.push_back(flag);
  }
  return found;
}

void read_memory(SystemInfo& info) {
  info.memory_total = kilobytes(proc_field("/proc/meminfo", "MemTotal"));
  info.memory_available = kilobytes(proc_field("/proc/meminfo", "MemAvailable"));
  const uint64_t limit = std::max(number_in("/sys/fs/cgroup/memory.max"), number_in("/sys/fs/cgroup/memory/memory.limit_in_bytes"));
  if (limit > 0 && limit < info.memory_total) {
    info.memory_limit = limit;
    const uint64_t used = std::max(number_in("/sys/fs/cgroup/memory.current"), number_in("/sys/fs/cgroup/memory/memory.usage_in_bytes"));
    info.memory_available = std::min(info.memory_available, limit - std::min(limit, used));
  }
}

}  // namespace

uint64_t memory_available() {
  SystemInfo info;
  read_memory(info);
  return info.memory_available;
}

SystemInfo system_info() {
  SystemInfo info;
  info.features = known_features();
  info.processor = proc_field("/proc/cpuinfo", "model name");
  info.logical_processors = allowed_processors();
  read_memory(info);
  utsname name{};
  if (uname(&name) == 0) info.kernel = std::string(name.sysname) + " " + name.release;
  return info;
}

}  // namespace lazuli
