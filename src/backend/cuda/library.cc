// Finds and opens liblazuli_cuda.so.
#include <dlfcn.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <vector>

#include "backend/cuda/runtime.h"

namespace lazuli::cuda {

namespace {

constexpr const char* kName = "liblazuli_cuda.so";

std::string folder_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "" : path.substr(0, slash);
}

/// The folder of the program or shared library that this code is part of.
std::string own_folder() {
  Dl_info info{};
  if (dladdr(reinterpret_cast<const void*>(&library), &info) != 0 && info.dli_fname != nullptr && info.dli_fname[0] == '/') {
    return folder_of(info.dli_fname);
  }
  std::vector<char> path(4096);
  const ssize_t bytes = readlink("/proc/self/exe", path.data(), path.size());
  return bytes > 0 ? folder_of(std::string(path.data(), static_cast<size_t>(bytes))) : "";
}

std::vector<std::string> candidates() {
  if (const char* set = std::getenv("LAZULI_CUDA_LIBRARY"); set != nullptr && *set != 0) return {set};
  const std::string own = own_folder();
  std::vector<std::string> paths;
  if (!own.empty()) paths = {own + "/" + kName, own + "/lazuli/" + kName, own + "/../" LAZULI_LIBRARY_DIR "/lazuli/" + kName};
  paths.emplace_back(kName);
  return paths;
}

bool is_there(const std::string& path) { return path.find('/') == std::string::npos || access(path.c_str(), F_OK) == 0; }

Library open_library() {
  Library found;
  for (const std::string& path : candidates()) {
    if (!is_there(path)) continue;
    void* handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (handle == nullptr) {
      const char* words = dlerror();
      found.problem = fmt::format("{} cannot be opened: {}", path, words != nullptr ? words : "unknown reason");
      if (path.find('/') == std::string::npos) found.problem = fmt::format("this build has no CUDA backend ({} is not there)", kName);
      continue;
    }
    using Entry = decltype(&lazuli_cuda_api);
    const auto entry = reinterpret_cast<Entry>(dlsym(handle, "lazuli_cuda_api"));
    const LzCudaApi* api = entry != nullptr ? entry(LAZULI_CUDA_ABI) : nullptr;
    if (api != nullptr) return {api, path, ""};
    found.problem = fmt::format("{} is of another version of lazuli", path);
    return found;
  }
  if (!found.problem.empty()) return found;
  const char* set = std::getenv("LAZULI_CUDA_LIBRARY");
  const bool named = set != nullptr && *set != 0;
  found.problem = named ? fmt::format("LAZULI_CUDA_LIBRARY: {} is not there", set)
                        : fmt::format("this build has no CUDA backend ({} is not there)", kName);
  return found;
}

}  // namespace

const Library& library() {
  static const Library opened = open_library();
  return opened;
}

int device_count(std::string* problem) {
  const Library& l = library();
  int count = 0;
  std::string why = l.problem;
  if (l.api != nullptr && l.api->device_count(&count) != LZ_OK) {
    why = l.api->last_error();
    count = 0;
  } else if (l.api != nullptr && count == 0) {
    why = "the driver sees no device";
  }
  if (problem != nullptr) *problem = count == 0 ? why : "";
  return count;
}

}  // namespace lazuli::cuda
