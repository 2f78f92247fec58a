// Checks several adapters in one batch: each entry is what it is alone with its adapter.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lazuli/adapter.h"
#include "lazuli/error.h"
#include "lazuli/nn.h"
#include "lazuli/transforms.h"
#include "support/temp_folder.h"

namespace lazuli {
namespace {

using test::message_of;
using testing::HasSubstr;

const std::vector<LinearInfo> kNetworkLayers = {{"model.layers.0.mlp.up_proj", 6, 8}, {"model.layers.0.mlp.down_proj", 8, 6}};

Tensor numbers(const Shape& shape, uint64_t seed) {
  return random_uniform(shape, LazyTensor::scalar_int(static_cast<int64_t>(seed), DType::i64)).eval();
}

Adapter adapter(int64_t rank, std::vector<std::string> names, uint64_t seed) {
  LoRAConfig config;
  config.rank = rank;
  config.alpha = static_cast<double>(2 * rank + 1);
  config.target_modules = std::move(names);
  Adapter result = Adapter::create(kNetworkLayers, config, seed);
  std::vector<Tensor> parameters = result.parameters();
  for (size_t k = 1; k < parameters.size(); k += 2) parameters[k] = numbers(parameters[k].shape(), seed + k);
  result.set_parameters(parameters);
  return result;
}

/// Two layers with a nonlinearity between them.
struct Network {
  Linear up{numbers({8, 6}, 1), numbers({8}, 2)}, down{numbers({6, 8}, 3)};
  LazyTensor forward(const LazyTensor& x, const AdapterContext& context) const {
    return down.forward(tanh(up.forward(x, context.low_rank(0))), context.low_rank(1));
  }
};

std::vector<LazyTensor> leaves(const Adapter& a) {
  std::vector<LazyTensor> result;
  for (const Tensor& t : a.parameters()) result.push_back(LazyTensor::from_tensor(t));
  return result;
}

void expect_near(const Tensor& found, const Tensor& wanted, const std::string& what) {
  ASSERT_EQ(found.shape(), wanted.shape()) << what;
  const auto f = found.to_vector<float>(), w = wanted.to_vector<float>();
  for (size_t k = 0; k < f.size(); ++k) EXPECT_NEAR(f[k], w[k], 1e-4F * std::max(1.0F, std::abs(w[k]))) << what << " at " << k;
}

class AdapterBatch : public ::testing::Test {
 protected:
  // The second adapter has another rank and leaves a layer out.
  const std::vector<Adapter> adapters_{adapter(2, {"up_proj", "down_proj"}, 10), adapter(3, {"down_proj"}, 20)};
  const Network network_{};
  const LazyTensor x_ = LazyTensor::from_tensor(numbers({3, 5, 6}, 30));
  const std::vector<int32_t> choice_{1, -1, 0};

  LazyTensor chosen() const { return LazyTensor::from_tensor(Tensor::from_vector(choice_, {3})); }
  LazyTensor row(int64_t k) const { return slice(x_, 0, k, k + 1); }
};

TEST_F(AdapterBatch, EachEntryIsAsAloneWithItsAdapter) {
  const Tensor together = network_.forward(x_, AdapterContext(adapters_, chosen())).eval();
  for (int64_t k = 0; k < 3; ++k) {
    const int32_t c = choice_[static_cast<size_t>(k)];
    const AdapterContext context = c < 0 ? AdapterContext() : AdapterContext(adapters_[static_cast<size_t>(c)]);
    const Tensor alone = network_.forward(row(k), context).eval();
    expect_near(slice(LazyTensor::from_tensor(together), 0, k, k + 1).eval(), alone, "entry " + std::to_string(k));
  }
}

TEST_F(AdapterBatch, GradientsAreThoseOfEachEntryAlone) {
  const std::vector<std::vector<LazyTensor>> parameters{leaves(adapters_[0]), leaves(adapters_[1])};
  const LazyTensor loss = sum(square(network_.forward(x_, AdapterContext(adapters_, parameters, chosen()))));
  std::vector<LazyTensor> wanted;
  for (const auto& own : parameters) wanted.insert(wanted.end(), own.begin(), own.end());
  const LazyTensor one = LazyTensor::full({}, 1);
  const auto together = vjp({&loss, 1}, wanted, {&one, 1});
  size_t at = 0;
  for (size_t n = 0; n < 2; ++n) {
    const int64_t entry = n == 0 ? 2 : 0;
    const LazyTensor own_loss = sum(square(network_.forward(row(entry), AdapterContext(adapters_[n], parameters[n]))));
    const auto alone = vjp({&own_loss, 1}, parameters[n], {&one, 1});
    for (size_t k = 0; k < alone.size(); ++k, ++at) {
      expect_near(together[at].eval(), alone[k].eval(), "parameter " + std::to_string(k) + " of adapter " + std::to_string(n));
    }
  }
}

TEST_F(AdapterBatch, AChoiceThatIsNoAdapterIsAnError) {
  const LazyTensor wrong = LazyTensor::from_slice<int32_t>({0, 2, -1}, {3});
  const LazyTensor y = network_.forward(x_, AdapterContext(adapters_, wrong));
  EXPECT_THAT(message_of<ValueError>([&] { y.eval(); }), HasSubstr("[lora_rows] adapter 2 is out of range for size 2"));
  EXPECT_THROW(AdapterContext(adapters_, LazyTensor::full({3}, 0)), ShapeError);
  EXPECT_THROW(AdapterContext(std::span<const Adapter>(), wrong), ValueError);
}

}  // namespace
}  // namespace lazuli
