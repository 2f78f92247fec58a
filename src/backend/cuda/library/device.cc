// Devices, their memory, and launches on their stream.
#include <algorithm>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "backend/cuda/library/driver.h"
#include "backend/cuda/library/toolkit.h"

namespace lazuli::cuda_library {

namespace {

CUdeviceptr address(const void* memory) { return reinterpret_cast<CUdeviceptr>(memory); }

int attribute(CUdevice device, CUdevice_attribute which, int* value) {
  return check(driver()->cuDeviceGetAttribute(value, which, device), "cuDeviceGetAttribute");
}

/// What this thread records; launches of other threads go on running meanwhile.
struct Recording {
  CUstream stream = nullptr;  ///< null: nothing
  int lane = 0;
  std::vector<std::vector<CUgraphNode>> marks;
};
thread_local Recording recording;

/// The device whose context is the calling thread's.
thread_local LzDevice* entered = nullptr;

constexpr uint32_t kSharedWithoutAsking = 48 << 10;

}  // namespace

CUstream stream_of(const LzDevice* device) { return recording.stream != nullptr ? recording.stream : device->stream; }

void* workspace_of(const LzDevice* device) {
  return reinterpret_cast<void*>(device->workspaces[recording.stream != nullptr ? static_cast<size_t>(recording.lane) : 0]);
}

int enter(LzDevice* device) {
  if (entered == device) return LZ_OK;
  LAZULI_TRY(check(driver()->cuCtxSetCurrent(device->context), "cuCtxSetCurrent"));
  entered = device;
  return LZ_OK;
}

int device_count(int* count) {
  const Driver* d = driver();
  if (d == nullptr) return LZ_UNSUPPORTED;
  return check(d->cuDeviceGetCount(count), "cuDeviceGetCount");
}

int device_info(int index, LzDeviceInfo* info) {
  const Driver* d = driver();
  if (d == nullptr) return LZ_UNSUPPORTED;
  CUdevice device = 0;
  *info = {};
  LAZULI_TRY(check(d->cuDeviceGet(&device, index), "cuDeviceGet"));
  LAZULI_TRY(check(d->cuDeviceGetName(info->name, sizeof info->name, device), "cuDeviceGetName"));
  LAZULI_TRY(attribute(device, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, &info->major));
  LAZULI_TRY(attribute(device, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, &info->minor));
  LAZULI_TRY(attribute(device, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, &info->multiprocessors));
  LAZULI_TRY(check(d->cuDeviceTotalMem(&info->memory_bytes, device), "cuDeviceTotalMem"));
  LAZULI_TRY(check(d->cuDriverGetVersion(&info->driver_version), "cuDriverGetVersion"));
  CUcontext context = nullptr;
  LAZULI_TRY(check(d->cuDevicePrimaryCtxRetain(&context, device), "cuDevicePrimaryCtxRetain"));
  entered = nullptr;
  LAZULI_TRY(check(d->cuCtxSetCurrent(context), "cuCtxSetCurrent"));
  size_t total = 0;
  return check(d->cuMemGetInfo(&info->free_bytes, &total), "cuMemGetInfo");
}

int open_device(int index, LzDevice** device) {
  const Driver* d = driver();
  if (d == nullptr) return LZ_UNSUPPORTED;
  if (nvrtc() == nullptr || cublaslt() == nullptr) return LZ_UNSUPPORTED;
  auto* made = new LzDevice;
  const auto fill = [&]() -> int {
    LAZULI_TRY(check(d->cuDeviceGet(&made->device, index), "cuDeviceGet"));
    LAZULI_TRY(check(d->cuDevicePrimaryCtxRetain(&made->context, made->device), "cuDevicePrimaryCtxRetain"));
    LAZULI_TRY(enter(made));
    LAZULI_TRY(check(d->cuStreamCreate(&made->stream, CU_STREAM_NON_BLOCKING), "cuStreamCreate"));
    LAZULI_TRY(check(d->cuMemAlloc(made->workspaces.data(), kWorkspaceBytes), "cuMemAlloc"));
    cublasLtHandle_t blas = nullptr;
    if (cublaslt()->cublasLtCreate(&blas) != CUBLAS_STATUS_SUCCESS) return failed(LZ_DEVICE_ERROR, "cublasLtCreate failed");
    made->blas = blas;
    return LZ_OK;
  };
  // A device that cannot be opened leaves nothing but its primary context, which the process keeps anyway.
  if (const int status = fill(); status != LZ_OK) return status;
  *device = made;
  return LZ_OK;
}

int allocate(LzDevice* device, size_t bytes, void** memory) {
  LAZULI_TRY(enter(device));
  CUdeviceptr made = 0;
  LAZULI_TRY(check(driver()->cuMemAlloc(&made, bytes), "cuMemAlloc"));
  *memory = reinterpret_cast<void*>(made);
  return LZ_OK;
}

int release(LzDevice* device, void* memory) {
  LAZULI_TRY(enter(device));
  return check(driver()->cuMemFree(address(memory)), "cuMemFree");
}

int allocate_shared(LzDevice* device, size_t bytes, void** memory, void** on_device) {
  LAZULI_TRY(enter(device));
  LAZULI_TRY(check(driver()->cuMemHostAlloc(memory, bytes, CU_MEMHOSTALLOC_DEVICEMAP | CU_MEMHOSTALLOC_PORTABLE), "cuMemHostAlloc"));
  CUdeviceptr there = 0;
  LAZULI_TRY(check(driver()->cuMemHostGetDevicePointer(&there, *memory, 0), "cuMemHostGetDevicePointer"));
  *on_device = reinterpret_cast<void*>(there);
  return LZ_OK;
}

int copy(LzDevice* device, void* to, const void* from, size_t bytes) {
  LAZULI_TRY(enter(device));
  return check(driver()->cuMemcpyDtoDAsync(address(to), address(from), bytes, device->stream), "cuMemcpyDtoDAsync");
}

int synchronize(LzDevice* device) {
  LAZULI_TRY(enter(device));
  return check(driver()->cuStreamSynchronize(device->stream), "cuStreamSynchronize");
}

int load(LzDevice* device, const void* code, void** function) {
  LAZULI_TRY(enter(device));
  CUmodule module = nullptr;
  LAZULI_TRY(check(driver()->cuModuleLoadData(&module, code), "cuModuleLoadData"));
  CUfunction found = nullptr;
  LAZULI_TRY(check(driver()->cuModuleGetFunction(&found, module, "run"), "cuModuleGetFunction"));
  *function = found;
  return LZ_OK;
}

int launch(LzDevice* device, void* function, const uint32_t grid[3], uint32_t block, uint32_t shared_bytes, void* parameters,
           size_t bytes) {
  LAZULI_TRY(enter(device));
  auto* f = static_cast<CUfunction>(function);
  if (shared_bytes > kSharedWithoutAsking) {
    LAZULI_TRY(check(driver()->cuFuncSetAttribute(f, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, static_cast<int>(shared_bytes)),
                     "cuFuncSetAttribute"));
  }
  void* extra[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, parameters, CU_LAUNCH_PARAM_BUFFER_SIZE, &bytes, CU_LAUNCH_PARAM_END};
  return check(driver()->cuLaunchKernel(f, grid[0], grid[1], grid[2], block, 1, 1, shared_bytes, stream_of(device), nullptr, extra),
               "cuLaunchKernel");
}

int make_workspaces(LzDevice* device) {
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  for (CUdeviceptr& workspace : device->workspaces) {
    if (workspace == 0) LAZULI_TRY(check(driver()->cuMemAlloc(&workspace, kWorkspaceBytes), "cuMemAlloc"));
  }
  return LZ_OK;
}

int capture_begin(LzDevice* device) {
  LAZULI_TRY(enter(device));
  LAZULI_TRY(make_workspaces(device));
  thread_local std::unordered_map<const LzDevice*, CUstream> streams;
  CUstream& own = streams[device];
  if (own == nullptr) LAZULI_TRY(check(driver()->cuStreamCreate(&own, CU_STREAM_NON_BLOCKING), "cuStreamCreate"));
  LAZULI_TRY(check(driver()->cuStreamBeginCapture(own, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL), "cuStreamBeginCapture"));
  recording.stream = own;
  recording.lane = 0;
  recording.marks.clear();
  return LZ_OK;
}

int capture_after(LzDevice* device, const int32_t* marks, size_t count, int lane) {
  LAZULI_TRY(enter(device));
  recording.lane = lane;
  std::vector<CUgraphNode> nodes;
  for (size_t k = 0; k < count; ++k) {
    const std::vector<CUgraphNode>& ends = recording.marks[static_cast<size_t>(marks[k])];
    nodes.insert(nodes.end(), ends.begin(), ends.end());
  }
  // A step that launched nothing ends where those before it end, so a node can come up twice.
  std::sort(nodes.begin(), nodes.end());
  nodes.erase(std::unique(nodes.begin(), nodes.end()), nodes.end());
  constexpr unsigned int kReplace = CU_STREAM_SET_CAPTURE_DEPENDENCIES;
#if CUDA_VERSION >= 13000
  const CUresult result = driver()->cuStreamUpdateCaptureDependencies(recording.stream, nodes.data(), nullptr, nodes.size(), kReplace);
#else
  const CUresult result = driver()->cuStreamUpdateCaptureDependencies(recording.stream, nodes.data(), nodes.size(), kReplace);
#endif
  return check(result, "cuStreamUpdateCaptureDependencies");
}

int capture_mark(LzDevice* device) {
  LAZULI_TRY(enter(device));
  CUstreamCaptureStatus state = CU_STREAM_CAPTURE_STATUS_NONE;
  const CUgraphNode* ends = nullptr;
  size_t count = 0;
#if CUDA_VERSION >= 13000
  const CUgraphEdgeData* edges = nullptr;
  LAZULI_TRY(
      check(driver()->cuStreamGetCaptureInfo(recording.stream, &state, nullptr, nullptr, &ends, &edges, &count), "cuStreamGetCaptureInfo"));
#else
  LAZULI_TRY(check(driver()->cuStreamGetCaptureInfo(recording.stream, &state, nullptr, nullptr, &ends, &count), "cuStreamGetCaptureInfo"));
#endif
  recording.marks.emplace_back(ends, ends + count);
  return LZ_OK;
}

int capture_end(LzDevice* device, void** graph) {
  LAZULI_TRY(enter(device));
  CUgraph recorded = nullptr;
  CUstream stream = recording.stream;
  recording.stream = nullptr;
  LAZULI_TRY(check(driver()->cuStreamEndCapture(stream, &recorded), "cuStreamEndCapture"));
  int status = LZ_OK;
  if (graph != nullptr) {
    CUgraphExec made = nullptr;
    status = check(driver()->cuGraphInstantiate(&made, recorded, 0), "cuGraphInstantiate");
    *graph = made;
  }
  static_cast<void>(driver()->cuGraphDestroy(recorded));
  return status;
}

int graph_launch(LzDevice* device, void* graph) {
  LAZULI_TRY(enter(device));
  return check(driver()->cuGraphLaunch(static_cast<CUgraphExec>(graph), device->stream), "cuGraphLaunch");
}

void graph_destroy(void* graph) { static_cast<void>(driver()->cuGraphExecDestroy(static_cast<CUgraphExec>(graph))); }

}  // namespace lazuli::cuda_library
