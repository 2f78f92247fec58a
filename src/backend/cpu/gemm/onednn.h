// Defines BlockProduct: one block of a bf16 matrix product by oneDNN, on the calling thread only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace lazuli::cpu {

/// c (rows, columns) f32, row-major = a (rows, k) times b (k, columns), both bf16. Blocks are computed by one thread each, so results do
/// not depend on the number of threads.
class BlockProduct {
 public:
  struct Shape {
    int64_t rows, columns, k;
    int64_t lda;              ///< distance of rows of a; k is contiguous
    int64_t b_row, b_column;  ///< strides of b, one of them 1
  };
  /// Null where this processor or this build has nothing faster than f32 kernels.
  static std::shared_ptr<const BlockProduct> make(const Shape& shape);
  virtual ~BlockProduct() = default;
  virtual size_t scratch_bytes() const = 0;
  /// `scratch`: scratch_bytes(), 64-byte aligned.
  virtual void run(const void* a, const void* b, float* c, void* scratch) const = 0;
};

/// Whether oneDNN's threads can be told to stay away; blocks are not made without that. False where it was built without OpenMP.
bool has_onednn_threads();

}  // namespace lazuli::cpu
