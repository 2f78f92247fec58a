// Kernel texts become machine code through NVRTC.
#include <cstdlib>

#include "backend/cuda/library/driver.h"
#include "backend/cuda/library/toolkit.h"

namespace lazuli::cuda_library {

namespace {

/// Destroys the program in every case.
struct Program {
  nvrtcProgram program = nullptr;
  ~Program() {
    if (program != nullptr) static_cast<void>(nvrtc()->nvrtcDestroyProgram(&program));
  }
};

int compile_failed(const Program& p, nvrtcResult result) {
  size_t bytes = 0;
  std::string log;
  if (p.program != nullptr && nvrtc()->nvrtcGetProgramLogSize(p.program, &bytes) == NVRTC_SUCCESS && bytes > 1) {
    log.resize(bytes);
    static_cast<void>(nvrtc()->nvrtcGetProgramLog(p.program, log.data()));
    log.pop_back();  // the zero at its end
  }
  return failed(LZ_DEVICE_ERROR, std::string("NVRTC: ") + nvrtc()->nvrtcGetErrorString(result) + "\n" + log);
}

}  // namespace

int library_info(LzLibraryInfo* info) {
  if (nvrtc() == nullptr || cublaslt() == nullptr) return LZ_UNSUPPORTED;
  int major = 0, minor = 0;
  if (nvrtc()->nvrtcVersion(&major, &minor) != NVRTC_SUCCESS) return failed(LZ_DEVICE_ERROR, "NVRTC gives no version");
  info->nvrtc_version = major * 1000 + minor * 10;
  info->cublaslt_version = cublaslt()->cublasLtGetVersion();
  return LZ_OK;
}

int compile(const char* source, const char* architecture, void** code, size_t* bytes) {
  if (nvrtc() == nullptr) return LZ_UNSUPPORTED;
  Program p;
  nvrtcResult result = nvrtc()->nvrtcCreateProgram(&p.program, source, "kernel.cu", 0, nullptr, nullptr);
  if (result != NVRTC_SUCCESS) return compile_failed(p, result);
  const std::string arch = std::string("--gpu-architecture=") + architecture;
  // A product and a sum are rounded each, as on the CPU; kernels that want one rounding call fmaf.
  const char* options[] = {arch.c_str(), "--std=c++17", "--fmad=false", "--device-as-default-execution-space"};
  result = nvrtc()->nvrtcCompileProgram(p.program, 4, options);
  if (result != NVRTC_SUCCESS) return compile_failed(p, result);
  result = nvrtc()->nvrtcGetCUBINSize(p.program, bytes);
  if (result != NVRTC_SUCCESS) return compile_failed(p, result);
  void* made = std::malloc(*bytes);
  if (made == nullptr) return failed(LZ_OUT_OF_MEMORY, "no host memory for compiled code");
  result = nvrtc()->nvrtcGetCUBIN(p.program, static_cast<char*>(made));
  if (result != NVRTC_SUCCESS) {
    std::free(made);
    return compile_failed(p, result);
  }
  *code = made;
  return LZ_OK;
}

void free_code(void* code) { std::free(code); }

}  // namespace lazuli::cuda_library
