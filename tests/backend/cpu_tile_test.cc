// Checks the tile loops against double precision, on every target that the machine has.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "backend/cpu/tiles/tile.h"
#include "lazuli/op.h"
#include "support/each_target.h"
#include "tensor/convert.h"

namespace lazuli::cpu {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

double ulps(float got, double want) {
  const float nearest = static_cast<float>(want);
  if (std::isnan(want)) return std::isnan(got) ? 0.0 : 1e9;
  if (std::isinf(nearest) || std::isinf(got)) return got == nearest ? 0.0 : 1e9;
  const double ulp = std::max(std::ldexp(1.0, std::ilogb(static_cast<double>(std::fabs(nearest)) + 1e-45) - 23), 0x1p-149);
  return std::fabs(static_cast<double>(got) - want) / ulp;
}

struct Function {
  Op op;
  double (*exact)(double);
  float low, high;
  double tolerance;
};

const Function kFunctions[] = {
    {Op::exp, [](double x) { return std::exp(x); }, -104.0f, 89.0f, 1.1},
    {Op::log, [](double x) { return std::log(x); }, 0.0f, 4.0f, 1.5},
    {Op::sqrt, [](double x) { return std::sqrt(x); }, 0.0f, 9.0f, 0.51},
    {Op::rsqrt, [](double x) { return 1.0 / std::sqrt(x); }, 0.001f, 9.0f, 1.5},
    {Op::reciprocal, [](double x) { return 1.0 / x; }, -9.0f, 9.0f, 0.51},
    {Op::sin, [](double x) { return std::sin(x); }, -300.0f, 300.0f, 1.0},
    {Op::cos, [](double x) { return std::cos(x); }, -300.0f, 300.0f, 1.0},
    {Op::tanh, [](double x) { return std::tanh(x); }, -12.0f, 12.0f, 2.0},
    {Op::erf, [](double x) { return std::erf(x); }, -5.0f, 5.0f, 1.6},
    {Op::sigmoid, [](double x) { return 1.0 / (1.0 + std::exp(-x)); }, -80.0f, 80.0f, 2.6},
    {Op::silu, [](double x) { return x / (1.0 + std::exp(-x)); }, -80.0f, 80.0f, 2.6},
};

TEST(CpuTile, FunctionsAreCloseToDouble) {
  on_every_target([](const std::string&) {
    std::mt19937 engine(7);
    for (const Function& f : kFunctions) {
      std::uniform_real_distribution<float> values(f.low, f.high);
      std::vector<float> x(20003), y(x.size());
      for (size_t i = 0; i < x.size(); ++i) x[i] = i % 3 == 0 ? values(engine) * 0.01f : values(engine);
      tile_fn(f.op, 0)(x.data(), nullptr, nullptr, y.data(), static_cast<int64_t>(x.size()));
      double worst = 0;
      float at = 0;
      for (size_t i = 0; i < x.size(); ++i) {
        const double e = ulps(y[i], f.exact(static_cast<double>(x[i])));
        if (e > worst) worst = e, at = x[i];
      }
      EXPECT_LE(worst, f.tolerance) << name_of(f.op) << " at " << at;
    }
  });
}

TEST(CpuTile, GeluIsCloseToDouble) {
  on_every_target([](const std::string&) {
    std::mt19937 engine(8);
    std::uniform_real_distribution<float> values(-8.0f, 8.0f);
    std::vector<float> x(10001), exact(x.size()), by_tanh(x.size());
    for (float& v : x) v = values(engine);
    const auto n = static_cast<int64_t>(x.size());
    tile_fn(Op::gelu, 0)(x.data(), nullptr, nullptr, exact.data(), n);
    tile_fn(Op::gelu_tanh, 0)(x.data(), nullptr, nullptr, by_tanh.data(), n);
    for (size_t i = 0; i < x.size(); ++i) {
      const double v = static_cast<double>(x[i]);
      const double scale = std::fabs(v) * 2e-7;
      EXPECT_NEAR(exact[i], 0.5 * v * (1.0 + std::erf(v / std::sqrt(2.0))), scale);
      EXPECT_NEAR(by_tanh[i], 0.5 * v * (1.0 + std::tanh(0.7978845608028654 * (v + 0.044715 * v * v * v))), scale);
    }
  });
}

TEST(CpuTile, SpecialValues) {
  on_every_target([](const std::string&) {
    const std::vector<float> x = {0.0f, -0.0f, kInf, -kInf, kNan, -1.0f, 1e-42f, 3e38f, -3e38f};
    std::vector<float> y(x.size());
    auto run = [&](Op op) { tile_fn(op, 0)(x.data(), nullptr, nullptr, y.data(), static_cast<int64_t>(x.size())); };
    auto same = [&](const std::vector<float>& want) {
      for (size_t i = 0; i < x.size(); ++i) EXPECT_LE(ulps(y[i], static_cast<double>(want[i])), 2.0) << x[i] << " gives " << y[i];
    };
    run(Op::exp);
    same({1, 1, kInf, 0, kNan, std::exp(-1.0f), 1, kInf, 0});
    run(Op::log);
    same({-kInf, -kInf, kInf, kNan, kNan, kNan, std::log(1e-42f), std::log(3e38f), kNan});
    run(Op::tanh);
    same({0, -0.0f, 1, -1, kNan, std::tanh(-1.0f), 1e-42f, 1, -1});
    run(Op::erf);
    same({0, -0.0f, 1, -1, kNan, std::erf(-1.0f), 1.128379e-42f, 1, -1});
    run(Op::relu);
    same({0, 0, kInf, 0, kNan, 0, 1e-42f, 3e38f, 0});
    run(Op::is_finite);
    same({1, 1, 0, 0, 0, 1, 1, 1, 1});
    EXPECT_TRUE(std::isnan(tile_fold(Op::max)(x.data(), static_cast<int64_t>(x.size()))));
    EXPECT_TRUE(std::isnan(tile_fold(Op::min)(x.data(), static_cast<int64_t>(x.size()))));
    EXPECT_EQ(tile_fold(Op::max)(x.data(), 4), kInf);
  });
}

TEST(CpuTile, ElementsDoNotDependOnTheLengthOfTheRun) {
  on_every_target([](const std::string&) {
    std::vector<float> x(100), whole(100), part(100);
    for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i) * 0.37f - 17.0f;
    for (Op op : {Op::exp, Op::tanh, Op::erf, Op::gelu, Op::silu}) {
      tile_fn(op, 0)(x.data(), nullptr, nullptr, whole.data(), 100);
      for (int64_t at = 0; at < 100; at += 7) {
        const int64_t n = std::min<int64_t>(7, 100 - at);
        tile_fn(op, 0)(x.data() + at, nullptr, nullptr, part.data() + at, n);
      }
      EXPECT_EQ(whole, part) << name_of(op);
    }
  });
}

template <class T>
void check_round_trip() {
  std::vector<float> x;
  std::mt19937 engine(3);
  for (int i = 0; i < 5003; ++i) x.push_back(std::bit_cast<float>(static_cast<uint32_t>(engine())));
  for (float v : {0.0f, -0.0f, kInf, kNan, 65504.0f, 65519.0f, 65520.0f, 6e-8f, 1e-8f, 6.1e-5f}) x.push_back(v);
  const auto n = static_cast<int64_t>(x.size());
  std::vector<T> stored(x.size());
  std::vector<float> loaded(x.size()), rounded(x.size());
  tile_store(dtype_of<T>)(x.data(), stored.data(), n);
  tile_load(dtype_of<T>)(stored.data(), loaded.data(), n);
  tile_round(dtype_of<T>)(x.data(), nullptr, nullptr, rounded.data(), n);
  for (size_t i = 0; i < x.size(); ++i) {
    const float want = static_cast<float>(convert_element<T>(x[i]));
    EXPECT_TRUE(loaded[i] == want || (std::isnan(loaded[i]) && std::isnan(want))) << x[i] << ": " << loaded[i] << ", not " << want;
    EXPECT_TRUE(rounded[i] == want || (std::isnan(rounded[i]) && std::isnan(want)));
  }
}

TEST(CpuTile, ConversionsRoundToNearestEven) {
  on_every_target([](const std::string&) {
    check_round_trip<bf16>();
    check_round_trip<f16>();
  });
}

}  // namespace
}  // namespace lazuli::cpu
