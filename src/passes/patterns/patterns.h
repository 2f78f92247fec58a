// Declares the tables of fusions: each entry is a name, the forms it is written in, and its rewrite.
#pragma once

#include <vector>

#include "passes/pattern.h"

namespace lazuli::patterns {

/// What the passes over these tables share.
bool is_last_axis(const Match& m, Value reduced, Value of);
/// A rank-2 operand that a product takes as it is.
bool is_weight(const Match& m, Value v);
/// The ops that a product may apply to what it writes.
std::vector<Op> activation_ops();

/// Found before differentiation, in the order in which they build on each other.
std::vector<PatternEntry> activations();
std::vector<PatternEntry> norms();
std::vector<PatternEntry> softmax();
std::vector<PatternEntry> attention();
std::vector<PatternEntry> cross_entropy();

/// Found after differentiation.
std::vector<PatternEntry> lora();
std::vector<PatternEntry> linear();
std::vector<PatternEntry> gated_linear();
std::vector<PatternEntry> softmax_scale();

}  // namespace lazuli::patterns
