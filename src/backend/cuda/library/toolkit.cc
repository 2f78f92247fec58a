#include "backend/cuda/library/toolkit.h"

#include <dlfcn.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "backend/cuda/library/driver.h"

namespace lazuli::cuda_library {

namespace {

const std::string kMajor = std::to_string(CUDA_VERSION / 1000);

/// The system's loader first, then where toolkits are installed.
void* open_toolkit(const std::string& name, std::string& problem) {
  const std::string file = name + ".so." + kMajor;
  std::vector<std::string> paths = {file};
  if (const char* home = std::getenv("CUDA_HOME"); home != nullptr && *home != 0) paths.push_back(std::string(home) + "/lib64/" + file);
  paths.push_back("/usr/local/cuda/lib64/" + file);
  paths.push_back("/usr/local/cuda-" + kMajor + "/lib64/" + file);
  for (const std::string& path : paths) {
    if (void* handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL)) return handle;
  }
  problem = file + " of the CUDA toolkit " + kMajor + " cannot be opened; set CUDA_HOME or LD_LIBRARY_PATH where it is installed";
  return nullptr;
}

template <class Functions>
struct Loaded {
  Functions functions;
  std::string problem;
};

#define LAZULI_TOOLKIT_FIND(name)                                                \
  l.functions.name = reinterpret_cast<decltype(&::name)>(dlsym(library, #name)); \
  if (l.functions.name == nullptr && l.problem.empty()) l.problem = "the CUDA toolkit has no " #name;

Loaded<Nvrtc> load_nvrtc() {
  Loaded<Nvrtc> l;
  void* library = open_toolkit("libnvrtc", l.problem);
  if (library == nullptr) return l;
  LAZULI_NVRTC_FUNCTIONS(LAZULI_TOOLKIT_FIND)
  return l;
}

Loaded<CublasLt> load_cublaslt() {
  Loaded<CublasLt> l;
  void* library = open_toolkit("libcublasLt", l.problem);
  if (library == nullptr) return l;
  LAZULI_CUBLASLT_FUNCTIONS(LAZULI_TOOLKIT_FIND)
  return l;
}
#undef LAZULI_TOOLKIT_FIND

template <class Functions>
const Functions* usable(const Loaded<Functions>& loaded) {
  if (loaded.problem.empty()) return &loaded.functions;
  static_cast<void>(failed(LZ_UNSUPPORTED, loaded.problem));
  return nullptr;
}

}  // namespace

const Nvrtc* nvrtc() {
  static const Loaded<Nvrtc> loaded = load_nvrtc();
  return usable(loaded);
}

const CublasLt* cublaslt() {
  static const Loaded<CublasLt> loaded = load_cublaslt();
  return usable(loaded);
}

}  // namespace lazuli::cuda_library
