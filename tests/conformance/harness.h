// Defines how tests run one op directly on a backend, without graph or executor, and compare results.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "lazuli/tensor.h"

namespace lazuli::conformance {

/// One op with its operands.
struct OpCall {
  Op op;
  std::vector<Tensor> inputs = {};
  Attrs attrs = {};
  std::optional<TensorSpec> target = {};                   ///< for ops whose result is asked for
  std::shared_ptr<const ElementwiseProgram> program = {};  ///< of fused_elementwise
};

/// Ways to run that must not change a bit of the results.
struct Variant {
  int64_t chunks = 1;     ///< ranges that the tasks are cut into; they run last to first
  bool in_place = false;  ///< results take the memory of (copies of) operands where the kernel allows it
  int unused = -1;        ///< number of a result that nobody reads
  int threads = 1;        ///< that do the ranges of a phase side by side, one each; host backends only
};

/// Runs the op (on cuda:0 with cuda_backend(); results come back to the host). Checks that nothing is written outside results and scratch.
/// An unused result comes back undefined.
std::vector<Tensor> run(const Backend& backend, const OpCall& call, const Variant& variant = {});

/// How far a float may be from what is wanted: `ulps` units in its last place (`half_ulps` for 16-bit floats), and `spread` units in the
/// last place of f32 (of f64 for f64) of the largest number wanted. `floor` is such units of 1, for results that are differences of equal
/// sums, whose own size says nothing of their rounding. Other dtypes must be equal.
struct Tolerance {
  double ulps = 4;
  double spread = 4;
  double half_ulps = 1;
  double floor = 0;
};

/// What differs, with the index, or an empty string. NaN equals NaN.
std::string difference(const Tensor& got, const Tensor& wanted, const Tolerance& tolerance);
/// Same dtype, shape and bytes.
bool identical(const Tensor& a, const Tensor& b);

}  // namespace lazuli::conformance
