// Times small compiled calls on a CUDA device, from the call to the result on the host or to the return of the call; prints one JSON
// object.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <vector>

#include "backend/cuda/runtime.h"
#include "lazuli/error.h"
#include "lazuli/ops.h"
#include "lazuli/transforms.h"

namespace {

using lazuli::CompiledFunction;
using lazuli::Device;
using lazuli::DType;
using lazuli::LazyTensor;
using lazuli::Shape;
using lazuli::Tensor;

constexpr Device kCuda{lazuli::DeviceKind::cuda, 0};

Tensor filled(const Shape& shape, DType dtype = DType::f32) {
  std::vector<float> values(static_cast<size_t>(shape.numel()));
  uint32_t x = 1;
  for (float& v : values) {
    x = x * 1664525u + 1013904223u;
    v = static_cast<float>(x >> 8) / static_cast<float>(1 << 24) - 0.5f;
  }
  return Tensor::from_vector(values, shape).to(dtype).to(kCuda);
}

struct Times {
  double median, least;
};

Times time_of(const std::function<void()>& once) {
  for (int k = 0; k < 50; ++k) once();
  std::vector<double> us;
  for (int k = 0; k < 1000; ++k) {
    const auto begin = std::chrono::steady_clock::now();
    once();
    us.push_back(std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begin).count());
  }
  std::sort(us.begin(), us.end());
  return {us[us.size() / 2], us.front()};
}

void report(const char* name, CompiledFunction& f, const std::vector<Tensor>& args, bool last) {
  std::vector<Tensor> given = args, results;
  lazuli::cuda::Runtime& runtime = lazuli::cuda::Runtime::of(0);
  const Times call = time_of([&] {
    f.call(given, results);
    runtime.synchronize();
  });
  const Times submit = time_of([&] { f.call(given, results); });
  runtime.synchronize();
  std::printf("  \"%s\": {\"call_us\": %.2f, \"call_least_us\": %.2f, \"submit_us\": %.2f}%s\n", name, call.median, call.least,
              submit.median, last ? "" : ",");
}

}  // namespace

int main() {
  try {
    CompiledFunction softmax =
        lazuli::compile([](std::span<const LazyTensor> a) { return std::vector<LazyTensor>{lazuli::softmax(a[0])}; }, kCuda);
    CompiledFunction lora = lazuli::compile(
        [](std::span<const LazyTensor> a) { return std::vector<LazyTensor>{matmul(matmul(a[0], a[1]), a[2]).mul_scalar(2)}; }, kCuda);
    CompiledFunction chain = lazuli::compile(
        [](std::span<const LazyTensor> a) {
          LazyTensor x = a[0];
          for (int k = 0; k < 20; ++k) x = lazuli::softmax(matmul(x, a[1]));
          return std::vector<LazyTensor>{x};
        },
        kCuda);
    const auto attend = [](std::span<const LazyTensor> a) {
      return scaled_dot_product_attention(a[0], a[1], a[2], 0.125, {.causal = true, .mask = {}, .length = {}});
    };
    CompiledFunction attention = lazuli::compile([&](std::span<const LazyTensor> a) { return std::vector<LazyTensor>{attend(a)}; }, kCuda);
    CompiledFunction attention_gradient =
        lazuli::compile(lazuli::grad([&](std::span<const LazyTensor> a) { return sum(attend(a) * a[3]); }, {0, 1, 2}), kCuda);
    const Tensor q = filled({8, 14, 1024, 64}, DType::bf16), k = filled({8, 2, 1024, 64}, DType::bf16);
    std::printf("{\n");
    report("softmax 1x1024", softmax, {filled({1, 1024})}, false);
    report("lora 1x512 rank 8", lora, {filled({1, 512}), filled({512, 8}), filled({8, 512})}, false);
    report("attention 8x14x1024x64, 2 kv heads, causal, bf16", attention, {q, k, k}, false);
    report("its value and gradients", attention_gradient, {q, k, k, q}, false);
    report("40 kernels in one plan", chain, {filled({64, 64}), filled({64, 64})}, true);
    std::printf("}\n");
  } catch (const lazuli::Error& error) {
    std::fprintf(stderr, "cuda_calls: %s\n", error.what());
    return 1;
  }
  return 0;
}
