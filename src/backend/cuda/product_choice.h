// Defines ProductChoices, the algorithms of matrix products that one device measured: in memory, and on disk beside compiled kernels.
#pragma once

#include <array>
#include <atomic>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "backend/cuda/code_cache.h"
#include "backend/cuda/library/api.h"

namespace lazuli::cuda {

/// Of all matrices of a run: what LzMatmulRun::alignment_log2 says.
uint32_t alignment_of(const LzMatmulRun& run);

/// Whether a product takes so long that measuring it pays.
bool is_worth_measuring(const LzMatmul& spec);

/// Under what a choice is kept: card, version of the library, the product and the alignment of its operands. Products whose rows differ by
/// at most a quarter share one: their choices hardly differ, and every prompt has another length.
std::string choice_key(const LzDeviceInfo& device, size_t library_version, const LzMatmul& spec, uint32_t alignment_log2);

/// A choice as bytes of a cache entry, and back; nothing when they are no choice.
std::string_view bytes_of(const LzAlgorithm& algorithm);
std::optional<LzAlgorithm> algorithm_of(const std::vector<char>& bytes);

/// One product of one device. Remembers for which alignments its algorithm is settled.
struct ProductPlan {
  ProductPlan(const LzMatmul& s, LzMatmulPlan* p, void (*destroy)(LzMatmulPlan*)) : spec(s), plan(p), destroy_(destroy) {}
  ProductPlan(const ProductPlan&) = delete;
  ProductPlan& operator=(const ProductPlan&) = delete;
  ~ProductPlan() { destroy_(plan); }

  LzMatmul spec;
  LzMatmulPlan* plan;
  std::array<std::atomic<bool>, LZ_MOST_ALIGNED + 1> settled{};

 private:
  void (*destroy_)(LzMatmulPlan*);
};

/// Thread-safe. LAZULI_TUNE=0: nothing is measured or looked up, and the library's first proposal is taken.
class ProductChoices {
 public:
  /// Chooses for a product that is about to run, unless launches are being recorded. Failures leave the choice to the library.
  void settle(const LzCudaApi& api, LzDevice* device, const LzDeviceInfo& info, ProductPlan& plan, const LzMatmulRun& run);
  /// Products that were timed by this process.
  size_t measured() const { return measured_.load(); }
  /// Leaves only what is on disk, as at the start of a process.
  void forget();

 private:
  std::optional<LzAlgorithm> known(const CodeCache& cache, const std::string& key);

  std::mutex mutex_;
  std::unordered_map<std::string, LzAlgorithm> by_key_;
  std::atomic<size_t> measured_{0};
  std::atomic<int64_t> spent_us_{0};
};

}  // namespace lazuli::cuda
