// Declares which vector instruction sets the CPU's kernels are compiled for, and which of them this processor runs.
#pragma once

#include <string>
#include <vector>

namespace lazuli::cpu {

/// Names as Highway has them, the best one first; only those that this processor has.
std::vector<std::string> usable_targets();
/// What kernels run.
std::string target_in_use();
/// oneDNN's instruction set for its kernels.
std::string onednn_isa();

}  // namespace lazuli::cpu
