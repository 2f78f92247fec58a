// Defines Op, the ops by their names in ops.def. Code that handles any op includes only operation.h and does not change with the table.
#pragma once

#include <string_view>

#include "lazuli/operation.h"

namespace lazuli {

/// The ops, by their names in ops.def.
enum class Op : uint8_t {
#define LAZULI_OP(name, ...) name,
#include "lazuli/ops.def"
};

/// The number of ops.
inline constexpr int kOpCount = 0
#define LAZULI_OP(...) +1
#include "lazuli/ops.def"
    ;

/// Finds an op by its name in the table; throws ValueError.
Op parse_op(std::string_view name);

}  // namespace lazuli
