// Defines vector_product, the product of one row with a matrix whose columns lie row by row: decoding, bound by reading the matrix.
#pragma once

#include <optional>

#include "backend/cuda/product.h"

namespace lazuli::cuda {

/// `activation(product + bias + addend)`, times the product of a with Product::up where there is one, as one kernel; nothing where the
/// product is not of that form. `activation`: Op::input for none.
std::optional<Kernel> vector_product(const KernelRequest& request, const Product& product, Op activation = {});

}  // namespace lazuli::cuda
