// What happens to the sums of a product before they are stored: bias, residual, activation, rounding.
#include <algorithm>

#include "backend/cpu/gemm/gemm.h"
#include "lazuli/op.h"
#include "tensor/half.h"

namespace lazuli::cpu {

namespace {

std::byte* element(void* data, DType dtype, int64_t at) {
  return static_cast<std::byte*>(data) + at * static_cast<int64_t>(size_of(dtype));
}
const std::byte* element(const void* data, DType dtype, int64_t at) {
  return static_cast<const std::byte*>(data) + at * static_cast<int64_t>(size_of(dtype));
}

/// sums[i] = op(sums[i], values[i]), values of any float dtype.
void combine(Op op, float* sums, const void* values, DType dtype, int64_t n) {
  const TileFn apply = tile_fn(op, 0);
  if (dtype == DType::f32) {
    apply(sums, static_cast<const float*>(values), nullptr, sums, n);
    return;
  }
  const TileLoad load = tile_load(dtype);
  alignas(64) float wide[kTile];
  for (int64_t i = 0; i < n; i += kTile) {
    const int64_t count = std::min(kTile, n - i);
    load(element(values, dtype, i), wide, count);
    apply(sums + i, wide, nullptr, sums + i, count);
  }
}

template <class T>
void scatter(const float* sums, int64_t n, T* out, int64_t stride) {
  for (int64_t i = 0; i < n; ++i) out[i * stride] = static_cast<T>(sums[i]);
}

}  // namespace

void Gemm::finish(const GemmPointers& pointers, const Sums& sums, const Block& block) const {
  if (spec_.scaled && plain() && spec_.out == DType::f32 && sums.ld == spec_.n) {
    float* out = sums_in_result(pointers, block).data;
    tile_fn(Op::mul, 2)(sums.data, &pointers.factor, nullptr, out, block.rows * spec_.n);
    return;
  }
  for (int64_t i = 0; i < block.rows; ++i) {
    if (swapped_) {
      scatter_column(pointers, sums.data + i * sums.ld, block, block.row + i);
    } else {
      finish_row(pointers, sums.data + i * sums.ld, block, block.row + i);
    }
  }
}

void Gemm::finish_row(const GemmPointers& pointers, float* sums, const Block& block, int64_t row) const {
  const int64_t at = is_transposed_ ? row * spec_.m + block.column : (block.batch * spec_.m + row) * spec_.n + block.column;
  if (spec_.scaled) tile_fn(Op::mul, 2)(sums, &pointers.factor, nullptr, sums, block.columns);
  if (spec_.bias) combine(Op::add, sums, element(pointers.bias, spec_.out, block.column), spec_.out, block.columns);
  if (spec_.residual) combine(Op::add, sums, element(pointers.residual, spec_.out, at), spec_.out, block.columns);
  if (spec_.times) combine(Op::mul, sums, element(pointers.times, spec_.out, at), spec_.out, block.columns);
  std::byte* out = element(pointers.out, spec_.out, at);
  if (spec_.activation != nullptr) {
    float* const to = spec_.out == DType::f32 ? reinterpret_cast<float*>(out) : sums;
    spec_.activation(sums, nullptr, nullptr, to, block.columns);
    if (to != sums) return;
  }
  if (spec_.out == DType::f32) {
    std::copy_n(sums, block.columns, reinterpret_cast<float*>(out));
  } else {
    tile_store(spec_.out)(sums, out, block.columns);
  }
}

/// `rows`: room for kChunk rows of the result.
void Gemm::finish_transposed(const GemmPointers& pointers, const Sums& sums, float* rows, const Block& block) const {
  const Transpose transpose = way_ == Way::limbs ? limbs_->transpose : f32_.transpose;
  if (plain() && spec_.out == DType::f32 && !spec_.scaled) {
    float* const out = static_cast<float*>(pointers.out) + block.column * spec_.m + block.row;
    transpose(sums.data, sums.ld, block.rows, block.columns, out, spec_.m);
    return;
  }
  const int64_t ld = round_up(block.rows, kChunk);
  for (int64_t j = 0; j < block.columns; j += kChunk) {
    const int64_t count = std::min(kChunk, block.columns - j);
    transpose(sums.data + j, sums.ld, block.rows, count, rows, ld);
    const Block straight{0, block.column + j, count, block.row, block.rows};
    for (int64_t i = 0; i < count; ++i) finish_row(pointers, rows + i * ld, straight, straight.row + i);
  }
}

void Gemm::scatter_column(const GemmPointers& pointers, const float* sums, const Block& block, int64_t row) const {
  void* out = element(pointers.out, spec_.out, (block.batch * spec_.n + block.column) * spec_.m + row);
  if (spec_.out == DType::f32) scatter(sums, block.columns, static_cast<float*>(out), spec_.m);
  if (spec_.out == DType::bf16) scatter(sums, block.columns, static_cast<bf16*>(out), spec_.m);
  if (spec_.out == DType::f16) scatter(sums, block.columns, static_cast<f16*>(out), spec_.m);
}

}  // namespace lazuli::cpu
