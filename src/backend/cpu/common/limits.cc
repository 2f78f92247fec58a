#include "backend/cpu/common/limits.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <thread>
#include <vector>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/common/limits.cc"
#include "backend/cpu/common/each_target.h"
#include "backend/cpu/common/simd.h"

HWY_BEFORE_NAMESPACE();
namespace lazuli::cpu {
namespace HWY_NAMESPACE {
namespace {

/// As many sums as hide the latency of a fused multiply-add; returns the operations done.
double multiply(int64_t steps, float* result) {
  const VF x = splat(result[0]);
  VF a = x, b = x, c = x, d = x, e = x, f = x, g = x, h = x, i = x, j = x;
  for (int64_t k = 0; k < steps; ++k) {
    a = hn::MulAdd(a, x, x);
    b = hn::MulAdd(b, x, x);
    c = hn::MulAdd(c, x, x);
    d = hn::MulAdd(d, x, x);
    e = hn::MulAdd(e, x, x);
    f = hn::MulAdd(f, x, x);
    g = hn::MulAdd(g, x, x);
    h = hn::MulAdd(h, x, x);
    i = hn::MulAdd(i, x, x);
    j = hn::MulAdd(j, x, x);
  }
  const VF all = hn::Add(hn::Add(hn::Add(a, b), hn::Add(c, d)), hn::Add(hn::Add(hn::Add(e, f), hn::Add(g, h)), hn::Add(i, j)));
  result[1] = sum_of(all);
  return 2.0 * 10.0 * static_cast<double>(steps) * static_cast<double>(lanes());
}

/// Reads n floats, a multiple of four vectors.
void read(const float* data, int64_t n, float* result) {
  const int64_t width = lanes();
  VF a = zero(), b = zero(), c = zero(), d = zero();
  for (int64_t k = 0; k < n; k += 4 * width) {
    a = hn::Add(a, load(data + k));
    b = hn::Add(b, load(data + k + width));
    c = hn::Add(c, load(data + k + 2 * width));
    d = hn::Add(d, load(data + k + 3 * width));
  }
  result[1] = sum_of(hn::Add(hn::Add(a, b), hn::Add(c, d)));
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace lazuli::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lazuli::cpu {
namespace {

HWY_EXPORT(multiply);
HWY_EXPORT(read);

constexpr int64_t kFloats = int64_t{16} << 20;
constexpr int64_t kSteps = 2'000'000;
constexpr int kRounds = 4;

using Clock = std::chrono::steady_clock;

/// The shortest of some rounds in which all threads do `work` at the same time, in seconds.
template <class Work>
double shortest(int threads, const Work& work) {
  double best = 0;
  for (int round = 0; round < kRounds; ++round) {
    std::atomic<int> waiting{threads};
    std::vector<Clock::time_point> begun(static_cast<size_t>(threads)), ended(static_cast<size_t>(threads));
    std::vector<std::thread> team;
    for (int t = 0; t < threads; ++t) {
      team.emplace_back([&, t] {
        waiting.fetch_sub(1);
        while (waiting.load() > 0) std::this_thread::yield();
        begun[static_cast<size_t>(t)] = Clock::now();
        work(t);
        ended[static_cast<size_t>(t)] = Clock::now();
      });
    }
    for (std::thread& t : team) t.join();
    const double seconds =
        std::chrono::duration<double>(*std::max_element(ended.begin(), ended.end()) - *std::min_element(begun.begin(), begun.end()))
            .count();
    if (round == 0 || seconds < best) best = seconds;
  }
  return best;
}

}  // namespace

MachineLimits measure_limits(int threads) {
  const auto count = static_cast<size_t>(threads);
  std::vector<std::vector<float>> data(count, std::vector<float>(static_cast<size_t>(kFloats), 1.0f));
  std::vector<std::vector<float>> results(count, {0.5f, 0.0f});
  MachineLimits limits;
  const auto reading = [&](int t) {
    const auto k = static_cast<size_t>(t);
    HWY_DYNAMIC_DISPATCH(read)(data[k].data(), kFloats, results[k].data());
  };
  limits.bytes_per_second = static_cast<double>(threads) * static_cast<double>(kFloats) * sizeof(float) / shortest(threads, reading);
  std::vector<double> flops(count);
  const auto multiplying = [&](int t) {
    const auto k = static_cast<size_t>(t);
    flops[k] = HWY_DYNAMIC_DISPATCH(multiply)(kSteps, results[k].data());
  };
  const double seconds = shortest(threads, multiplying);
  for (double f : flops) limits.flops_per_second += f / seconds;
  return limits;
}

}  // namespace lazuli::cpu
#endif
