// Defines the functions of NVRTC and cuBLASLt that are used, found when they are needed: the library loads without them and says what is
// missing.
#pragma once

#include <cublasLt.h>
#include <nvrtc.h>

namespace lazuli::cuda_library {

#define LAZULI_NVRTC_FUNCTIONS(X) \
  X(nvrtcVersion)                 \
  X(nvrtcGetErrorString)          \
  X(nvrtcCreateProgram)           \
  X(nvrtcDestroyProgram)          \
  X(nvrtcCompileProgram)          \
  X(nvrtcGetProgramLogSize)       \
  X(nvrtcGetProgramLog)           \
  X(nvrtcGetCUBINSize)            \
  X(nvrtcGetCUBIN)

#define LAZULI_CUBLASLT_FUNCTIONS(X)      \
  X(cublasLtCreate)                       \
  X(cublasLtGetVersion)                   \
  X(cublasLtGetStatusString)              \
  X(cublasLtMatmul)                       \
  X(cublasLtMatmulAlgoCheck)              \
  X(cublasLtMatmulAlgoGetHeuristic)       \
  X(cublasLtMatmulDescCreate)             \
  X(cublasLtMatmulDescDestroy)            \
  X(cublasLtMatmulDescSetAttribute)       \
  X(cublasLtMatmulPreferenceCreate)       \
  X(cublasLtMatmulPreferenceDestroy)      \
  X(cublasLtMatmulPreferenceSetAttribute) \
  X(cublasLtMatrixLayoutCreate)           \
  X(cublasLtMatrixLayoutDestroy)          \
  X(cublasLtMatrixLayoutSetAttribute)

#define LAZULI_TOOLKIT_POINTER(name) decltype(&::name) name = nullptr;
struct Nvrtc {
  LAZULI_NVRTC_FUNCTIONS(LAZULI_TOOLKIT_POINTER)
};
struct CublasLt {
  LAZULI_CUBLASLT_FUNCTIONS(LAZULI_TOOLKIT_POINTER)
};
#undef LAZULI_TOOLKIT_POINTER

/// Null when the library is not there, with the reason in the calling thread's last error.
const Nvrtc* nvrtc();
const CublasLt* cublaslt();

}  // namespace lazuli::cuda_library
