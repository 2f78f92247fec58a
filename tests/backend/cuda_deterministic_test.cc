// Checks without a device that the launches of deterministic runs cut no row's sum by how many rows there are, and that their texts
// compile.
#include <gtest/gtest.h>

#include <functional>
#include <set>

#include "backend/cuda/launch.h"
#include "backend/cuda/runtime.h"
#include "lazuli/op.h"
#include "support/attributes.h"
#include "support/deterministic.h"

namespace lazuli::cuda {
namespace {

constexpr int64_t kBatches[] = {1, 2, 3, 8, 33, 400};
constexpr DType kDtypes[] = {DType::f32, DType::bf16, DType::f16};

PreparedOp prepare(Op op, const std::vector<OperandSpec>& inputs, const std::vector<OperandSpec>& outputs, const Attrs& a) {
  return cuda_backend().prepare({op, a, inputs, outputs, nullptr});
}

using Make = std::function<PreparedOp(int64_t batch, DType dtype)>;

/// All of a launch that decides in which order a row is added: everything but how many blocks there are, the sizes, and how many of the
/// axes along which rows lie have one element.
std::string order_of(const PreparedOp& op) {
  std::string text;
  for (const Kernel& kernel : op.phases) {
    const Launch* l = launch_of(kernel);
    if (l == nullptr) return "library";
    text += std::to_string(l->grid[1]) + " pieces, blocks of " + std::to_string(l->block) + "\n" + l->source;
    for (const char* name : {"#define KEPT ", "#define N_SIZES "}) {
      if (const size_t line = text.find(name); line != std::string::npos) text.erase(line, text.find('\n', line) - line);
    }
  }
  return text;
}

void expect_one_order(const char* what, const Make& make) {
  const test::Deterministic on;
  for (const DType dtype : kDtypes) {
    const std::string alone = order_of(make(1, dtype));
    EXPECT_NE(alone, "library") << what;
    for (const int64_t batch : kBatches) EXPECT_TRUE(order_of(make(batch, dtype)) == alone) << what << " of " << batch << " rows";
  }
}

TEST(CudaDeterministic, RowsAreSharedByTheSameThreadsInEveryBatch) {
  expect_one_order("softmax", [](int64_t b, DType t) {
    return prepare(Op::softmax, {row_major(t, {b, 700})}, {row_major(t, {b, 700})}, attrs(1));
  });
  expect_one_order("rms_norm", [](int64_t b, DType t) {
    return prepare(Op::rms_norm, {row_major(t, {b, 896}), row_major(t, {896}), row_major(DType::f32, {})}, {row_major(t, {b, 896})}, {});
  });
  expect_one_order("logsumexp", [](int64_t b, DType t) {
    return prepare(Op::logsumexp, {row_major(t, {b, 300})}, {row_major(t, {b})}, attrs(2));
  });
  expect_one_order("var of columns", [](int64_t b, DType t) {
    return prepare(Op::var, {row_major(t, {b, 40, 64})}, {row_major(t, {b, 64})}, attrs(2));
  });
}

TEST(CudaDeterministic, SumsAreCutAtTheSamePlacesInEveryBatch) {
  // Not by text: axes of one element are left out of it. Elements of a piece, pieces and threads decide.
  const auto cut = [](int64_t batch, const Shape& row, int64_t axes, const Shape& result) {
    Shape x = {batch}, out = {batch};
    for (const int64_t d : row) x.push_back(d);
    for (const int64_t d : result) out.push_back(d);
    const PreparedOp op = prepare(Op::sum, {row_major(DType::f32, x)}, {row_major(DType::f32, out)}, attrs(axes));
    const Launch& first = *launch_of(op.phases[0]);
    return std::tuple(op.phases.size(), first.grid[1], first.block, first.sizes[2], first.sizes[3]);
  };
  const test::Deterministic on;
  for (const int64_t batch : kBatches) {
    EXPECT_EQ(cut(batch, {100}, 2, {}), cut(1, {100}, 2, {})) << batch;
    EXPECT_EQ(cut(batch, {100000}, 2, {}), cut(1, {100000}, 2, {})) << batch;
    EXPECT_EQ(cut(batch, {2000, 16}, 2, {16}), cut(1, {2000, 16}, 2, {16})) << batch;
    EXPECT_EQ(cut(batch, {3, 1}, 2, {1}), cut(1, {3, 1}, 2, {1})) << batch;
  }
  // A longer row is cut at the same places: padding adds pieces and moves none.
  EXPECT_EQ(std::get<4>(cut(2, {100000}, 2, {})), std::get<4>(cut(2, {5000}, 2, {})));
}

TEST(CudaDeterministic, ProductsAreOwnKernelsWhoseTilesOnlyShareTheWork) {
  const test::Deterministic on;
  for (const DType t : kDtypes) {
    std::set<std::string> texts;
    for (const int64_t m : {1, 16, 17, 64, 1000, 40000}) {
      const PreparedOp op = prepare(Op::matmul, {row_major(t, {m, 512}), row_major(t, {512, 512})}, {row_major(t, {m, 512})}, attrs(0, 0));
      ASSERT_EQ(op.phases.size(), 1U);
      const Launch* l = launch_of(op.phases[0]);
      ASSERT_NE(l, nullptr) << "a product goes to the library";
      EXPECT_EQ(l->grid[1], 1U) << "the sum is cut";
      // Shared memory of a block on the smallest cards that are supported.
      EXPECT_LE(l->shared_bytes, 99U << 10);
      texts.insert(l->source);
    }
    EXPECT_EQ(texts.size(), t == DType::f32 ? 2U : 3U);
  }
  const PreparedOp integers =
      prepare(Op::matmul, {row_major(DType::i32, {8, 8}), row_major(DType::i32, {8, 8})}, {row_major(DType::i32, {8, 8})}, attrs(0, 0));
  EXPECT_NE(launch_of(integers.phases[0]), nullptr);
}

TEST(CudaDeterministic, ALinearLayerIsOneLaunchWithBiasAndResidual) {
  const test::Deterministic on;
  const OperandSpec x = row_major(DType::bf16, {4, 64}), w = row_major(DType::bf16, {64, 64}), b = row_major(DType::bf16, {64});
  const PreparedOp op = prepare(Op::linear, {x, w, b, x}, {x}, attrs(0, 3, 0));
  ASSERT_EQ(op.phases.size(), 1U);
  const Launch* l = launch_of(op.phases[0]);
  ASSERT_NE(l, nullptr);
  EXPECT_EQ(l->in.size(), 4U);
  EXPECT_NE(l->source.find("#define BIAS_IN 2\n#define ADDEND_IN 3\n"), std::string::npos);
}

std::vector<OperandSpec> attention(int64_t batch, int64_t queries, int64_t keys, DType dtype) {
  return {row_major(dtype, {batch, 4, queries, 64}), row_major(dtype, {batch, 2, keys, 64}), row_major(dtype, {batch, 2, keys, 64}),
          row_major(DType::f32, {}), row_major(DType::i32, {})};
}

PreparedOp sdpa(int64_t batch, int64_t queries, int64_t keys, DType dtype) {
  return prepare(Op::sdpa, attention(batch, queries, keys, dtype),
                 {row_major(dtype, {batch, 4, queries, 64}), row_major(DType::f32, {batch, 4, queries})}, attrs(1));
}

/// The number of a launch that its text finds by this name.
int64_t named(const Launch& launch, const std::string& name) {
  const std::string line = "#define " + name + " ";
  const size_t at = launch.source.find(line);
  return at == std::string::npos ? -1 : launch.sizes.at(std::stoul(launch.source.substr(at + line.size(), 4)));
}

TEST(CudaDeterministic, AttentionDividesKeysAtTheSamePlaces) {
  const test::Deterministic on;
  for (const int64_t batch : kBatches) {
    const PreparedOp op = sdpa(batch, 1, 2000, DType::bf16);
    EXPECT_STREQ(op.name, "sdpa_decode");
    EXPECT_EQ(named(*launch_of(op.phases[0]), "N_STRETCHES"), 8);
    EXPECT_EQ(named(*launch_of(op.phases[0]), "N_STRETCH"), 256);
  }
  // A text of two tokens goes through the kernel of the longer ones that it may be in a batch with.
  EXPECT_STREQ(sdpa(1, 2, 2, DType::f32).name, sdpa(8, 100, 100, DType::f32).name);
}

TEST(CudaDeterministic, TextsCompileForTheOldestAndTheNewestCard) {
#ifdef LAZULI_INSTRUMENTED
  GTEST_SKIP() << "the compiler of kernels is not built for sanitizers";
#endif
  if (library().api == nullptr) GTEST_SKIP() << library().problem;
  const test::Deterministic on;
  std::vector<PreparedOp> ops;
  const auto product = [&](DType t, int64_t m, bool transposed) {
    const Shape a = transposed ? Shape{64, m} : Shape{m, 64}, b = transposed ? Shape{512, 64} : Shape{64, 512};
    ops.push_back(prepare(Op::matmul, {row_major(t, a), row_major(t, b)}, {row_major(t, {m, 512})}, attrs(transposed, transposed)));
  };
  for (const int64_t m : {1, 64, 40000}) {
    product(DType::bf16, m, false);
    product(DType::bf16, m, true);
  }
  product(DType::f16, 64, false);
  product(DType::f32, 1, true);
  product(DType::f32, 64, false);
  ops.push_back(sdpa(2, 1, 600, DType::bf16));
  ops.push_back(sdpa(2, 100, 100, DType::bf16));
  const OperandSpec x = row_major(DType::bf16, {40, 512});
  ops.push_back(prepare(Op::sum, {row_major(DType::bf16, {3, 2000, 16})}, {row_major(DType::bf16, {3, 16})}, attrs(2)));
  ops.push_back(
      prepare(Op::layer_norm, {x, row_major(DType::bf16, {512}), row_major(DType::bf16, {512}), row_major(DType::f32, {})}, {x}, {}));
  ops.push_back(prepare(Op::silu, {x}, {x}, {}));
  const char* architecture = "sm_80";
  for (const PreparedOp& op : ops) {
    for (const Kernel& kernel : op.phases) {
      const std::string& source = launch_of(kernel)->source;
      void* code = nullptr;
      size_t bytes = 0;
      ASSERT_EQ(library().api->compile(source.c_str(), architecture, &code, &bytes), LZ_OK)
          << op.name << " for " << architecture << ": " << library().api->last_error();
      library().api->free_code(code);
    }
    architecture = std::string_view(architecture) == "sm_80" ? "sm_90" : "sm_80";
  }
}

}  // namespace
}  // namespace lazuli::cuda
