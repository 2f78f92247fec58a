// Checks deterministic runs: the switch and the plans that it asks for; on a CUDA device, that a row's result is the same bits alone and in
// every batch, for single operations and for whole models.
#include "support/deterministic.h"

#include <gtest/gtest.h>

#include <cstring>
#include <functional>

#include "lazuli/embed.h"
#include "lazuli/model.h"
#include "lazuli/ops.h"
#include "lazuli/plan_cache.h"
#include "lazuli/safetensors.h"
#include "lazuli/transforms.h"
#include "support/cuda_device.h"
#include "support/temp_folder.h"
#include "support/tiny_llama.h"
#include "support/tiny_sentences.h"

namespace lazuli {
namespace {

constexpr int64_t kBatches[] = {2, 3, 8, 33};

/// Numbers in [-1, 1) by a formula.
LazyTensor numbers(const Shape& shape, uint32_t seed, DType dtype) {
  std::vector<float> v(static_cast<size_t>(shape.numel()));
  for (size_t k = 0; k < v.size(); ++k) {
    const uint32_t h = (static_cast<uint32_t>(k) + 1) * 2654435761U ^ (seed + 1) * 2246822519U;
    v[k] = static_cast<float>(h >> 8) / 8388608.0F - 1.0F;
  }
  return LazyTensor::from_tensor(cast(LazyTensor::from_tensor(Tensor::from_vector(v, shape)), dtype).eval());
}

/// `count` rows of (1, ...), the one at `place` being number 0, the others differing from it.
LazyTensor batch_of(const Shape& row, int64_t count, int64_t place, DType dtype) {
  std::vector<LazyTensor> rows;
  for (int64_t k = 0; k < count; ++k) rows.push_back(numbers(row, k == place ? 0 : static_cast<uint32_t>(k) + 1, dtype));
  return LazyTensor::from_tensor(concat(rows, 0).eval());
}

std::string bits_of(const LazyTensor& value, int64_t rows, int64_t place) {
  const Tensor t = value.eval().to(Device{}).contiguous();
  const size_t bytes = t.nbytes() / static_cast<size_t>(rows);
  return {static_cast<const char*>(t.raw()) + bytes * static_cast<size_t>(place), bytes};
}

struct RowOp {
  const char* name;
  std::function<LazyTensor(const LazyTensor& x, DType dtype)> compute;  ///< x is (batch, tokens, size)
};

LazyTensor heads_of(const LazyTensor& x) {
  constexpr int kAxes[] = {0, 2, 1, 3};
  return permute(reshape(x, {x.dim(0), x.dim(1), 4, x.dim(2) / 4}), kAxes);
}

std::vector<RowOp> products() {
  const auto w = [](const LazyTensor& x, int64_t n, uint32_t seed, DType t) { return numbers({x.dim(2), n}, seed, t); };
  return {
      {"matmul", [=](const LazyTensor& x, DType t) { return matmul(x, w(x, 96, 1, t)); }},
      {"matmul with a transposed weight",
       [](const LazyTensor& x, DType t) {
         return matmul(x, numbers({96, x.dim(2)}, 1, t), false, true);
       }},
      {"batched matmul", [](const LazyTensor& x, DType) { return matmul(x, x, false, true); }},
      {"linear", [=](const LazyTensor& x, DType t) { return matmul(x, w(x, x.dim(2), 2, t)) + numbers({x.dim(2)}, 3, t) + x; }},
      {"linear with gelu", [=](const LazyTensor& x, DType t) { return gelu(matmul(x, w(x, 80, 2, t)) + numbers({80}, 3, t)); }},
      {"lora_linear",
       [=](const LazyTensor& x, DType t) {
         return lora_linear(x, w(x, 72, 4, t), w(x, 8, 5, t), numbers({8, 72}, 6, t), 2.0);
       }},
      {"lora_fused",
       [=](const LazyTensor& x, DType t) {
         return lora_fused(x, w(x, 8, 5, t), numbers({8, 72}, 6, t), 2.0);
       }},
  };
}

std::vector<RowOp> others() {
  const auto scale = [](const LazyTensor& x) { return 2.0 / static_cast<double>(x.dim(2)); };
  const auto attend = [=](const LazyTensor& x, const AttentionOptions& options) {
    return scaled_dot_product_attention(heads_of(x), heads_of(x), heads_of(x), scale(x), options);
  };
  return {
      {"causal attention",
       [=](const LazyTensor& x, DType) {
         AttentionOptions options;
         options.causal = true;
         return attend(x, options);
       }},
      {"masked attention",
       [=](const LazyTensor& x, DType) {
         AttentionOptions options;
         options.mask = greater(numbers({x.dim(1), x.dim(1)}, 7, DType::f32), LazyTensor::full(Shape{}, -0.5, DType::f32));
         return attend(x, options);
       }},
      {"attention of the last token",
       [=](const LazyTensor& x, DType) {
         const LazyTensor last = slice(x, 1, x.dim(1) - 1, x.dim(1));
         return scaled_dot_product_attention(heads_of(last), heads_of(x), heads_of(x), scale(x));
       }},
      {"softmax", [](const LazyTensor& x, DType) { return softmax(x); }},
      {"log_softmax", [](const LazyTensor& x, DType) { return log_softmax(x); }},
      {"rms_norm", [](const LazyTensor& x, DType t) { return rms_norm(x, numbers({x.dim(2)}, 8, t)); }},
      {"layer_norm", [](const LazyTensor& x, DType t) { return layer_norm(x, numbers({x.dim(2)}, 8, t), numbers({x.dim(2)}, 9, t)); }},
      {"sum of rows", [](const LazyTensor& x, DType) { return sum(x, {2}); }},
      {"sum of columns", [](const LazyTensor& x, DType) { return sum(x, {1}); }},
      {"sum of both",
       [](const LazyTensor& x, DType) {
         return sum(x, {1, 2});
       }},
      {"mean of squares", [](const LazyTensor& x, DType) { return mean(square(x) * x, {2}, true); }},
      {"logsumexp", [](const LazyTensor& x, DType) { return logsumexp(x, std::vector<int>{1}); }},
      {"var", [](const LazyTensor& x, DType) { return var(x, std::vector<int>{1}); }},
      {"a chain",
       [](const LazyTensor& x, DType t) {
         return silu(x) * numbers({1, 1, x.dim(2)}, 10, t) + tanh(x) * 0.3;
       }},
  };
}

void expect_rows_alone(const std::vector<RowOp>& ops, const Shape& row, DType dtype) {
  for (const RowOp& op : ops) {
    const std::string alone = bits_of(op.compute(numbers(row, 0, dtype), dtype), 1, 0);
    for (const int64_t batch : kBatches) {
      for (const int64_t place : {int64_t{0}, batch - 1}) {
        const LazyTensor x = batch_of(row, batch, place, dtype);
        EXPECT_TRUE(bits_of(op.compute(x, dtype), batch, place) == alone)
            << op.name << " of " << name_of(dtype) << " " << to_string(row) << ": row " << place << " of " << batch;
      }
    }
  }
}

TEST(Deterministic, TheSwitchIsOffAtFirstAndAsksForPlansOfItsOwn) {
  EXPECT_FALSE(deterministic());
  clear_plan_cache();
  const auto compute = [] { return (numbers({3, 5}, 1, DType::f32) * numbers({3, 5}, 2, DType::f32)).eval(); };
  static_cast<void>(compute());
  const uint64_t before = plan_cache_stats().misses;
  {
    const test::Deterministic on;
    EXPECT_TRUE(deterministic());
    static_cast<void>(compute());
    EXPECT_GT(plan_cache_stats().misses, before);
  }
  const uint64_t after = plan_cache_stats().misses;
  static_cast<void>(compute());
  EXPECT_EQ(plan_cache_stats().misses, after) << "the plan from before is still there";
}

TEST(Deterministic, ACompiledFunctionFollowsTheSwitch) {
  auto f = compile([](std::span<const LazyTensor> x) { return std::vector<LazyTensor>{sum(x[0], {1})}; });
  const Tensor x = numbers({2, 5000}, 1, DType::f32).eval();
  const auto plain = f({x})[0].to_vector<float>();
  const uint64_t before = plan_cache_stats().misses;
  {
    const test::Deterministic on;
    const auto same = f({x})[0].to_vector<float>();
    EXPECT_GT(plan_cache_stats().misses, before);
    EXPECT_EQ(same, plain);  // on the CPU nothing changes
  }
  EXPECT_EQ(f({x})[0].to_vector<float>(), plain);
}

TEST(Deterministic, RowsOfTheReferenceDeviceDoNotDependOnTheBatch) {
  const test::Deterministic on;
  set_default_device({DeviceKind::reference, 0});
  expect_rows_alone(products(), {1, 3, 16}, DType::f32);
  expect_rows_alone(others(), {1, 3, 16}, DType::f32);
  set_default_device({});
}

class CudaDeterministicRows : public ::testing::TestWithParam<DType> {};

TEST_P(CudaDeterministicRows, AreTheSameBitsAloneAndInEveryBatch) {
  LAZULI_NEEDS_CUDA();
  const test::Deterministic on;
  const test::OnCuda device;
  for (const Shape& row : {Shape{1, 1, 64}, Shape{1, 3, 72}, Shape{1, 5, 68}, Shape{1, 300, 128}}) {
    expect_rows_alone(products(), row, GetParam());
    expect_rows_alone(others(), row, GetParam());
  }
  // So wide that the batches take all three tiles of the product's kernel.
  const RowOp wide = {"a wide matmul", [](const LazyTensor& x, DType t) { return matmul(x, numbers({x.dim(2), 2048}, 1, t)); }};
  expect_rows_alone({wide}, {1, 40, 256}, GetParam());
  expect_rows_alone({wide}, {1, 1, 256}, GetParam());
}

std::vector<int32_t> ids_of(int64_t row, int64_t tokens) {
  std::vector<int32_t> ids;
  for (int64_t k = 0; k < tokens; ++k) ids.push_back(static_cast<int32_t>((row * 31 + k * 17 + 3) % 64));
  return ids;
}

TEST_P(CudaDeterministicRows, OfAWholeModelAreTheSameBitsAloneAndInEveryBatch) {
  LAZULI_NEEDS_CUDA();
  const test::TempFolder folder;
  folder.write("config.json", test::kTinyLlamaConfig);
  save_safetensors(folder.path("model.safetensors"), test::tiny_llama_weights());
  const test::Deterministic on;
  const test::OnCuda device;
  const auto model = load_model(folder.path(), GetParam());
  for (const int64_t tokens : {1, 7, 100}) {
    const auto logits = [&](int64_t batch, int64_t place) {
      std::vector<int32_t> ids;
      for (int64_t k = 0; k < batch; ++k) {
        const auto row = ids_of(k == place ? 0 : k + 1, tokens);
        ids.insert(ids.end(), row.begin(), row.end());
      }
      ForwardContext context;
      context.ids = LazyTensor::from_tensor(Tensor::from_vector(ids, {batch, tokens}));
      return bits_of(model->forward(context), batch, place);
    };
    const std::string alone = logits(1, 0);
    EXPECT_TRUE(logits(1, 0) == alone) << "a second run of " << tokens << " tokens";
    for (const int64_t batch : kBatches) EXPECT_TRUE(logits(batch, batch / 2) == alone) << tokens << " tokens in a batch of " << batch;
  }
}

TEST_P(CudaDeterministicRows, OfTextsAreTheSameBitsWhateverTheyArePaddedTo) {
  LAZULI_NEEDS_CUDA();
  const test::TempFolder folder;
  test::make_tiny_sentences(folder.path("model"), "");
  const test::Deterministic on;
  const test::OnCuda device;
  Embedder embedder(EmbeddingModel::load(folder.path("model"), GetParam()));
  std::vector<std::string> texts = {"a cat", "a cat sits on the mat", "two dogs", "", "the weather is fine today, is it not?"};
  while (texts.size() < 33) texts.push_back(texts[texts.size() - 5] + " and a cat");
  const Tensor together = embedder.run(texts, {}).embeddings;
  for (size_t k = 0; k < texts.size(); k += 4) {
    const Tensor alone = embedder.run(std::vector<std::string>{texts[k]}, {}).embeddings;
    EXPECT_TRUE(bits_of(LazyTensor::from_tensor(together), 33, static_cast<int64_t>(k)) == bits_of(LazyTensor::from_tensor(alone), 1, 0))
        << texts[k];
  }
}

INSTANTIATE_TEST_SUITE_P(Dtypes, CudaDeterministicRows, ::testing::Values(DType::f32, DType::bf16, DType::f16),
                         [](const auto& param) { return std::string(name_of(param.param)); });

}  // namespace
}  // namespace lazuli
