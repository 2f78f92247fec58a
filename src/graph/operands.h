// Has operand::<op>::<name>, the operands of ops by their names in ops.def, and declares how those names are found.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "graph/ops/all.h"

namespace lazuli {

/// Names of an op's operands that have a fixed place, in their order.
std::span<const std::string_view> operand_names(Op op);
/// The name of operand k. Past the names it is the last one, which repeats; of an op without operands it is empty.
std::string_view operand_name(Op op, size_t k);

}  // namespace lazuli
