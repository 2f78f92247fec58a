// Decoding on pages, from the public functions to the kernels: stored in place, found by a table, the same as in one piece.
#include <gtest/gtest.h>

#include <algorithm>

#include "lazuli/error.h"
#include "lazuli/ops.h"
#include "lazuli/plan_cache.h"
#include "lazuli/transforms.h"

namespace lazuli {
namespace {

constexpr int64_t kPage = 64, kPages = 3, kHeads = 2, kSize = 16;

Tensor filled(const Shape& shape, uint32_t x) {
  std::vector<float> values(static_cast<size_t>(shape.numel()));
  for (float& v : values) {
    x = x * 1664525u + 1013904223u;
    v = static_cast<float>(x >> 8) / static_cast<float>(1 << 24) - 0.5f;
  }
  return Tensor::from_vector(values, shape);
}

LazyTensor i32(const std::vector<int32_t>& v, const Shape& shape) { return LazyTensor::from_tensor(Tensor::from_vector(v, shape)); }

/// Keys and values of two rows, in one piece and in pages.
struct Caches {
  LazyTensor k = LazyTensor::from_tensor(Tensor::zeros(DType::f32, {2, kHeads, kPages* kPage, kSize}));
  LazyTensor v = LazyTensor::from_tensor(Tensor::zeros(DType::f32, {2, kHeads, kPages* kPage, kSize}));
  LazyTensor k_pool = LazyTensor::from_tensor(filled({8, kHeads, kPage, kSize}, 5));
  LazyTensor v_pool = LazyTensor::from_tensor(filled({8, kHeads, kPage, kSize}, 6));
  LazyTensor table = i32({4, 1, 7, 0, 6, 3}, {2, kPages});

  /// Stores tokens of both rows from their offsets on.
  void store(const Tensor& new_k, const Tensor& new_v, const LazyTensor& offset) {
    const int64_t starts[] = {0, 0, 0, 0};
    const LazyTensor a = LazyTensor::from_tensor(new_k), b = LazyTensor::from_tensor(new_v);
    k = slice_update(std::move(k), a, starts, {}, offset, 2);
    v = slice_update(std::move(v), b, starts, {}, offset, 2);
    k_pool = page_update(std::move(k_pool), a, table, offset);
    v_pool = page_update(std::move(v_pool), b, table, offset);
  }
};

TEST(PagedDecoding, GivesWhatACacheInOnePieceGives) {
  Caches c;
  std::vector<int32_t> lengths = {0, 0};
  for (const int64_t tokens : {62, 1, 1, 1, 63, 1, 30}) {
    const auto seed = static_cast<uint32_t>(lengths[0]);
    c.store(filled({2, kHeads, tokens, kSize}, seed + 1), filled({2, kHeads, tokens, kSize}, seed + 2), i32(lengths, {2}));
    // Row 1 takes one token less each time: its last one is overwritten.
    lengths = {lengths[0] + static_cast<int32_t>(tokens), std::max(lengths[1] + static_cast<int32_t>(tokens) - 1, 1)};
    const LazyTensor q = LazyTensor::from_tensor(filled({2, 2 * kHeads, tokens, kSize}, seed + 3)), length = i32(lengths, {2});
    const AttentionOptions whole{.causal = true, .length = length}, paged{.causal = true, .length = length, .blocks = c.table};
    const Tensor wanted = scaled_dot_product_attention(q, c.k, c.v, 0.25, whole).eval();
    const Tensor got = scaled_dot_product_attention(q, c.k_pool, c.v_pool, 0.25, paged).eval();
    const auto a = got.to_vector<float>(), b = wanted.to_vector<float>();
    for (size_t k = 0; k < b.size(); ++k) ASSERT_NEAR(a[k], b[k], 1e-6) << lengths[0];
  }
}

TEST(PagedDecoding, ADonatedPoolIsUpdatedInPlace) {
  LazyTensor pool = LazyTensor::from_tensor(filled({8, kHeads, kPage, kSize}, 5));
  const void* memory = pool.eval().raw();
  const LazyTensor token = LazyTensor::from_tensor(filled({2, kHeads, 1, kSize}, 1));
  EXPECT_EQ(page_update(std::move(pool), token, i32({4, 1}, {2, 1}), i32({3, 0}, {2})).eval().raw(), memory);
  EXPECT_THROW(pool.shape(), GraphError);  // NOLINT(bugprone-use-after-move): emptied by contract
}

TEST(PagedDecoding, APoolWithAnotherOwnerIsCopied) {
  const Tensor kept = filled({8, kHeads, kPage, kSize}, 5);
  const auto before = kept.to_vector<float>();
  LazyTensor pool = LazyTensor::from_tensor(kept);
  const LazyTensor token = LazyTensor::from_tensor(filled({2, kHeads, 1, kSize}, 1));
  const Tensor stored = page_update(std::move(pool), token, i32({4, 1}, {2, 1}), i32({3, 0}, {2})).eval();
  EXPECT_NE(stored.raw(), kept.raw());
  EXPECT_EQ(kept.to_vector<float>(), before);
}

TEST(PagedDecoding, LengthsAndTablesChangeWithoutANewPlan) {
  CompiledFunction step = compile([](std::span<const LazyTensor> x) {
    return std::vector<LazyTensor>{scaled_dot_product_attention(x[0], x[1], x[1], 0.25, {.causal = true, .length = x[2], .blocks = x[3]})};
  });
  const Tensor q = filled({1, kHeads, 1, kSize}, 1), pool = filled({8, kHeads, kPage, kSize}, 2);
  const auto run = [&](int32_t length, const std::vector<int32_t>& blocks) {
    const Tensor lengths = Tensor::from_vector<int32_t>({length}, {1}), table = Tensor::from_vector(blocks, {1, kPages});
    return step({q, pool, lengths, table})[0].to_vector<float>();
  };
  const auto first = run(100, {3, 5, -1});
  const auto before = plan_cache_stats();
  EXPECT_EQ(run(100, {3, 5, 900}), first);
  EXPECT_NE(run(100, {5, 3, -1}), first);
  EXPECT_NE(run(64, {3, -1, -1}), first);
  EXPECT_EQ(plan_cache_stats().misses, before.misses);
}

TEST(PagedDecoding, AllKeysAreSeenWithoutALength) {
  const LazyTensor q = LazyTensor::from_tensor(filled({1, kHeads, 1, kSize}, 1));
  const LazyTensor pool = LazyTensor::from_tensor(filled({8, kHeads, kPage, kSize}, 2)), table = i32({3, 5, 0}, {1, kPages});
  const AttentionOptions told{.length = i32({kPages * kPage}, {1}), .blocks = table};
  EXPECT_EQ(scaled_dot_product_attention(q, pool, pool, 0.25, {.blocks = table}).eval().to_vector<float>(),
            scaled_dot_product_attention(q, pool, pool, 0.25, told).eval().to_vector<float>());
  EXPECT_THROW(scaled_dot_product_attention(q, pool, pool, 0.25, {.blocks = i32({3, 5}, {2})}), ShapeError);
}

}  // namespace
}  // namespace lazuli
