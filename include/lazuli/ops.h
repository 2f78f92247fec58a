// Declares the ops as functions that record: one word per op, the same from here to the kernels.
#pragma once

#include <optional>
#include <vector>

#include "lazuli/lazy_tensor.h"

namespace lazuli {

/// A number, or a rank-0 LazyTensor: a value that may change between runs of one plan.
struct ScalarArg {
  ScalarArg(double v) : number(v) {}                // NOLINT(google-explicit-constructor)
  ScalarArg(LazyTensor v) : value(std::move(v)) {}  // NOLINT(google-explicit-constructor)
  /// As an operand of the given dtype.
  LazyTensor operand(DType dtype) const;
  LazyTensor value;
  double number = 0;
};

// Elementwise; operands broadcast and are promoted to one dtype. Integers become f32 where the result cannot be an integer.
LazyTensor neg(const LazyTensor& x, Where where = Where::here());
LazyTensor abs(const LazyTensor& x, Where where = Where::here());
LazyTensor sign(const LazyTensor& x, Where where = Where::here());
LazyTensor square(const LazyTensor& x, Where where = Where::here());
LazyTensor exp(const LazyTensor& x, Where where = Where::here());
LazyTensor log(const LazyTensor& x, Where where = Where::here());
LazyTensor sqrt(const LazyTensor& x, Where where = Where::here());
LazyTensor rsqrt(const LazyTensor& x, Where where = Where::here());
LazyTensor reciprocal(const LazyTensor& x, Where where = Where::here());
LazyTensor sin(const LazyTensor& x, Where where = Where::here());
LazyTensor cos(const LazyTensor& x, Where where = Where::here());
LazyTensor tanh(const LazyTensor& x, Where where = Where::here());
LazyTensor erf(const LazyTensor& x, Where where = Where::here());
LazyTensor sigmoid(const LazyTensor& x, Where where = Where::here());
LazyTensor relu(const LazyTensor& x, Where where = Where::here());
LazyTensor gelu(const LazyTensor& x, Where where = Where::here());       ///< x * Phi(x), with erf
LazyTensor gelu_tanh(const LazyTensor& x, Where where = Where::here());  ///< tanh approximation (Hendrycks and Gimpel)
LazyTensor silu(const LazyTensor& x, Where where = Where::here());
LazyTensor logical_not(const LazyTensor& x, Where where = Where::here());
LazyTensor is_finite(const LazyTensor& x, Where where = Where::here());
LazyTensor cast(const LazyTensor& x, DType dtype, Where where = Where::here());
LazyTensor copy(const LazyTensor& x, Where where = Where::here());
LazyTensor add(const LazyTensor& a, const LazyTensor& b, Where where = Where::here());
LazyTensor sub(const LazyTensor& a, const LazyTensor& b, Where where = Where::here());
LazyTensor mul(const LazyTensor& a, const LazyTensor& b, Where where = Where::here());
LazyTensor div(const LazyTensor& a, const LazyTensor& b, Where where = Where::here());
LazyTensor pow(const LazyTensor& a, const LazyTensor& b, Where where = Where::here());
LazyTensor maximum(const LazyTensor& a, const LazyTensor& b, Where where = Where::here());
LazyTensor minimum(const LazyTensor& a, const LazyTensor& b, Where where = Where::here());
LazyTensor equal(const LazyTensor& a, const LazyTensor& b, Where where = Where::here());
LazyTensor not_equal(const LazyTensor& a, const LazyTensor& b, Where where = Where::here());
LazyTensor less(const LazyTensor& a, const LazyTensor& b, Where where = Where::here());
LazyTensor less_equal(const LazyTensor& a, const LazyTensor& b, Where where = Where::here());
LazyTensor greater(const LazyTensor& a, const LazyTensor& b, Where where = Where::here());
LazyTensor greater_equal(const LazyTensor& a, const LazyTensor& b, Where where = Where::here());
LazyTensor logical_and(const LazyTensor& a, const LazyTensor& b, Where where = Where::here());
LazyTensor logical_or(const LazyTensor& a, const LazyTensor& b, Where where = Where::here());
LazyTensor where(const LazyTensor& condition, const LazyTensor& a, const LazyTensor& b, Where at = Where::here());
LazyTensor clip(const LazyTensor& x, const ScalarArg& low, const ScalarArg& high, Where where = Where::here());
LazyTensor add_scalar(const LazyTensor& x, const ScalarArg& s, Where where = Where::here());
LazyTensor mul_scalar(const LazyTensor& x, const ScalarArg& s, Where where = Where::here());
LazyTensor pow_scalar(const LazyTensor& x, const ScalarArg& s, Where where = Where::here());

inline LazyTensor operator+(const LazyTensor& a, const LazyTensor& b) { return add(a, b, {}); }
inline LazyTensor operator-(const LazyTensor& a, const LazyTensor& b) { return sub(a, b, {}); }
inline LazyTensor operator*(const LazyTensor& a, const LazyTensor& b) { return mul(a, b, {}); }
inline LazyTensor operator/(const LazyTensor& a, const LazyTensor& b) { return div(a, b, {}); }
inline LazyTensor operator-(const LazyTensor& a) { return neg(a, {}); }
inline LazyTensor operator+(const LazyTensor& a, double s) { return add_scalar(a, s, {}); }
inline LazyTensor operator-(const LazyTensor& a, double s) { return add_scalar(a, -s, {}); }
inline LazyTensor operator*(const LazyTensor& a, double s) { return mul_scalar(a, s, {}); }
inline LazyTensor operator*(double s, const LazyTensor& a) { return mul_scalar(a, s, {}); }
inline LazyTensor operator+(double s, const LazyTensor& a) { return add_scalar(a, s, {}); }
LazyTensor operator/(const LazyTensor& a, double s);
LazyTensor operator-(double s, const LazyTensor& a);
LazyTensor operator/(double s, const LazyTensor& a);

// Views. One dim of reshape may be -1. Axes may be negative everywhere.
LazyTensor reshape(const LazyTensor& x, const Shape& shape, Where where = Where::here());
LazyTensor expand(const LazyTensor& x, const Shape& shape, Where where = Where::here());  ///< broadcast x to `shape`
LazyTensor permute(const LazyTensor& x, std::span<const int> axes, Where where = Where::here());
LazyTensor transpose(const LazyTensor& x, int a = -2, int b = -1, Where where = Where::here());
LazyTensor slice(const LazyTensor& x, std::span<const int64_t> starts, std::span<const int64_t> stops, std::span<const int64_t> steps = {},
                 Where where = Where::here());  ///< NumPy's rules; steps at least 1
LazyTensor slice(const LazyTensor& x, int axis, int64_t start, int64_t stop, int64_t step = 1, Where where = Where::here());
LazyTensor squeeze(const LazyTensor& x, int axis, Where where = Where::here());
LazyTensor unsqueeze(const LazyTensor& x, int axis, Where where = Where::here());
LazyTensor stop_gradient(const LazyTensor& x, Where where = Where::here());
/// x, computed only after `dependency`; never merged with other uses of x.
LazyTensor barrier(const LazyTensor& x, const LazyTensor& dependency, Where where = Where::here());
std::vector<LazyTensor> split(const LazyTensor& x, int parts, int axis = 0, Where where = Where::here());
std::vector<LazyTensor> split(const LazyTensor& x, std::span<const int64_t> sizes, int axis = 0, Where where = Where::here());

// Reductions over `axes` (none given: all).
LazyTensor sum(const LazyTensor& x, std::span<const int> axes = {}, bool keepdims = false, Where where = Where::here());
LazyTensor mean(const LazyTensor& x, std::span<const int> axes = {}, bool keepdims = false, Where where = Where::here());
LazyTensor max(const LazyTensor& x, std::span<const int> axes = {}, bool keepdims = false, Where where = Where::here());
LazyTensor min(const LazyTensor& x, std::span<const int> axes = {}, bool keepdims = false, Where where = Where::here());
LazyTensor logsumexp(const LazyTensor& x, std::span<const int> axes = {}, bool keepdims = false, Where where = Where::here());
LazyTensor var(const LazyTensor& x, std::span<const int> axes = {}, bool keepdims = false, int correction = 0, Where where = Where::here());
LazyTensor argmax(const LazyTensor& x, int axis = -1, bool keepdims = false, Where where = Where::here());
inline LazyTensor sum(const LazyTensor& x, std::initializer_list<int> axes, bool keepdims = false, Where where = Where::here()) {
  return sum(x, std::span<const int>(axes.begin(), axes.size()), keepdims, where);
}
inline LazyTensor mean(const LazyTensor& x, std::initializer_list<int> axes, bool keepdims = false, Where where = Where::here()) {
  return mean(x, std::span<const int>(axes.begin(), axes.size()), keepdims, where);
}
inline LazyTensor max(const LazyTensor& x, std::initializer_list<int> axes, bool keepdims = false, Where where = Where::here()) {
  return max(x, std::span<const int>(axes.begin(), axes.size()), keepdims, where);
}

/// (..., m, k) x (..., k, n); rank-1 operands as in NumPy. `transpose_a`: a is (..., k, m); `transpose_b`: b is (..., n, k).
LazyTensor matmul(const LazyTensor& a, const LazyTensor& b, bool transpose_a = false, bool transpose_b = false,
                  Where where = Where::here());
LazyTensor softmax(const LazyTensor& x, int axis = -1, Where where = Where::here());
LazyTensor log_softmax(const LazyTensor& x, int axis = -1, Where where = Where::here());
/// Zhang and Sennrich 2019: x / sqrt(mean(x^2) + eps) * weight over the last axis.
LazyTensor rms_norm(const LazyTensor& x, const LazyTensor& weight, const ScalarArg& eps = 1e-6, Where where = Where::here());
LazyTensor layer_norm(const LazyTensor& x, const LazyTensor& weight, const LazyTensor& bias, const ScalarArg& eps = 1e-5,
                      Where where = Where::here());
LazyTensor group_norm(const LazyTensor& x, int groups, const LazyTensor& weight, const LazyTensor& bias, const ScalarArg& eps = 1e-5,
                      Where where = Where::here());

LazyTensor gather(const LazyTensor& x, const LazyTensor& indices, int axis = 0, Where where = Where::here());
/// Rows of `table` (rows, size): gather along axis 0.
LazyTensor embedding(const LazyTensor& table, const LazyTensor& ids, Where where = Where::here());
LazyTensor take_along(const LazyTensor& x, const LazyTensor& indices, int axis, Where where = Where::here());
LazyTensor scatter_add(const LazyTensor& x, const LazyTensor& indices, const LazyTensor& updates, int axis = 0,
                       Where where = Where::here());
LazyTensor scatter_along_add(const LazyTensor& x, const LazyTensor& indices, const LazyTensor& updates, int axis,
                             Where where = Where::here());
LazyTensor concat(std::span<const LazyTensor> parts, int axis = 0, Where where = Where::here());
LazyTensor concat(std::initializer_list<LazyTensor> parts, int axis = 0, Where where = Where::here());
/// `low` and `high`: elements added before and after each axis, filled with `value`.
LazyTensor pad(const LazyTensor& x, std::span<const int64_t> low, std::span<const int64_t> high, const ScalarArg& value = 0.0,
               Where where = Where::here());
/// x with x[starts + k*steps] replaced by `update`; `offset` (a run-time rank-0 integer) is added to the start of `offset_axis`. Moving x
/// in donates it: the result takes its memory when nothing else holds it.
LazyTensor slice_update(LazyTensor&& x, const LazyTensor& update, std::span<const int64_t> starts, std::span<const int64_t> steps = {},
                        const LazyTensor& offset = {}, int offset_axis = 0, Where where = Where::here());
LazyTensor slice_update(const LazyTensor& x, const LazyTensor& update, std::span<const int64_t> starts, std::span<const int64_t> steps = {},
                        const LazyTensor& offset = {}, int offset_axis = 0, Where where = Where::here());
/// `size` elements of `axis` from a run-time offset on.
LazyTensor slice_at(const LazyTensor& x, const LazyTensor& offset, int64_t size, int axis, Where where = Where::here());
LazyTensor one_hot(const LazyTensor& indices, int64_t classes, DType dtype = DType::f32, Where where = Where::here());
struct ValuesAndIndices {
  LazyTensor values;
  LazyTensor indices;  ///< i32
};
ValuesAndIndices sort(const LazyTensor& x, int axis = -1, bool descending = false, Where where = Where::here());
ValuesAndIndices topk(const LazyTensor& x, int64_t k, int axis = -1, Where where = Where::here());

/// Rotary position embedding (Su et al. 2021), half-split pairing. x (..., tokens, size); cos and sin (positions, size/2).
LazyTensor rope(const LazyTensor& x, const LazyTensor& cos, const LazyTensor& sin, const LazyTensor& offset, Where where = Where::here());
struct AttentionOptions {
  bool causal = false;
  LazyTensor mask;    ///< bool (true takes part) or float (added), broadcast to (batch, heads, nq, nk)
  LazyTensor length;  ///< run-time i32: keys in use; default all
};
/// softmax(q k^T * scale) v with grouped heads: q (batch, heads, nq, size), k and v (batch, kv_heads, nk, size).
LazyTensor scaled_dot_product_attention(const LazyTensor& q, const LazyTensor& k, const LazyTensor& v, const ScalarArg& scale,
                                        const AttentionOptions& options = {}, Where where = Where::here());
enum class Reduction : uint8_t { none, mean, sum };
struct CrossEntropyOptions {
  int64_t ignore_index = -100;
  double label_smoothing = 0;
  Reduction reduction = Reduction::mean;  ///< mean over the rows that are not ignored
};
LazyTensor cross_entropy(const LazyTensor& logits, const LazyTensor& targets, const CrossEntropyOptions& options = {},
                         Where where = Where::here());
LazyTensor dropout(const LazyTensor& x, const ScalarArg& probability, const LazyTensor& seed, Where where = Where::here());
LazyTensor random_uniform(const Shape& shape, const LazyTensor& seed, DType dtype = DType::f32, Where where = Where::here());
LazyTensor random_normal(const Shape& shape, const LazyTensor& seed, DType dtype = DType::f32, Where where = Where::here());
LazyTensor random_bits(const Shape& shape, const LazyTensor& seed, Where where = Where::here());
LazyTensor arange(int64_t start, int64_t stop, int64_t step = 1, DType dtype = DType::i32, Where where = Where::here());
LazyTensor dequantize(const LazyTensor& q, const LazyTensor& scales, const LazyTensor& zero_points, int64_t group, DType dtype = DType::f32,
                      Where where = Where::here());
/// scale * (x@a)@b (Hu et al. 2021). With `transposed`, a is (r, k) and b is (n, r), as PEFT stores them.
LazyTensor lora_fused(const LazyTensor& x, const LazyTensor& a, const LazyTensor& b, const ScalarArg& scale, bool transposed = false,
                      Where where = Where::here());
/// x@w + bias + scale * (x@a)@b; with `transposed`, w is (n, k), a (r, k), b (n, r).
LazyTensor lora_linear(const LazyTensor& x, const LazyTensor& w, const LazyTensor& a, const LazyTensor& b, const ScalarArg& scale,
                       const LazyTensor& bias = {}, bool transposed = false, Where where = Where::here());

struct AdamWArgs {
  LazyTensor rate, beta1, beta2, eps, decay;  ///< rank-0 f32
  LazyTensor step;                            ///< rank-0 i32, 1 at the first step
  LazyTensor gradient_factor;                 ///< rank-0 f32 that multiplies the gradient (clipping); NaN: nothing changes
};
struct AdamWResult {
  LazyTensor parameter, m, v;
};
/// One step of AdamW (Loshchilov and Hutter 2019), as torch.optim.AdamW computes it.
AdamWResult adamw(const LazyTensor& parameter, const LazyTensor& gradient, const LazyTensor& m, const LazyTensor& v, const AdamWArgs& args,
                  Where where = Where::here());

}  // namespace lazuli
