// What happens to the sums of a product before they are stored: bias, residual, activation, rounding.
#include <algorithm>

#include "backend/cpu/gemm/gemm_stages.h"
#include "lazuli/op.h"
#include "tensor/half.h"

namespace lazuli::cpu::gemm {

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

void finish_row(const GemmCut& cut, const GemmPointers& pointers, float* sums, const Block& block, int64_t row) {
  const int64_t at = cut.is_transposed ? row * cut.spec.m + block.column : (block.batch * cut.spec.m + row) * cut.spec.n + block.column;
  if (cut.spec.scaled) tile_fn(Op::mul, 2)(sums, &pointers.factor, nullptr, sums, block.columns);
  if (cut.spec.bias) combine(Op::add, sums, element(pointers.bias, cut.spec.out, block.column), cut.spec.out, block.columns);
  if (cut.spec.residual) combine(Op::add, sums, element(pointers.residual, cut.spec.out, at), cut.spec.out, block.columns);
  if (cut.spec.times) combine(Op::mul, sums, element(pointers.times, cut.spec.out, at), cut.spec.out, block.columns);
  std::byte* out = element(pointers.out, cut.spec.out, at);
  if (cut.spec.activation != nullptr) {
    float* const to = cut.spec.out == DType::f32 ? reinterpret_cast<float*>(out) : sums;
    cut.spec.activation(sums, nullptr, nullptr, to, block.columns);
    if (to != sums) return;
  }
  if (cut.spec.out == DType::f32) {
    std::copy_n(sums, block.columns, reinterpret_cast<float*>(out));
  } else {
    tile_store(cut.spec.out)(sums, out, block.columns);
  }
}

void scatter_column(const GemmCut& cut, const GemmPointers& pointers, const float* sums, const Block& block, int64_t row) {
  void* out = element(pointers.out, cut.spec.out, (block.batch * cut.spec.n + block.column) * cut.spec.m + row);
  if (cut.spec.out == DType::f32) scatter(sums, block.columns, static_cast<float*>(out), cut.spec.m);
  if (cut.spec.out == DType::bf16) scatter(sums, block.columns, static_cast<bf16*>(out), cut.spec.m);
  if (cut.spec.out == DType::f16) scatter(sums, block.columns, static_cast<f16*>(out), cut.spec.m);
}

}  // namespace

void finish(const GemmCut& cut, const GemmPointers& pointers, const Sums& sums, const Block& block) {
  if (cut.spec.scaled && cut.plain() && cut.spec.out == DType::f32 && sums.ld == cut.spec.n) {
    float* out = sums_in_result(cut, pointers, block).data;
    tile_fn(Op::mul, 2)(sums.data, &pointers.factor, nullptr, out, block.rows * cut.spec.n);
    return;
  }
  for (int64_t i = 0; i < block.rows; ++i) {
    if (cut.swapped) {
      scatter_column(cut, pointers, sums.data + i * sums.ld, block, block.row + i);
    } else {
      finish_row(cut, pointers, sums.data + i * sums.ld, block, block.row + i);
    }
  }
}

void finish_transposed(const GemmCut& cut, const GemmPointers& pointers, const Sums& sums, float* rows, const Block& block) {
  const Transpose transpose = cut.way == GemmWay::limbs ? cut.limbs->transpose : cut.f32.transpose;
  if (cut.plain() && cut.spec.out == DType::f32 && !cut.spec.scaled) {
    float* const out = static_cast<float*>(pointers.out) + block.column * cut.spec.m + block.row;
    transpose(sums.data, sums.ld, block.rows, block.columns, out, cut.spec.m);
    return;
  }
  const int64_t ld = round_up(block.rows, kChunk);
  for (int64_t j = 0; j < block.columns; j += kChunk) {
    const int64_t count = std::min(kChunk, block.columns - j);
    transpose(sums.data + j, sums.ld, block.rows, count, rows, ld);
    const Block straight{0, block.column + j, count, block.row, block.rows};
    for (int64_t i = 0; i < count; ++i) finish_row(cut, pointers, rows + i * ld, straight, straight.row + i);
  }
}

}  // namespace lazuli::cpu::gemm
