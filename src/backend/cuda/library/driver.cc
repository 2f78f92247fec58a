#include "backend/cuda/library/driver.h"

#include <dlfcn.h>

#define LAZULI_TEXT_OF(name) #name
#define LAZULI_TEXT(name) LAZULI_TEXT_OF(name)

namespace lazuli::cuda_library {

namespace {

std::string& error_text() {
  thread_local std::string text;
  return text;
}

struct Loaded {
  Driver functions;
  std::string problem;
  bool ok = false;
};

Loaded load_driver() {
  Loaded l;
  void* library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    l.problem = "no NVIDIA driver: libcuda.so.1 cannot be opened";
    return l;
  }
  const char* missing = nullptr;
#define LAZULI_DRIVER_FIND(name)                                                             \
  l.functions.name = reinterpret_cast<decltype(&::name)>(dlsym(library, LAZULI_TEXT(name))); \
  if (l.functions.name == nullptr) missing = LAZULI_TEXT(name);
  LAZULI_DRIVER_FUNCTIONS(LAZULI_DRIVER_FIND)
#undef LAZULI_DRIVER_FIND
  if (missing != nullptr) {
    l.problem = std::string("the NVIDIA driver is too old: it has no ") + missing;
    return l;
  }
  if (const CUresult result = l.functions.cuInit(0); result != CUDA_SUCCESS) {
    const char* words = "unknown error";
    static_cast<void>(l.functions.cuGetErrorString(result, &words));
    l.problem = std::string("the NVIDIA driver does not start: ") + words;
    return l;
  }
  l.ok = true;
  return l;
}

}  // namespace

const Driver* driver() {
  static const Loaded loaded = load_driver();
  if (loaded.ok) return &loaded.functions;
  static_cast<void>(failed(LZ_UNSUPPORTED, loaded.problem));
  return nullptr;
}

int failed(int status, std::string text) {
  error_text() = std::move(text);
  return status;
}

const char* last_error() { return error_text().c_str(); }

int check(CUresult result, const char* call) {
  if (result == CUDA_SUCCESS) return LZ_OK;
  const char* words = nullptr;
  if (driver()->cuGetErrorString(result, &words) != CUDA_SUCCESS || words == nullptr) words = "unknown error";
  return failed(result == CUDA_ERROR_OUT_OF_MEMORY ? LZ_OUT_OF_MEMORY : LZ_DEVICE_ERROR, std::string(call) + ": " + words);
}

}  // namespace lazuli::cuda_library
