// Declares the ops as functions that record: one word per op, the same from here to the kernels.
#pragma once

#include <optional>
#include <vector>

#include "lazuli/lazy_tensor.h"
#include "lazuli/quant_format.h"

namespace lazuli {

/// A number, or a rank-0 LazyTensor: a value that may change between runs of one plan.
struct ScalarArg {
  ///@{
  /// From a number, or a value of rank 0.
  ScalarArg(double v) : number(v) {}                // NOLINT(google-explicit-constructor)
  ScalarArg(LazyTensor v) : value(std::move(v)) {}  // NOLINT(google-explicit-constructor)
  ///@}
  /// As an operand of the given dtype; beyond the range of an integer dtype its nearest number.
  LazyTensor operand(DType dtype) const;
  LazyTensor value;   ///< empty: `number` counts
  double number = 0;  ///< when there is no value
};

///@{
/// Elementwise functions of one operand; angles are in radians. Of an integer, those from `exp` on give f32.
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
///@}
/// The error function, 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x.
LazyTensor erf(const LazyTensor& x, Where where = Where::here());
/// 1 / (1 + exp(-x)).
LazyTensor sigmoid(const LazyTensor& x, Where where = Where::here());
/// max(x, 0).
LazyTensor relu(const LazyTensor& x, Where where = Where::here());
LazyTensor gelu(const LazyTensor& x, Where where = Where::here());       ///< x * Phi(x), with erf
LazyTensor gelu_tanh(const LazyTensor& x, Where where = Where::here());  ///< tanh approximation (Hendrycks and Gimpel)
/// x * sigmoid(x) (Elfwing et al. 2017).
LazyTensor silu(const LazyTensor& x, Where where = Where::here());
///@{
/// Whether x is 0, and whether it is neither infinite nor NaN: bool.
LazyTensor logical_not(const LazyTensor& x, Where where = Where::here());
LazyTensor is_finite(const LazyTensor& x, Where where = Where::here());
///@}
/// Elements converted by Tensor::to's rules.
LazyTensor cast(const LazyTensor& x, DType dtype, Where where = Where::here());
/// A row-major copy that shares no memory with x.
LazyTensor copy(const LazyTensor& x, Where where = Where::here());
///@{
/// Elementwise functions of two operands, which broadcast as in NumPy and are promoted to one dtype (see `promote`). Throw ShapeError.
/// `div` and `pow` of integers give f32.
LazyTensor add(const LazyTensor& a, const LazyTensor& b, Where where = Where::here());
LazyTensor sub(const LazyTensor& a, const LazyTensor& b, Where where = Where::here());
LazyTensor mul(const LazyTensor& a, const LazyTensor& b, Where where = Where::here());
LazyTensor div(const LazyTensor& a, const LazyTensor& b, Where where = Where::here());
LazyTensor pow(const LazyTensor& a, const LazyTensor& b, Where where = Where::here());
LazyTensor maximum(const LazyTensor& a, const LazyTensor& b, Where where = Where::here());
LazyTensor minimum(const LazyTensor& a, const LazyTensor& b, Where where = Where::here());
///@}
///@{
/// Comparisons, with broadcasting: bool. Nothing is equal to a NaN.
LazyTensor equal(const LazyTensor& a, const LazyTensor& b, Where where = Where::here());
LazyTensor not_equal(const LazyTensor& a, const LazyTensor& b, Where where = Where::here());
LazyTensor less(const LazyTensor& a, const LazyTensor& b, Where where = Where::here());
LazyTensor less_equal(const LazyTensor& a, const LazyTensor& b, Where where = Where::here());
LazyTensor greater(const LazyTensor& a, const LazyTensor& b, Where where = Where::here());
LazyTensor greater_equal(const LazyTensor& a, const LazyTensor& b, Where where = Where::here());
///@}
///@{
/// Of operands that are converted to bool, with broadcasting.
LazyTensor logical_and(const LazyTensor& a, const LazyTensor& b, Where where = Where::here());
LazyTensor logical_or(const LazyTensor& a, const LazyTensor& b, Where where = Where::here());
///@}
/// a where the condition (bool) is true, b elsewhere; all three broadcast.
LazyTensor where(const LazyTensor& condition, const LazyTensor& a, const LazyTensor& b, Where at = Where::here());
/// min(max(x, low), high).
LazyTensor clip(const LazyTensor& x, const ScalarArg& low, const ScalarArg& high, Where where = Where::here());
///@{
/// With a number of rank 0, which is no part of a plan's identity: another number runs the same plan.
LazyTensor add_scalar(const LazyTensor& x, const ScalarArg& s, Where where = Where::here());
LazyTensor mul_scalar(const LazyTensor& x, const ScalarArg& s, Where where = Where::here());
LazyTensor pow_scalar(const LazyTensor& x, const ScalarArg& s, Where where = Where::here());
///@}

///@{
/// The functions above as operators.
inline LazyTensor operator+(const LazyTensor& a, const LazyTensor& b) { return add(a, b, {}); }
inline LazyTensor operator-(const LazyTensor& a, const LazyTensor& b) { return sub(a, b, {}); }
inline LazyTensor operator*(const LazyTensor& a, const LazyTensor& b) { return mul(a, b, {}); }
inline LazyTensor operator/(const LazyTensor& a, const LazyTensor& b) { return div(a, b, {}); }
inline LazyTensor operator-(const LazyTensor& a) { return neg(a, {}); }
inline LazyTensor operator+(const LazyTensor& a, double s) { return add_scalar(a, s, {}); }
inline LazyTensor operator*(const LazyTensor& a, double s) { return mul_scalar(a, s, {}); }
inline LazyTensor operator*(double s, const LazyTensor& a) { return mul_scalar(a, s, {}); }
inline LazyTensor operator+(double s, const LazyTensor& a) { return add_scalar(a, s, {}); }
LazyTensor operator/(const LazyTensor& a, double s);
LazyTensor operator-(const LazyTensor& a, double s);
LazyTensor operator-(double s, const LazyTensor& a);
LazyTensor operator/(double s, const LazyTensor& a);
///@}

// Views. Axes may be negative everywhere.
/// The same elements in row-major order with another shape, one dim of which may be -1. Throws ShapeError for another count.
LazyTensor reshape(const LazyTensor& x, const Shape& shape, Where where = Where::here());
LazyTensor expand(const LazyTensor& x, const Shape& shape, Where where = Where::here());  ///< broadcast x to `shape`
///@{
/// Axis k of the result is axis `axes[k]` of x; `transpose` swaps two axes.
LazyTensor permute(const LazyTensor& x, std::span<const int> axes, Where where = Where::here());
LazyTensor transpose(const LazyTensor& x, int a = -2, int b = -1, Where where = Where::here());
///@}
///@{
/// x[start:stop:step] along every axis, or along one, by NumPy's rules; steps are at least 1.
LazyTensor slice(const LazyTensor& x, std::span<const int64_t> starts, std::span<const int64_t> stops, std::span<const int64_t> steps = {},
                 Where where = Where::here());
LazyTensor slice(const LazyTensor& x, int axis, int64_t start, int64_t stop, int64_t step = 1, Where where = Where::here());
///@}
///@{
/// Takes away an axis of size 1, or puts one in at `axis`. Throw ShapeError.
LazyTensor squeeze(const LazyTensor& x, int axis, Where where = Where::here());
LazyTensor unsqueeze(const LazyTensor& x, int axis, Where where = Where::here());
///@}
/// x, through which no gradient flows.
LazyTensor stop_gradient(const LazyTensor& x, Where where = Where::here());
/// x, computed only after `dependency`; never merged with other uses of x.
LazyTensor barrier(const LazyTensor& x, const LazyTensor& dependency, Where where = Where::here());
///@{
/// Parts along an axis, equal ones or of the given sizes, which must fill it. Throw ShapeError.
std::vector<LazyTensor> split(const LazyTensor& x, int parts, int axis = 0, Where where = Where::here());
std::vector<LazyTensor> split(const LazyTensor& x, std::span<const int64_t> sizes, int axis = 0, Where where = Where::here());
///@}

///@{
/// Reductions over `axes` (none given: all), which stay with size 1 where `keepdims` says so. `mean` and `logsumexp` of integers give f32.
LazyTensor sum(const LazyTensor& x, std::span<const int> axes = {}, bool keepdims = false, Where where = Where::here());
LazyTensor mean(const LazyTensor& x, std::span<const int> axes = {}, bool keepdims = false, Where where = Where::here());
LazyTensor max(const LazyTensor& x, std::span<const int> axes = {}, bool keepdims = false, Where where = Where::here());
LazyTensor min(const LazyTensor& x, std::span<const int> axes = {}, bool keepdims = false, Where where = Where::here());
LazyTensor logsumexp(const LazyTensor& x, std::span<const int> axes = {}, bool keepdims = false, Where where = Where::here());
///@}
/// The sum of squared distances from the mean, divided by n - `correction` (0 or 1).
LazyTensor var(const LazyTensor& x, std::span<const int> axes = {}, bool keepdims = false, int correction = 0, Where where = Where::here());
/// Index of the largest element along an axis: i32, the first of equals.
LazyTensor argmax(const LazyTensor& x, int axis = -1, bool keepdims = false, Where where = Where::here());
///@{
/// The same with the axes in braces.
inline LazyTensor sum(const LazyTensor& x, std::initializer_list<int> axes, bool keepdims = false, Where where = Where::here()) {
  return sum(x, std::span<const int>(axes.begin(), axes.size()), keepdims, where);
}
inline LazyTensor mean(const LazyTensor& x, std::initializer_list<int> axes, bool keepdims = false, Where where = Where::here()) {
  return mean(x, std::span<const int>(axes.begin(), axes.size()), keepdims, where);
}
inline LazyTensor max(const LazyTensor& x, std::initializer_list<int> axes, bool keepdims = false, Where where = Where::here()) {
  return max(x, std::span<const int>(axes.begin(), axes.size()), keepdims, where);
}
///@}

/// (..., m, k) x (..., k, n); rank-1 operands as in NumPy. `transpose_a`: a is (..., k, m); `transpose_b`: b is (..., n, k).
LazyTensor matmul(const LazyTensor& a, const LazyTensor& b, bool transpose_a = false, bool transpose_b = false,
                  Where where = Where::here());
///@{
/// exp(x) / sum(exp(x)) along an axis, and its logarithm; the largest element is taken off first.
LazyTensor softmax(const LazyTensor& x, int axis = -1, Where where = Where::here());
LazyTensor log_softmax(const LazyTensor& x, int axis = -1, Where where = Where::here());
///@}
/// Zhang and Sennrich 2019: x / sqrt(mean(x^2) + eps) * weight over the last axis.
LazyTensor rms_norm(const LazyTensor& x, const LazyTensor& weight, const ScalarArg& eps = 1e-6, Where where = Where::here());
/// Ba et al. 2016: (x - mean) / sqrt(variance + eps) * weight + bias over the last axis.
LazyTensor layer_norm(const LazyTensor& x, const LazyTensor& weight, const LazyTensor& bias, const ScalarArg& eps = 1e-5,
                      Where where = Where::here());
/// Wu and He 2018: x (batch, channels, ...), normalised over each of `groups` groups of channels; weight and bias (channels).
LazyTensor group_norm(const LazyTensor& x, int groups, const LazyTensor& weight, const LazyTensor& bias, const ScalarArg& eps = 1e-5,
                      Where where = Where::here());

/// Entries of x along an axis: x's shape with the axis replaced by the shape of `indices` (i32 or i64). An index outside the axis is an
/// error of the run.
LazyTensor gather(const LazyTensor& x, const LazyTensor& indices, int axis = 0, Where where = Where::here());
/// Rows of `table` (rows, size): gather along axis 0.
LazyTensor embedding(const LazyTensor& table, const LazyTensor& ids, Where where = Where::here());
/// Element by element: result[i][j] = x[i][indices[i][j]] for axis 1; `indices` has x's rank.
LazyTensor take_along(const LazyTensor& x, const LazyTensor& indices, int axis, Where where = Where::here());
/// x with `updates` added at the indices along an axis; the adjoint of `gather`.
LazyTensor scatter_add(const LazyTensor& x, const LazyTensor& indices, const LazyTensor& updates, int axis = 0,
                       Where where = Where::here());
/// The adjoint of `take_along`.
LazyTensor scatter_along_add(const LazyTensor& x, const LazyTensor& indices, const LazyTensor& updates, int axis,
                             Where where = Where::here());
///@{
/// The parts one after the other along an axis; their other dims are equal. Throw ShapeError.
LazyTensor concat(std::span<const LazyTensor> parts, int axis = 0, Where where = Where::here());
LazyTensor concat(std::initializer_list<LazyTensor> parts, int axis = 0, Where where = Where::here());
///@}
/// `low` and `high`: elements added before and after each axis, filled with `value`. Throws ValueError for one that x's dtype does not
/// hold.
LazyTensor pad(const LazyTensor& x, std::span<const int64_t> low, std::span<const int64_t> high, const ScalarArg& value = 0.0,
               Where where = Where::here());
///@{
/// x with x[starts + k*steps] replaced by `update`; `offset` (a run-time integer: rank 0, or one for each row of axis 0) is added to the
/// start of `offset_axis`. Moving x in donates it: the result takes its memory when nothing else holds it.
LazyTensor slice_update(LazyTensor&& x, const LazyTensor& update, std::span<const int64_t> starts, std::span<const int64_t> steps = {},
                        const LazyTensor& offset = {}, int offset_axis = 0, Where where = Where::here());
LazyTensor slice_update(const LazyTensor& x, const LazyTensor& update, std::span<const int64_t> starts, std::span<const int64_t> steps = {},
                        const LazyTensor& offset = {}, int offset_axis = 0, Where where = Where::here());
///@}
///@{
/// Stores keys or values where scaled_dot_product_attention finds them by `blocks`. pool (blocks, heads, page, size) with x (batch, heads,
/// tokens, size) written into it: token t of row b, at position p = offset[b] + t, becomes pool[blocks[b, p / page], :, p % page]. blocks
/// (batch, pages) i32; offset: run-time integer, rank 0 or (batch). Tokens of a page of number -1 are left out. The rows' blocks that are
/// written must be distinct, otherwise either token may stay. Has no gradient. Moving the pool in donates it, as for slice_update. The run
/// throws ValueError for another number outside the pool and for a token before the first or behind the last page.
LazyTensor page_update(LazyTensor&& pool, const LazyTensor& x, const LazyTensor& blocks, const LazyTensor& offset,
                       Where where = Where::here());
LazyTensor page_update(const LazyTensor& pool, const LazyTensor& x, const LazyTensor& blocks, const LazyTensor& offset,
                       Where where = Where::here());
///@}
/// `size` elements of `axis` from a run-time offset on.
LazyTensor slice_at(const LazyTensor& x, const LazyTensor& offset, int64_t size, int axis, Where where = Where::here());
/// (...) -> (..., classes): 1 at the index, 0 elsewhere.
LazyTensor one_hot(const LazyTensor& indices, int64_t classes, DType dtype = DType::f32, Where where = Where::here());
/// Chosen elements, and where they were along the axis.
struct ValuesAndIndices {
  LazyTensor values;   ///< of x's dtype
  LazyTensor indices;  ///< i32
};
///@{
/// Along an axis: all elements in order, or the k largest in descending order. Stable; NaN comes last.
ValuesAndIndices sort(const LazyTensor& x, int axis = -1, bool descending = false, Where where = Where::here());
ValuesAndIndices topk(const LazyTensor& x, int64_t k, int axis = -1, Where where = Where::here());
///@}

/// Rotary position embedding (Su et al. 2021), half-split pairing. x (..., tokens, size); cos and sin (positions, size/2); offset: run-time
/// i32, the position of the first token, rank 0 or one for each row of axis 0.
LazyTensor rope(const LazyTensor& x, const LazyTensor& cos, const LazyTensor& sin, const LazyTensor& offset, Where where = Where::here());
/// What a query may see, and what becomes of scores. Query t of nq is at position length - nq + t.
struct AttentionOptions {
  bool causal = false;                    ///< it sees no key after its position
  int64_t window_left = -1;               ///< keys before its position that it sees (Beltagy et al. 2020); -1: all
  int64_t window_right = -1;              ///< keys after its position that it sees; -1: all
  LazyTensor mask = {};                   ///< bool (true takes part) or float (added), broadcast to (batch, heads, nq, nk)
  LazyTensor length = {};                 ///< run-time i32, rank 0 or (batch): keys in use; default all
  std::optional<ScalarArg> softcap = {};  ///< cap * tanh(score / cap) in place of a score, before the mask (Gemma Team 2024)
  LazyTensor sinks = {};                  ///< (heads): scores of keys without a value that every query sees (Xiao et al. 2023)
  LazyTensor first_key = {};              ///< run-time i32 (batch, nq): keys before it are not seen, as where texts lie one after the other
  /// Run-time i32 (batch, pages): k and v are pools (blocks, kv_heads, page, size) that all rows share, nk = pages * page, and the key at
  /// position p of row b is k[blocks[b, p / page], :, p % page] (paged attention, Kwon et al. 2023). The page is a multiple of 64. Pages
  /// behind `length`, and before the first key that a query sees, are not looked up and may have any number.
  LazyTensor blocks = {};
};
/// softmax(q k^T * scale) v with grouped heads: q (batch, heads, nq, size), k and v (batch, kv_heads, nk, size). Has no gradient where keys
/// lie in pages; the run then throws ValueError for a block that is looked up and not in the pool.
LazyTensor scaled_dot_product_attention(const LazyTensor& q, const LazyTensor& k, const LazyTensor& v, const ScalarArg& scale,
                                        const AttentionOptions& options = {}, Where where = Where::here());
/// The same within each of the sequences that lie one after the other: q (tokens, heads, size), k and v (tokens, kv_heads, size); starts
/// (sequences + 1) i32 begins with 0 and holds where each sequence starts and the last ends; rows beyond give zeros. Has no gradient. Its
/// run throws ValueError for starts that decrease or leave the rows.
LazyTensor scaled_dot_product_attention_packed(const LazyTensor& q, const LazyTensor& k, const LazyTensor& v, const ScalarArg& scale,
                                               const LazyTensor& starts, bool causal = false, Where where = Where::here());
/// What is made of the losses of the rows.
enum class Reduction : uint8_t { none, mean, sum };
/// How the loss is counted.
struct CrossEntropyOptions {
  int64_t ignore_index = -100;            ///< rows with this target lose nothing
  double label_smoothing = 0;             ///< weight of the uniform distribution in the target (Szegedy et al. 2016)
  Reduction reduction = Reduction::mean;  ///< mean over the rows that are not ignored
};
/// -log softmax(logits)[target], in nats: logits (..., classes), targets (...) of i32 or i64; f32.
LazyTensor cross_entropy(const LazyTensor& logits, const LazyTensor& targets, const CrossEntropyOptions& options = {},
                         Where where = Where::here());
/// x / (1 - p) where the draw keeps an element, else 0 (Srivastava et al. 2014). seed: rank-0 i64; the same seed keeps the same elements.
LazyTensor dropout(const LazyTensor& x, const ScalarArg& probability, const LazyTensor& seed, Where where = Where::here());
///@{
/// In [0, 1); with mean 0 and variance 1; all 64 bits as i64. seed: rank-0 i64. An element depends only on the seed and its index.
LazyTensor random_uniform(const Shape& shape, const LazyTensor& seed, DType dtype = DType::f32, Where where = Where::here());
LazyTensor random_normal(const Shape& shape, const LazyTensor& seed, DType dtype = DType::f32, Where where = Where::here());
LazyTensor random_bits(const Shape& shape, const LazyTensor& seed, Where where = Where::here());
///@}
/// start, start + step, ... below stop (above it for a negative step). Throws ValueError for a step of 0.
LazyTensor arange(int64_t start, int64_t stop, int64_t step = 1, DType dtype = DType::i32, Where where = Where::here());
/// (q - zero) * scale: q (..., n) of i8 or u8; scales and zero_points (may be empty) (..., n/group).
LazyTensor dequantize(const LazyTensor& q, const LazyTensor& scales, const LazyTensor& zero_points, int64_t group, DType dtype = DType::f32,
                      Where where = Where::here());
/// The numbers of a weight, or of some rows of one, from its parts (..., see parts_of). Throws ValueError for a format without kernels.
LazyTensor dequantize(std::span<const LazyTensor> parts, QuantFormatId format, DType dtype = DType::f32, Where where = Where::here());
/// `x@w^T + bias` with a weight (n, k) in its stored form: `parts` as parts_of lists them. Throws ValueError for a format without kernels.
LazyTensor quantized_linear(const LazyTensor& x, std::span<const LazyTensor> parts, QuantFormatId format, const LazyTensor& bias = {},
                            Where where = Where::here());
/// `scale * (x@a)@b` (Hu et al. 2021). With `transposed`, a is (r, k) and b is (n, r), as PEFT stores them.
LazyTensor lora_fused(const LazyTensor& x, const LazyTensor& a, const LazyTensor& b, const ScalarArg& scale, bool transposed = false,
                      Where where = Where::here());
/// `x@w + bias + scale * (x@a)@b`; with `transposed`, w is (n, k), a (r, k), b (n, r).
LazyTensor lora_linear(const LazyTensor& x, const LazyTensor& w, const LazyTensor& a, const LazyTensor& b, const ScalarArg& scale,
                       const LazyTensor& bias = {}, bool transposed = false, Where where = Where::here());
/// Each batch entry with an adapter of its own: x (batch, tokens, k), a (adapters, r, k), b (adapters, n, r), scales (adapters), choice
/// (batch) of i32, -1 for none: `base + scales[c] * (x @ a[c]^T) @ b[c]^T`; base (batch, tokens, n) may be empty. A choice that is no
/// adapter is an error of the run.
LazyTensor lora_rows(const LazyTensor& x, const LazyTensor& a, const LazyTensor& b, const LazyTensor& scales, const LazyTensor& choice,
                     const LazyTensor& base = {}, Where where = Where::here());

/// The numbers of a step of AdamW, as run-time values.
struct AdamWArgs {
  ///@{
  /// Rank-0 f32.
  LazyTensor rate, beta1, beta2, eps, decay;
  ///@}
  LazyTensor step;             ///< rank-0 i32, 1 at the first step
  LazyTensor gradient_factor;  ///< rank-0 f32 that multiplies the gradient (clipping); NaN: nothing changes
};
/// After the step: the parameter and both moments.
struct AdamWResult {
  ///@{
  /// Of the parameter's shape.
  LazyTensor parameter, m, v;
  ///@}
};
/// One step of AdamW (Loshchilov and Hutter 2019), as torch.optim.AdamW computes it.
AdamWResult adamw(const LazyTensor& parameter, const LazyTensor& gradient, const LazyTensor& m, const LazyTensor& v, const AdamWArgs& args,
                  Where where = Where::here());

}  // namespace lazuli
