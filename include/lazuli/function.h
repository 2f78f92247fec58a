// Defines Function and ScalarFunction, the functions that transforms take and give.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "lazuli/lazy_tensor.h"

namespace lazuli {

/// A function from recorded values to recorded values.
using Function = std::function<std::vector<LazyTensor>(std::span<const LazyTensor>)>;
/// A function from recorded values to one value of one element.
using ScalarFunction = std::function<LazyTensor(std::span<const LazyTensor>)>;

}  // namespace lazuli
