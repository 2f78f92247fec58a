// Defines attr::<op>::<name>, the attributes of ops by their names in ops.def.
#pragma once

#include "lazuli/operation.h"

namespace lazuli::attr {

#define LAZULI_ATTR(op, entry, name, kind) \
  namespace op {                           \
  inline constexpr AttrKey name{entry};    \
  }
#include "lazuli/ops.def"

}  // namespace lazuli::attr
