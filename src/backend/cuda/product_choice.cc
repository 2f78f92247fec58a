#include "backend/cuda/product_choice.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <chrono>
#include <cstdlib>
#include <cstring>

#include "backend/cuda/thresholds.h"

namespace lazuli::cuda {

namespace {

using threshold::product::kWorthBytes;
using threshold::product::kWorthFlops;
/// So long may one product be timed, and all of one process.
constexpr double kMostMilliseconds = 100;
constexpr int64_t kMostMicrosecondsTogether = 4'000'000;

bool tuning() {
  static const bool on = [] {
    const char* set = std::getenv("LAZULI_TUNE");
    return set == nullptr || std::string_view(set) != "0";
  }();
  return on;
}

double bytes_of_type(int type) { return type == LZ_F32 ? 4 : 2; }

/// The first of 16, 20, 24, 28, 32, 40, ... that is not below it; small numbers themselves.
int64_t step_of_rows(int64_t rows) {
  if (rows <= 16) return rows;
  const int64_t step = std::max<int64_t>(static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(rows - 1))) / 4, 1);
  return (rows + step - 1) / step * step;
}

}  // namespace

uint32_t alignment_of(const LzMatmulRun& run) {
  uintptr_t bits = uintptr_t{1} << LZ_MOST_ALIGNED;
  for (const void* operand : {run.a, run.b, run.c, static_cast<const void*>(run.d)}) bits |= reinterpret_cast<uintptr_t>(operand);
  return static_cast<uint32_t>(std::countr_zero(bits));
}

bool is_worth_measuring(const LzMatmul& m) {
  const double rows = static_cast<double>(m.m), columns = static_cast<double>(m.n), depth = static_cast<double>(m.k);
  const double batch = static_cast<double>(m.batch);
  const double flops = 2 * batch * rows * columns * depth;
  const double bytes = batch * ((rows + columns) * depth * bytes_of_type(m.type_ab) + rows * columns * bytes_of_type(m.type_d));
  return flops >= kWorthFlops || bytes >= kWorthBytes;
}

std::string choice_key(const LzDeviceInfo& device, size_t library_version, const LzMatmul& m, uint32_t alignment_log2) {
  // A transposed a has as many columns as there are rows, and the matrices of a batch lie a number of rows apart.
  const bool alone = m.batch == 1, may_step = alone && m.transpose_a == 0;
  return fmt::format(
      "product 1\n{} sm_{}{} of {} cublasLt {}\ntypes {} {} transposed {} {} sizes {} {} {} rows {} {} {} c {} bias {} align {}\n{}",
      device.name, device.major, device.minor, device.multiprocessors, library_version, m.type_ab, m.type_d, m.transpose_a, m.transpose_b,
      may_step ? step_of_rows(m.m) : m.m, m.n, m.k, m.lda, m.ldb, m.ldd, m.has_c, m.has_bias, alignment_log2,
      alone ? std::string() : fmt::format("batch {} {} {} {}", m.batch, m.stride_a, m.stride_b, m.stride_d));
}

std::string_view bytes_of(const LzAlgorithm& algorithm) { return {reinterpret_cast<const char*>(&algorithm), sizeof algorithm}; }

std::optional<LzAlgorithm> algorithm_of(const std::vector<char>& bytes) {
  LzAlgorithm algorithm{};
  if (bytes.size() != sizeof algorithm) return std::nullopt;
  std::memcpy(&algorithm, bytes.data(), sizeof algorithm);
  return algorithm;
}

std::optional<LzAlgorithm> ProductChoices::known(const CodeCache& cache, const std::string& key) {
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = by_key_.find(key); found != by_key_.end()) return found->second;
  }
  return algorithm_of(cache.find(key));
}

void ProductChoices::forget() {
  const std::lock_guard lock(mutex_);
  by_key_.clear();
}

void ProductChoices::settle(const LzCudaApi& api, LzDevice* device, const LzDeviceInfo& info, ProductPlan& plan, const LzMatmulRun& run) {
  std::atomic<bool>& settled = plan.settled[run.alignment_log2];
  LzLibraryInfo versions{};
  if (!tuning() || !is_worth_measuring(plan.spec) || api.library_info(&versions) != LZ_OK) {
    settled.store(true, std::memory_order_release);
    return;
  }
  const std::string key = choice_key(info, versions.cublaslt_version, plan.spec, run.alignment_log2);
  const CodeCache cache = CodeCache::of_user();
  std::optional<LzAlgorithm> choice = known(cache, key);
  if (choice && api.matmul_take(device, plan.plan, run.alignment_log2, &*choice) != LZ_OK) choice.reset();
  if (!choice && spent_us_.load() < kMostMicrosecondsTogether) {
    const auto begin = std::chrono::steady_clock::now();
    LzAlgorithm fastest{};
    const int status = api.matmul_measure(device, plan.plan, &run, kMostMilliseconds, &fastest);
    spent_us_ += std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - begin).count();
    if (status == LZ_OK) {
      ++measured_;
      cache.keep(key, bytes_of(fastest));
      choice = fastest;
    }
  }
  settled.store(true, std::memory_order_release);
  if (!choice) return;
  const std::lock_guard lock(mutex_);
  by_key_.insert_or_assign(key, *choice);
}

}  // namespace lazuli::cuda
