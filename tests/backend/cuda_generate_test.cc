// Checks what the cuda backend prepares without a device: generated texts, grids and sizes of launches, and the cache of compiled kernels.
#include <gtest/gtest.h>

#include <fstream>

#include "backend/cuda/code_cache.h"
#include "backend/cuda/generate.h"
#include "backend/cuda/launch.h"
#include "lazuli/op.h"
#include "support/attributes.h"
#include "support/temp_folder.h"

namespace lazuli::cuda {
namespace {

/// Grid, block and sizes, a line for each launch; `library` for calls of cuBLASLt.
std::string launches_of(const PreparedOp& op) {
  std::string text;
  for (const Kernel& kernel : op.phases) {
    const Launch* l = launch_of(kernel);
    if (l == nullptr) {
      text += "library\n";
      continue;
    }
    text += std::to_string(l->grid[0]) + "x" + std::to_string(l->grid[1]) + " blocks of " + std::to_string(l->block) + ":";
    for (int64_t n : l->sizes) text += " " + std::to_string(n);
    text += "\n";
  }
  return text;
}

PreparedOp prepare(Op op, const std::vector<OperandSpec>& inputs, const OperandSpec& output, const Attrs& attrs = {},
                   const ElementwiseProgram* program = nullptr) {
  return cuda_backend().prepare({op, attrs, inputs, {&output, 1}, program});
}

TEST(CudaGenerate, AProgramBecomesOneFunction) {
  ElementwiseProgram program;
  program.inputs = 2;
  program.shape = {4, 8};
  program.code = {{Op::mul, {0, 1}, DType::f32}, {Op::silu, {2}, DType::f32}, {Op::cast, {3}, DType::bf16}, {Op::add, {0, 3}, DType::f32}};
  program.outputs = {4, 5};
  const std::vector<OperandSpec> inputs = {row_major(DType::f32, {4, 8}), row_major(DType::f32, {})};
  EXPECT_EQ(element_function(program, inputs),
            "__device__ inline void element(float v0, float v1, float& y0, float& y1) {\n"
            "  const float v2 = op_mul(v0, v1);\n"
            "  const float v3 = op_silu(v2);\n"
            "  const float v4 = op_cast<bf16>(v3);\n"
            "  const float v5 = op_add(v0, v3);\n"
            "  y0 = v4;\n"
            "  y1 = v5;\n"
            "}\n");
}

TEST(CudaGenerate, IntegersAreCutToTheirWidthAfterEachStep) {
  const ElementwiseProgram program = program_of(Op::add, DType::i8, 2, {3});
  const std::vector<OperandSpec> inputs = {row_major(DType::i8, {3}), row_major(DType::i8, {3})};
  EXPECT_NE(element_function(program, inputs).find("const i64 v2 = op_cast<i8>(op_add(v0, v1));"), std::string::npos);
}

TEST(CudaGenerate, NeighbouringAxesAreMergedWhereAllOperandsAllowIt) {
  const OperandSpec whole = row_major(DType::f32, {2, 3, 4});
  OperandSpec turned = row_major(DType::f32, {2, 3, 4});
  turned.strides = {1, 8, 2};
  turned.contiguous = false;
  const OperandSpec one[] = {whole}, both[] = {whole, turned};
  EXPECT_EQ(space_of({2, 3, 4}, one, ~uint64_t{0}).dims, std::vector<int64_t>{24});
  EXPECT_EQ(space_of({2, 3, 4}, both, ~uint64_t{0}).dims, (std::vector<int64_t>{2, 12}));
}

TEST(CudaLaunches, OfAFewOpsAreTheseSizes) {
  const OperandSpec x = row_major(DType::f32, {1000, 512}), row = row_major(DType::f32, {512});
  EXPECT_EQ(launches_of(prepare(Op::exp, {x}, x)), "501x1 blocks of 256: 512000 512000 1\n");
  EXPECT_EQ(launches_of(prepare(Op::add, {x, row}, x)), "2001x1 blocks of 256: 512000 1000 512 512 1 0 1\n");
  EXPECT_EQ(launches_of(prepare(Op::softmax, {x}, x, attrs(1))), "1000x1 blocks of 128: 1000 512 1\n");
  EXPECT_EQ(launches_of(prepare(Op::sum, {x}, row_major(DType::f32, {1000}), attrs(2))),
            "1000x1 blocks of 128: 1000 512 1 512 1000 512 512 1\n");
  // A sum of everything is cut in pieces and finished by a second kernel.
  EXPECT_EQ(launches_of(prepare(Op::sum, {x}, row_major(DType::f32, {}), attrs(3))),
            "1x125 blocks of 1024: 1 512000 125 4096 512000 1\n1x1 blocks of 256: 1 512000 125 4096 512000 1\n");
}

TEST(CudaLaunches, ProductsGoToTheLibraryWhereItTakesThem) {
  const OperandSpec a = row_major(DType::bf16, {64, 32}), w = row_major(DType::bf16, {48, 32}), out = row_major(DType::bf16, {64, 48});
  EXPECT_EQ(launches_of(prepare(Op::matmul, {a, w}, out, attrs(0, 1))), "library\n");
  const OperandSpec i = row_major(DType::i32, {8, 8});
  EXPECT_EQ(launches_of(prepare(Op::matmul, {i, i}, i)), "1x1 blocks of 256: 8 8 8 1 0 8 1 8 1\n");
}

TEST(CudaLaunches, AProductOfOneRowIsOneKernelWithWhatFollows) {
  const OperandSpec x = row_major(DType::bf16, {1, 1, 896}), w = row_major(DType::bf16, {4864, 896}),
                    out = row_major(DType::bf16, {1, 1, 4864});
  Attrs silu = attrs(1, 3);
  silu.i[2] = static_cast<int64_t>(Op::silu);
  const OperandSpec bias = row_major(DType::bf16, {4864});
  EXPECT_EQ(launches_of(prepare(Op::linear, {x, w, bias, out}, out, silu)), "1216x1 blocks of 128: 4864 896 896\n");
  EXPECT_EQ(launches_of(prepare(Op::matmul, {x, w}, out, attrs(0, 1))), "1216x1 blocks of 128: 4864 896 896\n");
  // A column of the matrix is not in one piece.
  EXPECT_EQ(launches_of(prepare(Op::matmul, {x, row_major(DType::bf16, {896, 4864})}, out)), "library\n");
}

TEST(CudaLaunches, ALoraLinearAddsItsProductToTheAdaptersShare) {
  const OperandSpec x = row_major(DType::bf16, {64, 32}), w = row_major(DType::bf16, {48, 32}), a = row_major(DType::bf16, {8, 32}),
                    b = row_major(DType::bf16, {48, 8}), scale = row_major(DType::f32, {}), out = row_major(DType::bf16, {64, 48});
  Attrs transposed = attrs(1, 1);
  transposed.i[2] = 1;
  const PreparedOp op = prepare(Op::lora_linear, {x, w, a, b, scale}, out, transposed);
  EXPECT_EQ(launches_of(op), "library\n1x1 blocks of 256: 64 48 8 -1 0 1 8 0 0\nlibrary\n");
  EXPECT_EQ(op.scratch_bytes, 64 * 8 * sizeof(float));
}

TEST(CudaCodeCache, GivesBackWhatWasKeptAndTakesDamageForMissing) {
  const test::TempFolder folder;
  const CodeCache cache(folder.path("kernels"));
  EXPECT_TRUE(cache.find("key").empty());
  cache.keep("key", "code");
  EXPECT_EQ(std::string(cache.find("key").data(), 4), "code");
  EXPECT_TRUE(cache.find("another key").empty());
  for (const auto& entry : std::filesystem::directory_iterator(folder.path("kernels"))) {
    std::fstream file(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(-1, std::ios::end);
    file.put('x');
  }
  EXPECT_TRUE(cache.find("key").empty());
  cache.keep("key", "code");
  EXPECT_EQ(cache.find("key").size(), 4U);
}

TEST(CudaCodeCache, AFolderThatCannotBeMadeKeepsNothing) {
  const CodeCache cache("/proc/no such folder");
  cache.keep("key", "code");
  EXPECT_TRUE(cache.find("key").empty());
}

}  // namespace
}  // namespace lazuli::cuda
