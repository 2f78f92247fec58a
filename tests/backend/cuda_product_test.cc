// Checks how algorithms of cuBLASLt are chosen: keys and entries without a device; measuring, keeping and finding them again on one.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <vector>

#include "backend/cuda/product_choice.h"
#include "backend/cuda/runtime.h"
#include "support/cuda_device.h"
#include "support/temp_folder.h"

namespace lazuli::cuda {
namespace {

LzMatmul product_of(int64_t m, int64_t n, int64_t k, int type = LZ_F32) {
  LzMatmul p{};
  p.type_ab = p.type_d = type;
  p.m = m;
  p.n = p.ldb = p.ldd = n;
  p.k = p.lda = k;
  p.batch = 1;
  p.stride_d = m * n;
  return p;
}

std::string key_of(const LzMatmul& p, uint32_t alignment = 8) {
  LzDeviceInfo card{};
  card.name[0] = 'X';
  card.major = 9;
  return choice_key(card, 130000, p, alignment);
}

TEST(CudaProductChoice, ProductsOfAlmostAsManyRowsShareAKey) {
  EXPECT_EQ(key_of(product_of(897, 64, 32)), key_of(product_of(1024, 64, 32)));
  EXPECT_NE(key_of(product_of(896, 64, 32)), key_of(product_of(897, 64, 32)));
  EXPECT_NE(key_of(product_of(1, 64, 32)), key_of(product_of(2, 64, 32)));
  EXPECT_EQ(key_of(product_of(17, 64, 32)), key_of(product_of(20, 64, 32)));
  EXPECT_NE(key_of(product_of(16, 64, 32)), key_of(product_of(17, 64, 32)));
}

TEST(CudaProductChoice, WhateverChangesTheProductChangesTheKey) {
  const LzMatmul plain = product_of(64, 64, 32);
  const std::string key = key_of(plain);
  std::vector<LzMatmul> others(13, plain);
  others[0].n = 128;
  others[1].k = 16;
  others[2].type_d = LZ_BF16;
  others[3].type_ab = LZ_F16;
  others[4].transpose_a = 1;
  others[5].transpose_b = 1;
  others[6].has_c = 1;
  others[7].has_bias = 1;
  others[8].lda = 48;
  others[9].ldb = 96;
  others[10].batch = 2;
  others[11].ldd = 80;
  others[12].m = 128;
  for (size_t k = 0; k < others.size(); ++k) EXPECT_NE(key_of(others[k]), key) << k;
  EXPECT_NE(key_of(plain, 4), key);
  // The matrices of a batch lie a number of rows apart, so there every number of rows has its own.
  LzMatmul batch = product_of(1000, 64, 32);
  batch.batch = 2;
  LzMatmul longer = batch;
  longer.m = 1001;
  EXPECT_NE(key_of(batch), key_of(longer));
}

TEST(CudaProductChoice, OnlyProductsThatTakeTimeAreMeasured) {
  EXPECT_FALSE(is_worth_measuring(product_of(64, 64, 64)));
  EXPECT_TRUE(is_worth_measuring(product_of(1, 896, 4864, LZ_BF16)));  // few operations, but many bytes
  EXPECT_TRUE(is_worth_measuring(product_of(512, 512, 512, LZ_BF16)));
}

TEST(CudaProductChoice, AnEntryIsTheAlgorithmsBytesAndNothingElse) {
  LzAlgorithm algorithm{};
  for (size_t k = 0; k < 8; ++k) algorithm.words[k] = k * 0x0123456789abcdefULL;
  const test::TempFolder folder;
  const CodeCache cache(folder.path("choices"));
  EXPECT_FALSE(algorithm_of(cache.find("key")));
  cache.keep("key", bytes_of(algorithm));
  const auto found = algorithm_of(cache.find("key"));
  ASSERT_TRUE(found);
  EXPECT_EQ(bytes_of(*found), bytes_of(algorithm));
  cache.keep("key", "shorter");
  EXPECT_FALSE(algorithm_of(cache.find("key")));
}

TEST(CudaProductChoice, AlignmentIsThatOfTheWorstMatrix) {
  alignas(512) static char memory[1024];
  LzMatmulRun run{};
  run.a = run.b = run.d = memory;
  EXPECT_EQ(alignment_of(run), 8U);
  run.c = memory + 16;
  EXPECT_EQ(alignment_of(run), 4U);
  run.d = memory + 2;
  EXPECT_EQ(alignment_of(run), 1U);
}

/// A product on the device whose numbers are small integers, so that every order of its sums gives the same result.
class OnDevice {
 public:
  explicit OnDevice(const LzMatmul& spec) : spec_(spec), runtime_(Runtime::of(0)) {
    const auto fill = [this](int64_t count, int64_t of) {
      std::vector<float> v(static_cast<size_t>(count));
      for (size_t k = 0; k < v.size(); ++k) v[k] = static_cast<float>(static_cast<int64_t>(k * 7) % of - of / 2);
      auto* memory = runtime_.allocate(v.size() * sizeof(float));
      runtime_.upload(memory, v.data(), v.size() * sizeof(float));
      return std::pair(v, memory);
    };
    std::tie(a_, a_there_) = fill(spec.m * spec.k, 5);
    std::tie(b_, b_there_) = fill(spec.k * spec.n, 3);
    std::tie(c_, c_there_) = fill(spec.m * spec.n, 11);
  }
  ~OnDevice() {
    for (void* memory : {a_there_, b_there_, c_there_}) runtime_.release(memory);
  }
  OnDevice(const OnDevice&) = delete;
  OnDevice& operator=(const OnDevice&) = delete;

  /// c += a b, in place, by a plan of its own.
  void add_in_place() {
    const auto plan = runtime_.make_product(spec_);
    LzMatmulRun run{};
    run.a = a_there_;
    run.b = b_there_;
    run.c = run.d = c_there_;
    run.alpha = 1;
    runtime_.run_product(*plan, run);
    ++runs_;
  }
  void expect_right() {
    std::vector<float> got(c_.size());
    runtime_.download(got.data(), c_there_, got.size() * sizeof(float));
    const auto m = static_cast<size_t>(spec_.m), n = static_cast<size_t>(spec_.n), depth = static_cast<size_t>(spec_.k);
    for (size_t i = 0; i < m; i += 37) {
      for (size_t j = 0; j < n; j += 41) {
        float sum = 0;
        for (size_t k = 0; k < depth; ++k) sum += a_[i * depth + k] * b_[k * n + j];
        ASSERT_EQ(got[i * n + j], c_[i * n + j] + static_cast<float>(runs_) * sum) << i << ", " << j;
      }
    }
  }

 private:
  LzMatmul spec_;
  Runtime& runtime_;
  std::vector<float> a_, b_, c_;
  void *a_there_ = nullptr, *b_there_ = nullptr, *c_there_ = nullptr;
  int runs_ = 0;
};

TEST(CudaProductChoice, IsMeasuredOnceKeptOnDiskAndMeasuredAgainWhenDamaged) {
  LAZULI_NEEDS_CUDA();
  if (const char* tune = std::getenv("LAZULI_TUNE"); tune != nullptr && *tune == '0') GTEST_SKIP() << "LAZULI_TUNE=0";
  const test::TempFolder folder;
  const char* before = std::getenv("LAZULI_CACHE_DIR");
  const std::string restored = before != nullptr ? before : "";
  ASSERT_EQ(setenv("LAZULI_CACHE_DIR", folder.path("cache").c_str(), 1), 0);
  LzMatmul spec = product_of(509, 640, 512);
  spec.has_c = 1;
  OnDevice product(spec);
  Runtime& runtime = Runtime::of(0);
  const size_t start = runtime.choices().measured();
  product.add_in_place();
  EXPECT_EQ(runtime.choices().measured(), start + 1) << "a product that was never seen";
  product.add_in_place();
  EXPECT_EQ(runtime.choices().measured(), start + 1) << "another plan of this process";
  runtime.choices().forget();
  product.add_in_place();
  EXPECT_EQ(runtime.choices().measured(), start + 1) << "another process";

  runtime.choices().forget();
  for (const auto& entry : std::filesystem::directory_iterator(folder.path("cache") + "/cuda")) {
    std::fstream file(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(-1, std::ios::end);
    file.put('x');
  }
  product.add_in_place();
  EXPECT_EQ(runtime.choices().measured(), start + 2) << "a damaged entry";

  runtime.choices().forget();
  LzAlgorithm wrong{};
  for (uint64_t& word : wrong.words) word = ~uint64_t{0};
  LzLibraryInfo versions{};
  ASSERT_EQ(library().api->library_info(&versions), LZ_OK);
  CodeCache::of_user().keep(choice_key(runtime.info(), versions.cublaslt_version, spec, LZ_MOST_ALIGNED), bytes_of(wrong));
  product.add_in_place();
  EXPECT_EQ(runtime.choices().measured(), start + 3) << "an algorithm that the library refuses";
  product.expect_right();
  restored.empty() ? unsetenv("LAZULI_CACHE_DIR") : setenv("LAZULI_CACHE_DIR", restored.c_str(), 1);
}

}  // namespace
}  // namespace lazuli::cuda
