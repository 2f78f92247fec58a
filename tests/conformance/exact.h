// Defines how results of products are judged: by sums in double, within what rounding alone may do to them.
#pragma once

#include <string>

#include "conformance/harness.h"

namespace lazuli::conformance {

/// Whether wrong_product() knows the call: matmul of two matrices, linear, quantized_linear, lora_fused, lora_linear, lora_rows or
/// gated_linear of f32, bf16 or f16.
bool is_product(const OpCall& call);

/// What is wrong with the result of a product, or an empty string. Wrong is what rounding does not explain: sums in f32, in any order, are
/// off by no more than `rounding` units of 2^-24 of what was added up, a stored 16-bit number by half a unit in its last place. A part of a
/// sum that is missing and a panel that is wrong or swapped are far above that. Above so many terms that it would take long, only some
/// rows are looked at: the first and the last ones, and others at equal distances.
std::string wrong_product(const OpCall& call, const Tensor& got, double rounding = 16);

}  // namespace lazuli::conformance
