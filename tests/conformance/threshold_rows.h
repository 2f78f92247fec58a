// Defines Rows, which makes the cases of one dtype of everything but products.
#pragma once

#include <string>

#include "conformance/thresholds.h"

namespace lazuli::conformance {

class Rows {
 public:
  Rows(Cases& cases, DType t) : cases_(cases), t_(t) {}
  Tensor numbers(const Shape& shape, uint64_t seed) const { return quick_numbers(t_, shape, seed); }
  /// Between 0.5 and 1.5: sums around 0 lose digits.
  Tensor positive(const Shape& shape, uint64_t seed) const { return random(t_, shape, seed, 0.5, 1.5); }
  void add(const std::string& what, OpCall call, const Tolerance& tolerance = {8, 16, 1}) const;

  void elementwise(int64_t n) const;
  /// A chain of so many steps, with two results.
  void program(int64_t n, int64_t steps) const;
  /// What works on tiles.
  void tiles(int64_t n) const;
  void adamw(int64_t n, int64_t parameters = 1) const;
  void fold(Op op, const Shape& shape, int64_t axes) const;
  /// Softmax, norms and losses of the rows of that shape.
  void rows(const Shape& shape) const;
  void rope(int64_t tokens, int64_t size) const;

  struct Heads {
    int64_t heads, kv_heads, queries, keys, size = 16, value_size = 16;
    bool causal = false, masked = false;
  };
  void attention(const Heads& h, bool gradient) const;
  /// Sequences that lie one after the other.
  void packed(int64_t tokens) const;
  /// Cross entropy of a product.
  void loss(int64_t rows, int64_t k, int64_t classes) const;

  void gather(int64_t many, int64_t inner) const;
  void along(int64_t rows, int64_t columns) const;
  void sort(int64_t rows, int64_t n, int64_t k) const;
  /// The draw of a token with every filter.
  void sample(int64_t n) const;
  void moves(int64_t n) const;
  void fills(int64_t n) const;

 private:
  Cases& cases_;
  DType t_;
};

/// make(Rows) for f32, bf16 and f16.
template <class Make>
void each_type(Cases& cases, const Make& make) {
  for (DType t : {DType::f32, DType::bf16, DType::f16}) make(Rows(cases, t));
}

}  // namespace lazuli::conformance
