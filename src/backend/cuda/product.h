// Defines Product, a matrix product as a phase of an op: by cuBLASLt where its operands suit it, else by a kernel for any strides.
#pragma once

#include <optional>

#include "backend/cuda/launch.h"

namespace lazuli::cuda {

/// One matrix of a product: the operand's last two axes, as (rows, columns) of the product or the other way round.
struct MatrixOperand {
  OperandSpec spec;
  Place place;
  bool transposed = false;
};

/// result = a @ b (+ addend) (+ bias): result row-major with a's and b's broadcast batch dims.
struct Product {
  MatrixOperand a, b;
  DType result_dtype = DType::f32;
  Place result;
  std::optional<Place> addend;  ///< like the result, row-major
  std::optional<Place> bias;    ///< as long as a row of the result
};

/// Whether cuBLASLt takes it; only then may it have an addend or bias.
bool library_takes(const Product& product);
/// The phase that computes it.
Kernel product_kernel(const KernelRequest& request, const Product& product);

}  // namespace lazuli::cuda
