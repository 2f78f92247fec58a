// Defines Product, a matrix product as a phase of an op: by cuBLASLt where its operands suit it, by a kernel for one row, for a fixed order
// of additions, or for any strides.
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
  std::optional<Place> addend;                     ///< like the result, row-major
  std::optional<Place> bias;                       ///< as long as a row of the result
  std::optional<MatrixOperand> up = std::nullopt;  ///< of vector_product alone
};

/// Whether it is computed as it stands by cuBLASLt, or in a deterministic run by kernels of fixed order; only then may it have an addend or
/// bias.
bool takes_addends(const Product& product);
/// What kernels of any strides need as numbers of the run: m, n, k, batches, batch rank; strides of a (row, column), of b; batch dims;
/// batch strides of a; of b.
struct ProductSizes {
  explicit ProductSizes(const Product& product);
  int64_t m, n, k, batches;
  int64_t a_row, a_column, b_row, b_column;  ///< strides
  std::vector<int64_t> numbers;
};

/// The launch with the kernel text of a product and its pointers: a, b, then bias and addend where there are any. The text knows their
/// numbers as BIAS_IN and ADDEND_IN (-1: none).
Launch with_text(const KernelRequest& request, const Product& product, Launch launch, KernelText text, std::string_view body);

/// The phase that computes it.
Kernel product_kernel(const KernelRequest& request, const Product& product);

}  // namespace lazuli::cuda
