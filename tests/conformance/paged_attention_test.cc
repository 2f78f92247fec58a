// Tests that attention on pages is attention on the same keys one after the other.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <limits>

#include "backend/cuda/runtime.h"
#include "conformance/data.h"
#include "conformance/pages.h"
#include "graph/attention_operands.h"
#include "lazuli/error.h"
#include "lazuli/op.h"

namespace lazuli::conformance {
namespace {

/// Rows of different lengths that share their first page.
struct Paged {
  std::vector<int64_t> keys = {};  ///< of each row
  int64_t queries = 1, size = 64;
  int64_t page = 64, pages = 5;
  int64_t left = -1;
  bool causal = true;
  DType dtype = DType::f32;

  OpCall call() const {
    const auto rows = static_cast<int64_t>(keys.size()), pool = pool_for(rows, pages);
    std::vector<int32_t> lengths(keys.begin(), keys.end());
    OpCall c{Op::sdpa,
             {random(dtype, {rows, 6, queries, size}, 1), random(dtype, {pool, 2, page, size}, 2), random(dtype, {pool, 2, page, size}, 3),
              scalar(DType::f32, 2.0 / static_cast<double>(size)), vector<int32_t>(lengths), block_table(keys, pages, page)}};
    set_attention(c.attrs, causal, left, -1, std::array{AttentionPart::blocks});
    return c;
  }
};

std::vector<const Backend*> backends() {
  std::vector<const Backend*> all = {&reference_backend(), &cpu_backend()};
  if (cuda::device_count(nullptr) > 0) all.push_back(&cuda_backend());
  return all;
}

/// Lengths lie at borders of pages.
std::vector<Paged> setups() {
  std::vector<Paged> all;
  for (const int64_t queries : {1, 3, 100}) {
    for (const int64_t size : {16, 64, 128, 256}) {
      Paged s{.keys = {64, 65, 63, 128, 127, 320, 129}, .queries = queries, .size = size};
      if (queries == 100) s.keys = {128, 129, 320, 127};
      all.push_back(s);
    }
  }
  all.push_back({.keys = {1, 0, 192, 384}, .page = 192, .pages = 2});
  all.push_back({.keys = {700, 512, 257}, .queries = 2, .page = 256, .pages = 3, .causal = false});
  return all;
}

TEST(PagedAttention, HasTheBitsOfKeysOneAfterTheOther) {
  for (Paged s : setups()) {
    for (const DType dtype : {DType::f32, DType::bf16, DType::f16}) {
      s.dtype = dtype;
      const OpCall call = s.call();
      for (const Backend* backend : backends()) {
        if (backend == &reference_backend() && (s.size > 64 || s.queries * s.size > 1600)) continue;
        // Of few queries the CPU adds the values of a page, or of 256 keys, in several sums at once.
        const bool parts = backend == &cpu_backend() && s.queries < 100 && s.page % 256 != 0;
        const auto got = run(*backend, call), wanted = run(*backend, gathered(call));
        for (size_t j = 0; j < wanted.size(); ++j) {
          EXPECT_TRUE(parts ? difference(got[j], wanted[j], {8, 64, 1}).empty() : identical(got[j], wanted[j]))
              << backend->name() << " " << name_of(dtype) << ", " << s.queries << " queries of size " << s.size << ", page of " << s.page
              << ", result " << j << ": " << difference(got[j], wanted[j], {});
        }
      }
    }
  }
}

TEST(PagedAttention, WithWindowsIsWithinARounding) {
  for (const int64_t left : {9, 63, 64, 100}) {
    for (const int64_t queries : {1, 40}) {
      const OpCall call = Paged{.keys = {310, 64, 129, 200}, .queries = queries, .left = left}.call();
      for (const Backend* backend : backends()) {
        const auto got = run(*backend, call), wanted = run(*backend, gathered(call));
        for (size_t j = 0; j < wanted.size(); ++j) {
          EXPECT_EQ(difference(got[j], wanted[j], {8, 64, 1}), "")
              << backend->name() << " window " << left << ", " << queries << " queries";
        }
      }
    }
  }
}

/// The call with another number for a page of row 0.
OpCall with_block(OpCall call, size_t page, int32_t number) {
  auto blocks = call.inputs.back().to_vector<int32_t>();
  blocks[page] = number;
  call.inputs.back() = Tensor::from_vector(blocks, call.inputs.back().shape());
  return call;
}

TEST(PagedAttention, LooksUpNoPageBeforeAWindowOrBehindTheLength) {
  for (const int64_t queries : {1, 40}) {
    const OpCall call = Paged{.keys = {190, 170}, .queries = queries, .left = 9}.call();
    for (const Backend* backend : backends()) {
      const auto wanted = run(*backend, call);
      for (const int32_t number : {-1, 1 << 30, -(1 << 30)}) {
        const auto got = run(*backend, with_block(with_block(call, 1, number), 3, number));
        EXPECT_TRUE(identical(got[0], wanted[0])) << backend->name() << " " << number;
      }
    }
  }
}

/// The pool with NaN wherever a page holds a key that is not between `begin` and `end` of its row.
Tensor with_nan(const Tensor& pool, const OpCall& call, int64_t left) {
  auto values = pool.to_vector<float>();
  const auto blocks = call.inputs.back().to_vector<int32_t>();
  const auto lengths = call.inputs[4].to_vector<int64_t>();
  const int64_t pages = call.inputs.back().shape()[1], heads = pool.shape()[1], page = pool.shape()[2], size = pool.shape()[3];
  for (size_t k = 0; k < blocks.size(); ++k) {
    const int64_t length = lengths[k / static_cast<size_t>(pages)], first = static_cast<int64_t>(k) % pages * page;
    for (int64_t item = 0; blocks[k] >= 0 && item < heads * page; ++item) {
      const int64_t position = first + item % page, begin = length - call.inputs[0].shape()[2] - left;
      if (position >= begin && position < length) continue;
      std::fill_n(values.begin() + (blocks[k] * heads * page + item) * size, size, std::numeric_limits<float>::quiet_NaN());
    }
  }
  return Tensor::from_vector(values, pool.shape()).to(pool.dtype());
}

TEST(PagedAttention, WhatNoQuerySeesDoesNotReachTheResult) {
  for (const int64_t queries : {1, 40}) {
    for (const DType dtype : {DType::f32, DType::bf16}) {
      const OpCall call = Paged{.keys = {190, 170}, .queries = queries, .left = 9, .dtype = dtype}.call();
      OpCall other = call;
      for (const size_t k : {size_t{1}, size_t{2}}) other.inputs[k] = with_nan(call.inputs[k], call, 9);
      for (const Backend* backend : backends()) {
        const auto wanted = run(*backend, call), got = run(*backend, other);
        EXPECT_EQ(difference(got[0], wanted[0], {8, 64, 1}), "") << backend->name() << ", " << queries << " queries";
      }
    }
  }
}

TEST(PagedAttention, ABlockOutsideThePoolIsAnErrorWhereverItIsSeen) {
  const auto pool = static_cast<int32_t>(pool_for(2, 5));
  for (const int64_t queries : {1, 40}) {
    for (const DType dtype : {DType::f32, DType::bf16}) {
      const OpCall call = Paged{.keys = {190, 170}, .queries = queries, .dtype = dtype}.call();
      for (const Backend* backend : backends()) {
        for (size_t page = 0; page < 3; ++page) {
          for (const int32_t number : {-1, pool, 1 << 30}) {
            EXPECT_THROW(run(*backend, with_block(call, page, number)), ValueError) << backend->name() << " " << number;
          }
        }
        EXPECT_NO_THROW(run(*backend, with_block(call, 2, pool - 1)));
      }
    }
  }
}

}  // namespace
}  // namespace lazuli::conformance
