// Checks without a device which kernels attention takes on the cuda backend, and what their launches ask of a card.
#include <gtest/gtest.h>

#include <set>

#include "backend/cuda/launch.h"
#include "backend/cuda/thresholds.h"
#include "graph/attention_operands.h"
#include "lazuli/op.h"
#include "support/attributes.h"
#include "support/deterministic.h"

namespace lazuli::cuda {
namespace {

/// A batch of 3 with 4 heads that read 2 key heads.
struct Call {
  int64_t queries = 100, keys = 1000, size = 64, value_size = 64;
  int64_t left = -1, right = 0;
  std::vector<AttentionPart> parts = {};
  DType dtype = DType::bf16;
  int64_t page = 0, pool = 0;  ///< with the part `blocks`

  Attrs attrs() const {
    Attrs a;
    set_attention(a, false, left, right, parts);
    return a;
  }
  std::vector<OperandSpec> operands() const {
    std::vector<OperandSpec> all{row_major(DType::f32, {}), row_major(DType::i32, {3})};
    for (const AttentionPart part : parts) {
      if (part == AttentionPart::mask) all.push_back(row_major(DType::boolean, {queries, keys}));
      if (part == AttentionPart::softcap) all.push_back(row_major(DType::f32, {}));
      if (part == AttentionPart::sinks) all.push_back(row_major(DType::f32, {4}));
      if (part == AttentionPart::first_key) all.push_back(row_major(DType::i32, {3, queries}));
      if (part == AttentionPart::blocks) all.push_back(row_major(DType::i32, {3, keys / page}));
    }
    return all;
  }
  OperandSpec q() const { return row_major(dtype, {3, 4, queries, size}); }
  OperandSpec k() const { return row_major(dtype, page != 0 ? Shape{pool, 2, page, size} : Shape{3, 2, keys, size}); }
  OperandSpec v() const { return row_major(dtype, page != 0 ? Shape{pool, 2, page, value_size} : Shape{3, 2, keys, value_size}); }
  OperandSpec result() const { return row_major(dtype, {3, 4, queries, value_size}); }
  OperandSpec lse() const { return row_major(DType::f32, {3, 4, queries}); }
  PreparedOp prepare(Op op) const {
    const bool back = op == Op::sdpa_backward;
    std::vector<OperandSpec> in{q(), k(), v()}, out{result(), lse()};
    if (back) {
      in.insert(in.end(), {result(), lse(), result()});
      out = {q(), k(), v()};
    }
    for (const OperandSpec& x : operands()) in.push_back(x);
    return cuda_backend().prepare({op, attrs(), in, out, nullptr});
  }
};

std::vector<const Launch*> launches(const PreparedOp& op) {
  std::vector<const Launch*> all;
  for (const Kernel& kernel : op.phases) all.push_back(launch_of(kernel));
  return all;
}

constexpr AttentionPart kWithoutMask[] = {AttentionPart::softcap, AttentionPart::sinks, AttentionPart::first_key};

TEST(CudaAttention, OnlyAMaskOrWiderHeadsKeepItOffTheTensorCores) {
  const int64_t widest = threshold::sdpa::kWidestMma;
  for (const int64_t size : {int64_t{40}, widest}) {
    Call call{.size = size, .value_size = widest, .left = 30, .parts = {std::begin(kWithoutMask), std::end(kWithoutMask)}};
    EXPECT_STREQ(call.prepare(Op::sdpa).name, "sdpa_mma");
    EXPECT_STREQ(call.prepare(Op::sdpa_backward).name, "sdpa_mma_backward");
    call.parts.insert(call.parts.begin(), AttentionPart::mask);
    EXPECT_STREQ(call.prepare(Op::sdpa).name, "sdpa");
    EXPECT_STREQ(call.prepare(Op::sdpa_backward).name, "sdpa_backward");
  }
  EXPECT_STREQ((Call{.size = widest + 1}.prepare(Op::sdpa).name), "sdpa");
}

TEST(CudaAttention, SharedMemoryIsThatOfTheSmallestCards) {
  for (int64_t size = 16; size <= threshold::sdpa::kWidestMma; size += 16) {
    for (int64_t value_size = 16; value_size <= threshold::sdpa::kWidestMma; value_size += 16) {
      const Call call{.size = size, .value_size = value_size};
      for (const Op op : {Op::sdpa, Op::sdpa_backward}) {
        const PreparedOp prepared = call.prepare(op);
        for (const Launch* l : launches(prepared)) EXPECT_LE(l->shared_bytes, 99U << 10) << size << " and " << value_size;
      }
    }
  }
}

TEST(CudaAttention, ATextServesWindowsOfAllWidthsAndAllNumbersOfKeys) {
  for (const Op op : {Op::sdpa, Op::sdpa_backward}) {
    for (const int64_t queries : {1, 100}) {
      std::set<std::string> texts;
      size_t phases = 0;
      for (const int64_t left : {0, 10, 100000}) {
        for (const int64_t keys : {1000, 3000}) {
          const PreparedOp prepared = Call{.queries = queries, .keys = keys, .left = left, .right = 7}.prepare(op);
          phases = prepared.phases.size();
          for (const Launch* l : launches(prepared)) texts.insert(l->source);
        }
      }
      EXPECT_EQ(texts.size(), phases) << name_of(op) << " of " << queries << " queries";
    }
  }
}

TEST(CudaAttention, ATextServesPoolsOfAllSizes) {
  for (const int64_t queries : {1, 100}) {
    for (const DType dtype : {DType::f32, DType::bf16}) {
      std::set<std::string> texts;
      size_t phases = 0;
      for (const int64_t pool : {16, 5000}) {
        for (const int64_t keys : {1024, 4096}) {
          const Call call{.queries = queries, .keys = keys, .parts = {AttentionPart::blocks}, .dtype = dtype, .page = 128, .pool = pool};
          const PreparedOp prepared = call.prepare(Op::sdpa);
          phases = prepared.phases.size();
          for (const Launch* l : launches(prepared)) texts.insert(l->source);
          EXPECT_LT(prepared.bytes, 1e8) << "bytes of what is read, not of the pool";
        }
      }
      EXPECT_EQ(texts.size(), phases) << queries << " queries";
    }
  }
}

TEST(CudaAttention, DecodingDividesNoMoreKeysThanAWindowHas) {
  const auto blocks = [](int64_t left) {
    const PreparedOp op = Call{.queries = 1, .keys = 100000, .left = left}.prepare(Op::sdpa);
    EXPECT_STREQ(op.name, "sdpa_decode");
    return launch_of(op.phases[0])->grid[0];
  };
  EXPECT_EQ(blocks(threshold::sdpa::kShortestStretch - 1), 3U * 2U);
  EXPECT_EQ(blocks(2 * threshold::sdpa::kShortestStretch - 1), 2U * 3U * 2U);
  const test::Deterministic on;
  EXPECT_EQ(blocks(threshold::sdpa::kFixedStretch - 1), 2U * 3U * 2U) << "a window lies in two of the fixed stretches";
}

TEST(CudaAttention, WideGradientsOfKeysAndValuesAreTwoLaunches) {
  const auto phases = [](int64_t sizes, DType dtype) {
    return Call{.size = sizes / 2, .value_size = sizes - sizes / 2, .dtype = dtype}.prepare(Op::sdpa_backward).phases.size();
  };
  EXPECT_EQ(phases(threshold::sdpa::kWholeTiles, DType::bf16), 3U);
  EXPECT_EQ(phases(threshold::sdpa::kWholeTiles + 16, DType::bf16), 4U);
  EXPECT_EQ(phases(threshold::sdpa::kBothSums, DType::f32), 3U);
  EXPECT_EQ(phases(threshold::sdpa::kBothSums + 16, DType::f32), 4U);
}

}  // namespace
}  // namespace lazuli::cuda
