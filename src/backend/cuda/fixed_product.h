// Declares matrix products whose sums are added in one order for every number of rows, for deterministic runs.
#pragma once

#include "backend/cuda/product.h"

namespace lazuli::cuda {

/// Floats of any strides and batches.
Launch fixed_product_launch(const KernelRequest& request, const Product& product);

}  // namespace lazuli::cuda
