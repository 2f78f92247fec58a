// Checks copies to and from a CUDA device: their sizes, their order among kernels, and what several threads do at once.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <numeric>
#include <thread>

#include "backend/cuda/library/crew.h"
#include "lazuli/ops.h"
#include "support/cuda_device.h"
#include "tensor/load.h"

namespace lazuli {
namespace {

constexpr Device kCuda{DeviceKind::cuda, 0};
constexpr size_t kPiece = size_t{2} << 20, kThreshold = size_t{1} << 20;
const std::vector<size_t> kSizes = {1,          1000,       kThreshold,     kThreshold + 1, kPiece - 1,      kPiece,
                                    kPiece + 1, 2 * kPiece, 7 * kPiece / 2, 16 * kPiece,    16 * kPiece + 1, 40 * kPiece + 12345};

std::vector<uint8_t> noise(size_t bytes, uint32_t seed) {
  std::vector<uint8_t> v(bytes);
  for (uint8_t& b : v) {
    seed = seed * 1664525u + 1013904223u;
    b = static_cast<uint8_t>(seed >> 24);
  }
  return v;
}

/// Memory of the device for a scope.
class Memory {
 public:
  explicit Memory(size_t bytes) : data_(cuda::Runtime::of(0).allocate(std::max<size_t>(bytes, 1))) {}
  ~Memory() { cuda::Runtime::of(0).release(data_); }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  void* get() const { return data_; }

 private:
  void* data_;
};

std::vector<uint8_t> read(const void* memory, size_t bytes) {
  std::vector<uint8_t> got(bytes);
  cuda::Runtime::of(0).download(got.data(), memory, bytes);
  return got;
}

TEST(CudaCrew, DoesAllTheWorkWithAnyNumberOfHelpers) {
  using cuda_library::Crew;
  static Crew* const crews[] = {new Crew(0), new Crew(1), new Crew(3)};  // their threads stay
  for (Crew* crew : crews) {
    for (int turn = 0; turn < 50; ++turn) {
      std::vector<int> done(1000, 0);
      std::atomic<size_t> next{0};
      crew->run(
          [&] {
            for (size_t k = next++; k < done.size(); k = next++) ++done[k];
          },
          static_cast<size_t>(turn % 5));
      EXPECT_EQ(std::accumulate(done.begin(), done.end(), 0), 1000);
    }
  }
}

TEST(CudaCrew, HelpsSeveralCallersAtOnce) {
  static auto* const crew = new cuda_library::Crew(2);
  std::vector<std::thread> callers;
  std::atomic<int64_t> sum{0};
  for (int c = 0; c < 4; ++c) {
    callers.emplace_back([&] {
      for (int turn = 0; turn < 200; ++turn) {
        std::atomic<int> next{0};
        crew->run(
            [&] {
              while (next++ < 20) ++sum;
            },
            2);
      }
    });
  }
  for (std::thread& t : callers) t.join();
  EXPECT_EQ(sum, 4 * 200 * 20);
}

TEST(LoadTensor, OnTheHostIsTheTensorItselfOrItsConversion) {
  const Tensor x = Tensor::from_vector<float>({1.0f, 2.5f, -3.0f}, {3});
  EXPECT_EQ(load_tensor(x, DType::f32, Device{}).raw(), x.raw());
  const Tensor half = load_tensor(x, DType::bf16, Device{});
  EXPECT_EQ(half.dtype(), DType::bf16);
  EXPECT_EQ(half.to_vector<float>(), (std::vector<float>{1.0f, 2.5f, -3.0f}));
}

TEST(CudaCopies, GiveBackWhatWasSentInEverySize) {
  LAZULI_NEEDS_CUDA();
  cuda::Runtime& runtime = cuda::Runtime::of(0);
  runtime.upload(nullptr, nullptr, 0);
  runtime.download(nullptr, nullptr, 0);
  for (const size_t bytes : kSizes) {
    const std::vector<uint8_t> sent = noise(bytes + 1, static_cast<uint32_t>(bytes));
    const Memory memory(bytes);
    runtime.upload(memory.get(), sent.data() + 1, bytes);
    EXPECT_TRUE(read(memory.get(), bytes) == std::vector<uint8_t>(sent.begin() + 1, sent.end())) << bytes;
  }
}

TEST(CudaCopies, LeaveWhatLiesAroundThem) {
  LAZULI_NEEDS_CUDA();
  cuda::Runtime& runtime = cuda::Runtime::of(0);
  const size_t whole = 10 * kPiece, bytes = 7 * kPiece / 2 + 3, before = 12345;
  std::vector<uint8_t> expected = noise(whole, 1);
  const std::vector<uint8_t> part = noise(bytes, 2);
  const Memory memory(whole);
  runtime.upload(memory.get(), expected.data(), whole);
  runtime.upload(static_cast<std::byte*>(memory.get()) + before, part.data(), bytes);
  std::memcpy(expected.data() + before, part.data(), bytes);
  EXPECT_TRUE(read(memory.get(), whole) == expected);
  std::vector<uint8_t> got(bytes + 2, 77);
  runtime.download(got.data() + 1, static_cast<std::byte*>(memory.get()) + before, bytes);
  EXPECT_TRUE(std::equal(part.begin(), part.end(), got.begin() + 1));
  EXPECT_EQ(got.front(), 77);
  EXPECT_EQ(got.back(), 77);
}

TEST(CudaCopies, TakeTheSourceAsItWasAtTheCall) {
  LAZULI_NEEDS_CUDA();
  cuda::Runtime& runtime = cuda::Runtime::of(0);
  for (const size_t bytes : kSizes) {
    const Memory first(bytes), second(bytes);
    std::vector<uint8_t> source = noise(bytes, 1);
    runtime.upload(first.get(), source.data(), bytes);
    source = noise(bytes, 2);
    runtime.upload(second.get(), source.data(), bytes);
    std::fill(source.begin(), source.end(), uint8_t{0});
    EXPECT_TRUE(read(first.get(), bytes) == noise(bytes, 1)) << bytes;
    EXPECT_TRUE(read(second.get(), bytes) == noise(bytes, 2)) << bytes;
  }
}

TEST(CudaCopies, ToTheSameMemoryHappenInTheOrderOfTheCalls) {
  LAZULI_NEEDS_CUDA();
  cuda::Runtime& runtime = cuda::Runtime::of(0);
  const size_t large = 5 * kPiece, small = 1000;
  const Memory memory(large);
  for (uint32_t turn = 0; turn < 20; ++turn) {
    runtime.upload(memory.get(), noise(large, turn).data(), large);
    runtime.upload(memory.get(), noise(small, turn + 1).data(), small);
    std::vector<uint8_t> expected = noise(large, turn);
    const std::vector<uint8_t> head = noise(small, turn + 1);
    std::copy(head.begin(), head.end(), expected.begin());
    EXPECT_TRUE(read(memory.get(), large) == expected) << turn;
    runtime.upload(memory.get(), head.data(), small);
    runtime.upload(memory.get(), noise(large, turn + 2).data(), large);
    EXPECT_TRUE(read(memory.get(), small) == noise(small, turn + 2)) << turn;
  }
}

TEST(CudaCopies, OfSeveralThreadsAtOnceDoNotMix) {
  LAZULI_NEEDS_CUDA();
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (uint32_t t = 0; t < 6; ++t) {
    threads.emplace_back([&, t] {
      cuda::Runtime& runtime = cuda::Runtime::of(0);
      for (uint32_t turn = 0; turn < 8; ++turn) {
        const size_t bytes = kSizes[(t + turn) % kSizes.size()];
        const Memory memory(bytes);
        const std::vector<uint8_t> sent = noise(bytes, t * 100 + turn);
        runtime.upload(memory.get(), sent.data(), bytes);
        if (read(memory.get(), bytes) != sent) ++wrong;
      }
    });
  }
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(wrong, 0);
}

TEST(CudaCopies, OfPiecesThatAreMadeOnTheWay) {
  LAZULI_NEEDS_CUDA();
  cuda::Runtime& runtime = cuda::Runtime::of(0);
  for (const size_t bytes : kSizes) {
    const Memory memory(bytes);
    runtime.upload_filled(memory.get(), bytes, [](void* piece, size_t offset, size_t size) {
      EXPECT_EQ(offset % 64, 0U);
      for (size_t k = 0; k < size; ++k) static_cast<uint8_t*>(piece)[k] = static_cast<uint8_t>((offset + k) * 2654435761u >> 13);
    });
    const std::vector<uint8_t> got = read(memory.get(), bytes);
    size_t k = 0;
    while (k < bytes && got[k] == static_cast<uint8_t>(k * 2654435761u >> 13)) ++k;
    EXPECT_EQ(k, bytes);
  }
}

TEST(CudaCopies, ConvertAsTheHostDoes) {
  LAZULI_NEEDS_CUDA();
  for (const int64_t count : {1, 1000, 700001, 5000003}) {
    std::vector<float> values(static_cast<size_t>(count));
    for (size_t k = 0; k < values.size(); ++k) values[k] = static_cast<float>(static_cast<int>(k * 7919 % 65537) - 32768) / 1024.0f;
    const Tensor x = Tensor::from_vector(values, {count});
    for (const DType stored : {DType::f32, DType::f16, DType::bf16}) {
      for (const DType wanted : {DType::f32, DType::f16, DType::bf16}) {
        const Tensor from = x.to(stored), expected = from.to(wanted), there = load_tensor(from, wanted, kCuda);
        EXPECT_EQ(there.device(), kCuda);
        const Tensor got = there.to(Device{});
        ASSERT_EQ(got.dtype(), wanted);
        EXPECT_EQ(std::memcmp(got.raw(), expected.raw(), expected.nbytes()), 0)
            << count << " " << name_of(stored) << " " << name_of(wanted);
      }
    }
  }
}

int64_t far_from(float expected, const Tensor& t) {
  const std::vector<float> got = t.to_vector<float>();
  return std::count_if(got.begin(), got.end(), [&](float v) { return std::abs(v - expected) > 1e-2f; });
}

// A block goes back to the pool while kernels that read it are queued, and the next copy may get it.
TEST(CudaCopies, WaitForTheKernelsThatUseTheMemory) {
  LAZULI_NEEDS_CUDA();
  const test::OnCuda device;
  const int64_t n = 2048;
  const size_t count = static_cast<size_t>(n * n);
  const LazyTensor a = LazyTensor::from_tensor(Tensor::from_vector(std::vector<float>(count, 1.0f / 2048), {n, n}, kCuda));
  for (int turn = 0; turn < 10; ++turn) {
    const auto value = static_cast<float>(turn + 1);
    Tensor late;
    {
      Tensor x = Tensor::from_vector(std::vector<float>(count, value), {n, n}, kCuda);
      LazyTensor y = LazyTensor::from_tensor(x);
      for (int k = 0; k < 20; ++k) y = matmul(a, y);
      late = (y + LazyTensor::from_tensor(x)).eval();
    }
    const Tensor next = Tensor::from_vector(std::vector<float>(count, -value), {n, n}, kCuda);
    const Tensor negated = LazyTensor::from_tensor(next).mul_scalar(-1).eval();
    const Tensor after = Tensor::from_vector(std::vector<float>(count, 1000.0f), {n, n}, kCuda);
    EXPECT_EQ(far_from(2 * value, late), 0) << turn;
    EXPECT_EQ(far_from(-value, next), 0) << turn;
    EXPECT_EQ(far_from(value, negated), 0) << turn;
    EXPECT_EQ(far_from(1000.0f, after), 0) << turn;
  }
}

TEST(CudaCopies, OfOneThreadGoOnWhileAnotherRunsKernels) {
  LAZULI_NEEDS_CUDA();
  std::atomic<bool> stop{false};
  std::atomic<int> wrong{0};
  std::thread runs([&] {
    const test::OnCuda device;
    const LazyTensor x = LazyTensor::from_tensor(Tensor::from_vector(std::vector<float>(1 << 20, 1.0f), {1024, 1024}, kCuda));
    // Recorded and replayed while copies go on.
    while (!stop) {
      LazyTensor y = x;
      for (int k = 0; k < 6; ++k) y = matmul(y, x).mul_scalar(1.0 / 1024);
      if (std::abs(y.eval().to_vector<float>()[12345] - 1.0f) > 1e-3f) ++wrong;
    }
  });
  for (uint32_t turn = 0; turn < 12; ++turn) {
    const size_t bytes = kSizes[turn % kSizes.size()];
    const Tensor t = Tensor::from_vector(noise(bytes, turn), {static_cast<int64_t>(bytes)}, kCuda);
    const Tensor back = t.to(Device{});
    if (std::memcmp(back.raw(), noise(bytes, turn).data(), bytes) != 0) ++wrong;
  }
  stop = true;
  runs.join();
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace lazuli
