#include "backend/cuda/library/api.h"

#include "backend/cuda/library/driver.h"

extern "C" __attribute__((visibility("default"))) const LzCudaApi* lazuli_cuda_api(uint32_t abi) {
  namespace l = lazuli::cuda_library;
  static const LzCudaApi api = {
      LAZULI_CUDA_ABI,   l::last_error,      l::device_count, l::device_info,    l::library_info,  l::open_device,   l::allocate,
      l::release,        l::allocate_shared, l::upload,       l::upload_filled,  l::download,      l::read_begin,    l::read_end,
      l::copy,           l::synchronize,     l::compile,      l::free_code,      l::load,          l::launch,        l::matmul_create,
      l::matmul_measure, l::matmul_take,     l::matmul_run,   l::matmul_destroy, l::capture_begin, l::capture_after, l::capture_mark,
      l::capture_end,    l::graph_launch,    l::graph_destroy};
  return abi == LAZULI_CUDA_ABI ? &api : nullptr;
}
