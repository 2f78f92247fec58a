// Defines Op, the ops by their names in ops.def. What handles any op includes operation.h alone and does not change with the table.
#pragma once

#include <string_view>

#include "lazuli/operation.h"

namespace lazuli {

/// The ops, by their names in ops.def.
enum class Op : uint8_t {
#define LAZULI_OP(name, ...) name,
#include "lazuli/ops.def"
};

/// How many ops there are.
inline constexpr int kOpCount = 0
#define LAZULI_OP(...) +1
#include "lazuli/ops.def"
    ;

/// Finds an op by its name in the table; throws ValueError.
Op parse_op(std::string_view name);

}  // namespace lazuli
