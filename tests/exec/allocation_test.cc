// Warm runs take no memory from the system: every allocation function of the C library is counted.
#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>

#include "lazuli/ops.h"
#include "lazuli/transforms.h"
#include "tensor/buffer_pool.h"

#if !defined(LAZULI_INSTRUMENTED) && defined(__GLIBC__)
#define LAZULI_COUNT_ALLOCATIONS 1
#endif

#ifdef LAZULI_COUNT_ALLOCATIONS

namespace {
std::atomic<bool> counting{false};
std::atomic<int> allocations{0};
void note() {
  if (counting.load(std::memory_order_relaxed)) allocations.fetch_add(1, std::memory_order_relaxed);
}
}  // namespace

// The program's own definitions take the place of the C library's, for the libraries that it loads too.
extern "C" {
void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void* __libc_memalign(size_t, size_t);
void* malloc(size_t n) {
  note();
  return __libc_malloc(n);
}
void* calloc(size_t n, size_t size) {
  note();
  return __libc_calloc(n, size);
}
void* realloc(void* p, size_t n) {
  note();
  return __libc_realloc(p, n);
}
void* memalign(size_t alignment, size_t n) {
  note();
  return __libc_memalign(alignment, n);
}
void* aligned_alloc(size_t alignment, size_t n) {
  note();
  return __libc_memalign(alignment, n);
}
int posix_memalign(void** out, size_t alignment, size_t n) {
  note();
  *out = __libc_memalign(alignment, n);
  return *out == nullptr ? ENOMEM : 0;
}
}

namespace lazuli {
namespace {

LazyTensor leaf(const Shape& shape) { return LazyTensor::from_tensor(Tensor::zeros(DType::f32, shape)); }

template <class F>
int count(F f) {
  const uint64_t blocks = BufferPool::host().stats().system_allocations;
  allocations = 0;
  counting = true;
  f();
  counting = false;
  return allocations.load() + static_cast<int>(BufferPool::host().stats().system_allocations - blocks);
}

std::vector<LazyTensor> small_network(std::span<const LazyTensor> a) {
  LazyTensor h = rms_norm(a[0], a[1]);
  h = gelu(matmul(h, a[2]) + a[1]);
  return {softmax(h), sum(h)};
}

TEST(Allocation, TheCounterSeesAllocations) {
  EXPECT_GE(count([] { std::free(std::malloc(10)); }), 1);
  EXPECT_GE(count([] { ::operator delete(::operator new(8)); }), 1);
}

TEST(Allocation, AWarmCompiledCallMakesNone) {
  for (int64_t rows : {1, 512}) {  // inline on the caller's thread, and on the executor's team
    auto f = compile(small_network);
    Tensor args[] = {Tensor::zeros(DType::f32, {rows, 256}), Tensor::zeros(DType::f32, {256}), Tensor::zeros(DType::f32, {256, 256})};
    std::vector<Tensor> results;
    for (int k = 0; k < 5; ++k) f.call(args, results);
    EXPECT_EQ(count([&] { f.call(args, results); }), 0) << rows << " rows";
  }
}

TEST(Allocation, AWarmEvaluationOfRecordedOpsMakesNone) {
  LazyTensor x = leaf({1, 256}), w = leaf({256}), m = leaf({256, 256});
  std::vector<LazyTensor> recorded;
  for (int k = 0; k < 10; ++k) recorded.push_back(softmax(gelu(matmul(rms_norm(x, w), m) + w)));
  // Each step lets go of the result before the last: results that are kept need memory of their own.
  auto step = [&] {
    recorded.back().eval();
    recorded.pop_back();
  };
  for (int k = 0; k < 8; ++k) step();
  EXPECT_EQ(count(step), 0);
  EXPECT_EQ(count(step), 0);
}

TEST(Allocation, RecordingAndEvaluatingElementwiseOpsMakesNone) {
  LazyTensor x = leaf({64});
  LazyTensor y;
  auto step = [&] {
    y = (x + x) * x;
    y.eval();
  };
  for (int k = 0; k < 200; ++k) step();
  EXPECT_EQ(count(step), 0);
}

}  // namespace
}  // namespace lazuli

#endif  // LAZULI_COUNT_ALLOCATIONS
