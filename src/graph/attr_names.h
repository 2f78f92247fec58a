// Defines how the attributes of an op are written out by the printers.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "lazuli/graph.h"

namespace lazuli {

/// Name and value of each attribute worth showing, in the order of ops.def. A flag that is set has an empty value.
std::vector<std::pair<std::string, std::string>> describe_attrs(const GraphNode& node);

}  // namespace lazuli
