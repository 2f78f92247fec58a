// Defines the table of conformance cases: what each op is tried on.
#pragma once

#include <string>
#include <vector>

#include "conformance/data.h"
#include "conformance/harness.h"

namespace lazuli::conformance {

struct Case {
  std::string label;
  OpCall call;
  Tolerance tolerance = {};
};
using Cases = std::vector<Case>;

inline constexpr Tolerance kExact{0, 0, 0};
inline std::string label(DType dtype, const std::string& what) { return std::string(lazuli::name_of(dtype)) + " " + what; }

/// The cases of an op; nothing when the table has no row for it. Leaves and views have empty rows: they never reach a backend.
std::optional<Cases> cases_of(Op op);

// The rows' functions, one file for each group of ops.
Cases no_kernel(Op op);
Cases unary_cases(Op op);
Cases predicate_cases(Op op);
Cases cast_cases(Op op);
Cases binary_cases(Op op);
Cases logical_cases(Op op);
Cases where_cases(Op op);
Cases clip_cases(Op op);
Cases fused_cases(Op op);

Cases full_cases(Op op);
Cases arange_cases(Op op);
Cases random_cases(Op op);
Cases dropout_cases(Op op);

Cases reduce_cases(Op op);
Cases softmax_cases(Op op);
Cases norm_cases(Op op);
Cases add_norm_cases(Op op);
Cases group_norm_cases(Op op);
Cases cross_entropy_cases(Op op);
Cases adamw_cases(Op op);

Cases matmul_cases(Op op);
Cases linear_cases(Op op);
Cases linear_cross_entropy_cases(Op op);
Cases lora_cases(Op op);
Cases quantized_cases(Op op);
/// Of dequantize with a format.
Cases stored_weight_cases();
Cases lora_rows_cases(Op op);
Cases gated_linear_cases(Op op);
Cases sdpa_cases(Op op);
Cases sdpa_backward_cases(Op op);
Cases sdpa_packed_cases(Op op);
Cases rope_cases(Op op);
Cases rope_pair_cases(Op op);

Cases gather_cases(Op op);
Cases along_cases(Op op);
Cases concat_cases(Op op);
Cases pad_cases(Op op);
Cases slice_update_cases(Op op);
Cases slice_at_cases(Op op);
Cases page_update_cases(Op op);
Cases one_hot_cases(Op op);
Cases sort_cases(Op op);
Cases dequantize_cases(Op op);
Cases sample_cases(Op op);

}  // namespace lazuli::conformance
