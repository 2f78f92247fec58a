// Declares the ops as functions that record. An op has one name, from here to the kernels.
#pragma once

#include <optional>
#include <vector>

#include "lazuli/lazy_tensor.h"
#include "lazuli/quant_format.h"

namespace lazuli {

/// A number, or a LazyTensor of rank 0. Its value may change between runs of one plan.
struct ScalarArg {
  ///@{
  /// Made from a number or a value of rank 0.
  ScalarArg(double v) : number(v) {}                // NOLINT(google-explicit-constructor)
  ScalarArg(LazyTensor v) : value(std::move(v)) {}  // NOLINT(google-explicit-constructor)
  ///@}
  /// Returns it as an operand of the given dtype. A number beyond the range of an integer dtype becomes the nearest one in the range.
  LazyTensor operand(DType dtype) const;
  LazyTensor value;   ///< empty: `number` counts
  double number = 0;  ///< used if there is no value
};

///@{
/// Elementwise functions of one operand. Angles are in radians. For integer operands, the functions from `exp` on give f32.
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
/// Elementwise tests that give bool: whether x is 0, and whether x is neither infinite nor NaN.
LazyTensor logical_not(const LazyTensor& x, Where where = Where::here());
LazyTensor is_finite(const LazyTensor& x, Where where = Where::here());
///@}
/// Converts elements by the rules of Tensor::to.
LazyTensor cast(const LazyTensor& x, DType dtype, Where where = Where::here());
/// Makes a row-major copy that shares no memory with x.
LazyTensor copy(const LazyTensor& x, Where where = Where::here());
///@{
/// Elementwise functions of two operands, which broadcast as in NumPy and are promoted to one dtype (see `promote`). `div` and `pow` of
/// integers give f32. They throw ShapeError.
LazyTensor add(const LazyTensor& a, const LazyTensor& b, Where where = Where::here());
LazyTensor sub(const LazyTensor& a, const LazyTensor& b, Where where = Where::here());
LazyTensor mul(const LazyTensor& a, const LazyTensor& b, Where where = Where::here());
LazyTensor div(const LazyTensor& a, const LazyTensor& b, Where where = Where::here());
LazyTensor pow(const LazyTensor& a, const LazyTensor& b, Where where = Where::here());
LazyTensor maximum(const LazyTensor& a, const LazyTensor& b, Where where = Where::here());
LazyTensor minimum(const LazyTensor& a, const LazyTensor& b, Where where = Where::here());
///@}
///@{
/// Comparisons with broadcasting, which give bool. Nothing is equal to a NaN.
LazyTensor equal(const LazyTensor& a, const LazyTensor& b, Where where = Where::here());
LazyTensor not_equal(const LazyTensor& a, const LazyTensor& b, Where where = Where::here());
LazyTensor less(const LazyTensor& a, const LazyTensor& b, Where where = Where::here());
LazyTensor less_equal(const LazyTensor& a, const LazyTensor& b, Where where = Where::here());
LazyTensor greater(const LazyTensor& a, const LazyTensor& b, Where where = Where::here());
LazyTensor greater_equal(const LazyTensor& a, const LazyTensor& b, Where where = Where::here());
///@}
///@{
/// Logical functions with broadcasting. Operands are converted to bool.
LazyTensor logical_and(const LazyTensor& a, const LazyTensor& b, Where where = Where::here());
LazyTensor logical_or(const LazyTensor& a, const LazyTensor& b, Where where = Where::here());
///@}
/// Selects a where the condition (bool) is true and b elsewhere. All three broadcast.
LazyTensor where(const LazyTensor& condition, const LazyTensor& a, const LazyTensor& b, Where at = Where::here());
/// min(max(x, low), high).
LazyTensor clip(const LazyTensor& x, const ScalarArg& low, const ScalarArg& high, Where where = Where::here());
///@{
/// Elementwise functions of x and a scalar. The scalar is not part of the key of a plan, so another number runs the same plan.
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
/// Gives the elements another shape, in row-major order. One dim may be -1. Throws ShapeError for another count.
LazyTensor reshape(const LazyTensor& x, const Shape& shape, Where where = Where::here());
LazyTensor expand(const LazyTensor& x, const Shape& shape, Where where = Where::here());  ///< broadcast x to `shape`
///@{
/// Axis k of the result is axis `axes[k]` of x; `transpose` swaps two axes.
LazyTensor permute(const LazyTensor& x, std::span<const int> axes, Where where = Where::here());
LazyTensor transpose(const LazyTensor& x, int a = -2, int b = -1, Where where = Where::here());
///@}
///@{
/// x[start:stop:step] along every axis, or along one, by NumPy's rules. Steps are at least 1.
LazyTensor slice(const LazyTensor& x, std::span<const int64_t> starts, std::span<const int64_t> stops, std::span<const int64_t> steps = {},
                 Where where = Where::here());
LazyTensor slice(const LazyTensor& x, int axis, int64_t start, int64_t stop, int64_t step = 1, Where where = Where::here());
///@}
///@{
/// Remove an axis of size 1, or insert one at `axis`. They throw ShapeError.
LazyTensor squeeze(const LazyTensor& x, int axis, Where where = Where::here());
LazyTensor unsqueeze(const LazyTensor& x, int axis, Where where = Where::here());
///@}
/// Returns x without a gradient.
LazyTensor stop_gradient(const LazyTensor& x, Where where = Where::here());
/// Returns x, computed only after `dependency`. It is never merged with other uses of x.
LazyTensor barrier(const LazyTensor& x, const LazyTensor& dependency, Where where = Where::here());
///@{
/// Split x along an axis into equal parts, or into parts of the given sizes, whose sum is the size of the axis. They throw ShapeError.
std::vector<LazyTensor> split(const LazyTensor& x, int parts, int axis = 0, Where where = Where::here());
std::vector<LazyTensor> split(const LazyTensor& x, std::span<const int64_t> sizes, int axis = 0, Where where = Where::here());
///@}

///@{
/// Reductions over `axes`, or over all axes if none are given. With `keepdims` the reduced axes stay with size 1. `mean` and `logsumexp` of
/// integers give f32.
LazyTensor sum(const LazyTensor& x, std::span<const int> axes = {}, bool keepdims = false, Where where = Where::here());
LazyTensor mean(const LazyTensor& x, std::span<const int> axes = {}, bool keepdims = false, Where where = Where::here());
LazyTensor max(const LazyTensor& x, std::span<const int> axes = {}, bool keepdims = false, Where where = Where::here());
LazyTensor min(const LazyTensor& x, std::span<const int> axes = {}, bool keepdims = false, Where where = Where::here());
LazyTensor logsumexp(const LazyTensor& x, std::span<const int> axes = {}, bool keepdims = false, Where where = Where::here());
///@}
/// Variance: the sum of squared distances from the mean, divided by n - `correction` (0 or 1).
LazyTensor var(const LazyTensor& x, std::span<const int> axes = {}, bool keepdims = false, int correction = 0, Where where = Where::here());
/// Index of the largest element along an axis, as i32. Of equal elements the first one counts.
LazyTensor argmax(const LazyTensor& x, int axis = -1, bool keepdims = false, Where where = Where::here());
///@{
/// The same reductions with the axes in braces.
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

/// Matrix product (..., m, k) x (..., k, n), with rank-1 operands as in NumPy. With `transpose_a`, a is (..., k, m). With `transpose_b`, b
/// is
/// (..., n, k).
LazyTensor matmul(const LazyTensor& a, const LazyTensor& b, bool transpose_a = false, bool transpose_b = false,
                  Where where = Where::here());
///@{
/// exp(x) / sum(exp(x)) along an axis, and its logarithm. The largest element is subtracted first.
LazyTensor softmax(const LazyTensor& x, int axis = -1, Where where = Where::here());
LazyTensor log_softmax(const LazyTensor& x, int axis = -1, Where where = Where::here());
///@}
/// RMSNorm (Zhang and Sennrich 2019): x / sqrt(mean(x^2) + eps) * weight over the last axis.
LazyTensor rms_norm(const LazyTensor& x, const LazyTensor& weight, const ScalarArg& eps = 1e-6, Where where = Where::here());
/// LayerNorm (Ba et al. 2016): (x - mean) / sqrt(variance + eps) * weight + bias over the last axis.
LazyTensor layer_norm(const LazyTensor& x, const LazyTensor& weight, const LazyTensor& bias, const ScalarArg& eps = 1e-5,
                      Where where = Where::here());
/// GroupNorm (Wu and He 2018): normalises x (batch, channels, ...) over each of `groups` groups of channels. Weight and bias are
/// (channels).
LazyTensor group_norm(const LazyTensor& x, int groups, const LazyTensor& weight, const LazyTensor& bias, const ScalarArg& eps = 1e-5,
                      Where where = Where::here());

/// Picks entries of x along an axis. The result has x's shape with the axis replaced by the shape of `indices` (i32 or i64). An index
/// outside the axis is an error of the run.
LazyTensor gather(const LazyTensor& x, const LazyTensor& indices, int axis = 0, Where where = Where::here());
/// Looks up rows of `table` (rows, size), as `gather` along axis 0.
LazyTensor embedding(const LazyTensor& table, const LazyTensor& ids, Where where = Where::here());
/// Picks elements one by one: result[i][j] = x[i][indices[i][j]] for axis 1. `indices` has x's rank.
LazyTensor take_along(const LazyTensor& x, const LazyTensor& indices, int axis, Where where = Where::here());
/// Adds `updates` to x at the indices along an axis. This is the adjoint of `gather`.
LazyTensor scatter_add(const LazyTensor& x, const LazyTensor& indices, const LazyTensor& updates, int axis = 0,
                       Where where = Where::here());
/// Adds `updates` to x element by element. This is the adjoint of `take_along`.
LazyTensor scatter_along_add(const LazyTensor& x, const LazyTensor& indices, const LazyTensor& updates, int axis,
                             Where where = Where::here());
///@{
/// Concatenate the parts along an axis. Their other dims are equal. They throw ShapeError.
LazyTensor concat(std::span<const LazyTensor> parts, int axis = 0, Where where = Where::here());
LazyTensor concat(std::initializer_list<LazyTensor> parts, int axis = 0, Where where = Where::here());
///@}
/// Pads each axis with `low` elements before and `high` elements after, which have `value`. Throws ValueError for a value that x's dtype
/// cannot represent.
LazyTensor pad(const LazyTensor& x, std::span<const int64_t> low, std::span<const int64_t> high, const ScalarArg& value = 0.0,
               Where where = Where::here());
///@{
/// Replaces x[starts + k*steps] by `update`. `offset` is added to the start of `offset_axis`. It is a run-time integer of rank 0, or has
/// one for each row of axis 0. Moving x in donates it: the result takes its memory if nothing else holds it.
LazyTensor slice_update(LazyTensor&& x, const LazyTensor& update, std::span<const int64_t> starts, std::span<const int64_t> steps = {},
                        const LazyTensor& offset = {}, int offset_axis = 0, Where where = Where::here());
LazyTensor slice_update(const LazyTensor& x, const LazyTensor& update, std::span<const int64_t> starts, std::span<const int64_t> steps = {},
                        const LazyTensor& offset = {}, int offset_axis = 0, Where where = Where::here());
///@}
///@{
/// Stores keys or values where scaled_dot_product_attention finds them by `blocks`. It writes x (batch, heads, tokens, size) into pool
/// (blocks, heads, page, size). Token t of row b has position p = offset[b] + t and becomes pool[blocks[b, p / page], :, p % page].
///
/// `blocks` is (batch, pages) i32. `offset` is a run-time integer, of rank 0 or (batch). Tokens of a page with block -1 are skipped. The
/// blocks that rows write must be distinct, otherwise either token may stay. There is no gradient.
///
/// Moving the pool in donates it, as for slice_update. The run throws ValueError for any other block number outside the pool, and for a
/// token before the first page or after the last one.
LazyTensor page_update(LazyTensor&& pool, const LazyTensor& x, const LazyTensor& blocks, const LazyTensor& offset,
                       Where where = Where::here());
LazyTensor page_update(const LazyTensor& pool, const LazyTensor& x, const LazyTensor& blocks, const LazyTensor& offset,
                       Where where = Where::here());
///@}
/// Returns `size` elements of `axis`, starting at a run-time offset.
LazyTensor slice_at(const LazyTensor& x, const LazyTensor& offset, int64_t size, int axis, Where where = Where::here());
/// One-hot vectors, (...) -> (..., classes): 1 at the index, 0 elsewhere.
LazyTensor one_hot(const LazyTensor& indices, int64_t classes, DType dtype = DType::f32, Where where = Where::here());
/// Chosen elements and their indices along the axis.
struct ValuesAndIndices {
  LazyTensor values;   ///< in x's dtype
  LazyTensor indices;  ///< i32
};
///@{
/// Sort all elements along an axis, or return the k largest in descending order. Sorting is stable, and NaN comes last.
ValuesAndIndices sort(const LazyTensor& x, int axis = -1, bool descending = false, Where where = Where::here());
ValuesAndIndices topk(const LazyTensor& x, int64_t k, int axis = -1, Where where = Where::here());
///@}

/// Rotary position embedding (Su et al. 2021), with half-split pairing. x is (..., tokens, size), and cos and sin are (positions, size/2).
/// `offset` is the position of the first token: a run-time i32 of rank 0, or with one number for each row of axis 0.
LazyTensor rope(const LazyTensor& x, const LazyTensor& cos, const LazyTensor& sin, const LazyTensor& offset, Where where = Where::here());
/// Which keys a query sees, and how scores are changed. Query t of nq is at position length - nq + t.
struct AttentionOptions {
  bool causal = false;                    ///< a query sees no key after its position
  int64_t window_left = -1;               ///< keys before its position that a query sees (Beltagy et al. 2020); -1: all
  int64_t window_right = -1;              ///< keys after its position that a query sees; -1: all
  LazyTensor mask = {};                   ///< bool (true is seen) or float (added), broadcast to (batch, heads, nq, nk)
  LazyTensor length = {};                 ///< run-time i32, rank 0 or (batch): keys in use; default all
  std::optional<ScalarArg> softcap = {};  ///< cap * tanh(score / cap) in place of a score, before the mask (Gemma Team 2024)
  LazyTensor sinks = {};                  ///< (heads): scores of keys without a value that every query sees (Xiao et al. 2023)
  LazyTensor first_key = {};              ///< run-time i32 (batch, nq): keys before it are not seen, as in packed texts
  /// The block table of paged attention (Kwon et al. 2023), run-time i32 (batch, pages). k and v are then pools (blocks, kv_heads, page,
  /// size) that all rows share, and nk = pages * page. The key at position p of row b is k[blocks[b, p / page], :, p % page]. `page` is a
  /// multiple of
  /// 64. Pages after `length`, and before the first key that a query sees, are not looked up and may have any block number.
  LazyTensor blocks = {};
};
/// softmax(q k^T * scale) v with grouped heads. q is (batch, heads, nq, size), k and v are (batch, kv_heads, nk, size). With paged keys
/// there is no gradient, and the run throws ValueError for a block that is looked up and not in the pool.
LazyTensor scaled_dot_product_attention(const LazyTensor& q, const LazyTensor& k, const LazyTensor& v, const ScalarArg& scale,
                                        const AttentionOptions& options = {}, Where where = Where::here());
/// Attention within each of several packed sequences. q is (tokens, heads, size), k and v are (tokens, kv_heads, size). `starts` (sequences
/// + 1) i32 begins with 0 and has the start of each sequence and the end of the last one. Rows beyond it give zeros. There is no gradient.
/// The run throws ValueError for starts that decrease or exceed the rows. `causal` and the windows are those of AttentionOptions.
LazyTensor scaled_dot_product_attention_packed(const LazyTensor& q, const LazyTensor& k, const LazyTensor& v, const ScalarArg& scale,
                                               const LazyTensor& starts, bool causal = false, int64_t window_left = -1,
                                               int64_t window_right = -1, Where where = Where::here());
/// How the losses of the rows are reduced.
enum class Reduction : uint8_t { none, mean, sum };
/// Options of the loss.
struct CrossEntropyOptions {
  int64_t ignore_index = -100;            ///< rows with this target have no loss
  double label_smoothing = 0;             ///< weight of the uniform distribution in the target (Szegedy et al. 2016)
  Reduction reduction = Reduction::mean;  ///< mean over the rows that are not ignored
};
/// -log softmax(logits)[target], in nats, as f32. logits are (..., classes), targets are (...) of i32 or i64.
LazyTensor cross_entropy(const LazyTensor& logits, const LazyTensor& targets, const CrossEntropyOptions& options = {},
                         Where where = Where::here());
/// x / (1 - p) where the draw keeps an element, otherwise 0 (Srivastava et al. 2014). The seed is a rank-0 i64. The same seed keeps the
/// same elements.
LazyTensor dropout(const LazyTensor& x, const ScalarArg& probability, const LazyTensor& seed, Where where = Where::here());
///@{
/// Random numbers: uniform in [0, 1), normal with mean 0 and variance 1, or 64 random bits as i64. The seed is a rank-0 i64. An element
/// depends only on the seed and its index.
LazyTensor random_uniform(const Shape& shape, const LazyTensor& seed, DType dtype = DType::f32, Where where = Where::here());
LazyTensor random_normal(const Shape& shape, const LazyTensor& seed, DType dtype = DType::f32, Where where = Where::here());
LazyTensor random_bits(const Shape& shape, const LazyTensor& seed, Where where = Where::here());
///@}
/// The numbers start, start + step, ... below stop, or above it for a negative step. Throws ValueError for a step of 0.
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
/// `base + scales[c] * (x @ a[c]^T) @ b[c]^T`, where c is the adapter of a batch entry. x is (batch, tokens, k), a (adapters, r, k), b
/// (adapters, n, r), and scales (adapters). `choice` (batch) of i32 has the adapter of each entry, or -1 for none. base (batch, tokens, n)
/// may be empty. A choice that is not an adapter is an error of the run.
LazyTensor lora_rows(const LazyTensor& x, const LazyTensor& a, const LazyTensor& b, const LazyTensor& scales, const LazyTensor& choice,
                     const LazyTensor& base = {}, Where where = Where::here());

/// Multiplies each row with the matrix that it chose, as a layer of experts does (Shazeer et al. 2017). x is (rows, each, k), or (rows, 1,
/// k) where all choices of a row multiply the same x. w is (experts, k, n), or with `transpose_w` (experts, n, k). `chosen` (rows, each) of
/// i32 has the expert of each row of the result (rows, each, n). A choice that is not an expert is an error of the run.
LazyTensor gather_matmul(const LazyTensor& x, const LazyTensor& w, const LazyTensor& chosen, bool transpose_w = false,
                         Where where = Where::here());
/// For each expert, the sum of a[i, j]^T b[i, j] over the rows that chose it: (experts, m, n). a is (rows, each or 1, m), b (rows, each or
/// 1, n), `chosen` (rows, each) of i32. Without a row the sum is 0. This is how the gradient of the weights of `gather_matmul` is computed.
LazyTensor gather_outer(const LazyTensor& a, const LazyTensor& b, const LazyTensor& chosen, int64_t experts, Where where = Where::here());

/// The parameters of a step of AdamW, as run-time values.
struct AdamWArgs {
  ///@{
  /// Values of rank 0 and f32.
  LazyTensor rate, beta1, beta2, eps, decay;
  ///@}
  LazyTensor step;             ///< rank-0 i32, 1 at the first step
  LazyTensor gradient_factor;  ///< rank-0 f32 that multiplies the gradient (clipping); with NaN nothing changes
};
/// The parameter and both moments after the step.
struct AdamWResult {
  ///@{
  /// Tensors of the parameter's shape.
  LazyTensor parameter, m, v;
  ///@}
};
/// One step of AdamW (Loshchilov and Hutter 2019), as torch.optim.AdamW computes it.
AdamWResult adamw(const LazyTensor& parameter, const LazyTensor& gradient, const LazyTensor& m, const LazyTensor& v, const AdamWArgs& args,
                  Where where = Where::here());

}  // namespace lazuli
