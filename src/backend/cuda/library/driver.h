// Defines the functions of the CUDA driver, found when the first device is asked for, so that the library loads on machines without one.
#pragma once

#include <cuda.h>

#include <array>
#include <mutex>
#include <string>

#include "backend/cuda/library/api.h"

namespace lazuli::cuda_library {

#define LAZULI_DRIVER_FUNCTIONS(X)     \
  X(cuInit)                            \
  X(cuDriverGetVersion)                \
  X(cuDeviceGetCount)                  \
  X(cuDeviceGet)                       \
  X(cuDeviceGetName)                   \
  X(cuDeviceGetAttribute)              \
  X(cuDeviceTotalMem)                  \
  X(cuDevicePrimaryCtxRetain)          \
  X(cuCtxSetCurrent)                   \
  X(cuMemGetInfo)                      \
  X(cuStreamCreate)                    \
  X(cuStreamSynchronize)               \
  X(cuStreamWaitEvent)                 \
  X(cuMemAlloc)                        \
  X(cuMemFree)                         \
  X(cuMemHostAlloc)                    \
  X(cuMemHostGetDevicePointer)         \
  X(cuMemcpyHtoDAsync)                 \
  X(cuMemcpyDtoHAsync)                 \
  X(cuMemcpyDtoDAsync)                 \
  X(cuMemsetD8Async)                   \
  X(cuEventCreate)                     \
  X(cuEventDestroy)                    \
  X(cuEventRecord)                     \
  X(cuEventSynchronize)                \
  X(cuEventElapsedTime)                \
  X(cuModuleLoadData)                  \
  X(cuModuleGetFunction)               \
  X(cuFuncSetAttribute)                \
  X(cuLaunchKernel)                    \
  X(cuStreamBeginCapture)              \
  X(cuStreamEndCapture)                \
  X(cuGraphInstantiate)                \
  X(cuGraphLaunch)                     \
  X(cuGraphDestroy)                    \
  X(cuGraphExecDestroy)                \
  X(cuStreamGetCaptureInfo)            \
  X(cuStreamUpdateCaptureDependencies) \
  X(cuGetErrorString)

struct Driver {
#define LAZULI_DRIVER_POINTER(name) decltype(&::name) name = nullptr;
  LAZULI_DRIVER_FUNCTIONS(LAZULI_DRIVER_POINTER)
#undef LAZULI_DRIVER_POINTER
};

/// The driver; null after the first failure to load it, with the reason in the calling thread's last error.
const Driver* driver();

/// Keeps a text for last_error and gives the status back.
int failed(int status, std::string text);
const char* last_error();
/// LZ_OK, or a failure with the driver's words for it.
int check(CUresult result, const char* call);

#define LAZULI_TRY(expression) \
  if (const int tried = (expression); tried != LZ_OK) return tried

class Staging;

}  // namespace lazuli::cuda_library

/// One device: its context, the stream of its work, the workspaces of matrix products (one a lane), and what large copies go through.
struct LzDevice {
  CUdevice device = 0;
  CUcontext context = nullptr;
  CUstream stream = nullptr;
  void* blas = nullptr;  ///< cublasLtHandle_t
  std::once_flag staging_once;
  lazuli::cuda_library::Staging* staging = nullptr;  ///< made by the first large copy; null if that failed
  std::array<CUdeviceptr, LZ_LANES> workspaces{};    ///< those but the first: made when something is recorded
};

namespace lazuli::cuda_library {

inline constexpr size_t kWorkspaceBytes = size_t{32} << 20;

/// Where the calling thread's launches go: the device's stream, or the one that it records.
CUstream stream_of(const LzDevice* device);
/// For the matrix products that go there.
void* workspace_of(const LzDevice* device);
/// Makes the device the calling thread's.
int enter(LzDevice* device);

// The entries of the table; api.h says what they do.
int device_count(int* count);
int device_info(int index, LzDeviceInfo* info);
int open_device(int index, LzDevice** device);
int allocate(LzDevice* device, size_t bytes, void** memory);
int release(LzDevice* device, void* memory);
int allocate_shared(LzDevice* device, size_t bytes, void** memory, void** on_device);
int upload(LzDevice* device, void* to, const void* from, size_t bytes);
int upload_filled(LzDevice* device, void* to, size_t bytes, LzFill fill, void* context);
int download(LzDevice* device, void* to, const void* from, size_t bytes);
int read_begin(LzDevice* device, const void* from, size_t bytes, LzRead** read);
int read_end(LzDevice* device, LzRead* read, void* to);
int copy(LzDevice* device, void* to, const void* from, size_t bytes);
int synchronize(LzDevice* device);
int load(LzDevice* device, const void* code, void** function);
int launch(LzDevice* device, void* function, const uint32_t grid[3], uint32_t block, uint32_t shared_bytes, void* parameters, size_t bytes);
int capture_begin(LzDevice* device);
int capture_after(LzDevice* device, const int32_t* marks, size_t count, int lane);
int capture_mark(LzDevice* device);
int capture_end(LzDevice* device, void** graph);
int graph_launch(LzDevice* device, void* graph);
void graph_destroy(void* graph);
int library_info(LzLibraryInfo* info);
int compile(const char* source, const char* architecture, void** code, size_t* bytes);
void free_code(void* code);
int matmul_create(LzDevice* device, const LzMatmul* spec, LzMatmulPlan** plan);
int matmul_measure(LzDevice* device, LzMatmulPlan* plan, const LzMatmulRun* run, double milliseconds, LzAlgorithm* fastest);
int matmul_take(LzDevice* device, LzMatmulPlan* plan, uint32_t alignment_log2, const LzAlgorithm* algorithm);
int matmul_run(LzDevice* device, LzMatmulPlan* plan, const LzMatmulRun* run);
void matmul_destroy(LzMatmulPlan* plan);

}  // namespace lazuli::cuda_library
