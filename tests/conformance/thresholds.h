// Defines the cases that stand just below, at and just above each threshold of a backend.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "backend/threshold.h"
#include "conformance/cases.h"

namespace lazuli::conformance {

/// Those of backend/cpu/common/thresholds.def and the numbers of its tuning that are in force.
std::vector<Threshold> cpu_thresholds();
/// Those of backend/cuda/thresholds.def.
std::vector<Threshold> cuda_thresholds();

/// Nothing when no row of the tables says what stands around the threshold. `large`: also cases that take seconds each.
std::optional<Cases> cases_around(const Threshold& threshold, bool large = false);

/// Numbers in [-1, 1) that f32 needs all its digits for, made faster than random().
Tensor quick_numbers(DType dtype, const Shape& shape, uint64_t seed);

inline constexpr DType kProductTypes[] = {DType::f32, DType::bf16, DType::f16};

/// Of a product: x (m, k), w (k, n), and the rank of a low-rank part.
struct Sizes {
  int64_t m, n, k, rank = 8;
};
/// All product ops of these sizes: every dtype and orientation for small ones, fewer for large ones.
void add_products(Cases& cases, const Sizes& sizes);
/// The same of weights of 8 and 4 bits; k is rounded down to whole groups for the latter.
void add_quantized(Cases& cases, const Sizes& sizes);

/// Products of (rows, each, k) with the matrices that they chose, and the sums of outer products of such rows; every dtype. `last`: rows of
/// the last expert, the others are spread evenly.
struct ChosenSizes {
  int64_t rows, n, k, experts = 3, last = 0;
};
void add_chosen(Cases& cases, const ChosenSizes& sizes);

/// What rows of the tables are made of.
struct Around {
  const char* name;  ///< group.constant
  void (*make)(Cases& cases, int64_t value, bool large);
};
std::vector<Around> around_products();
std::vector<Around> around_experts();
std::vector<Around> around_quantized();
std::vector<Around> around_rows();
std::vector<Around> around_cuda();

/// value - 1, value and value + 1, without what is below 1.
std::vector<int64_t> near(int64_t value, int64_t step = 1);

}  // namespace lazuli::conformance
