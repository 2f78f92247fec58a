// The table of conformance cases: one row for each op.
#include "conformance/cases.h"

#include <unordered_map>

#include "lazuli/op.h"

namespace lazuli::conformance {

namespace {

using MakeCases = Cases (*)(Op);

const std::unordered_map<Op, MakeCases> kRows = {
    {Op::input, no_kernel},
    {Op::scalar, no_kernel},
    {Op::constant, no_kernel},
    {Op::reshape, no_kernel},
    {Op::expand, no_kernel},
    {Op::transpose, no_kernel},
    {Op::slice, no_kernel},
    {Op::stop_gradient, no_kernel},
    {Op::barrier, no_kernel},
    {Op::checkpoint, no_kernel},
    {Op::full, full_cases},
    {Op::arange, arange_cases},
    {Op::random_uniform, random_cases},
    {Op::random_normal, random_cases},
    {Op::random_bits, random_cases},
    {Op::neg, unary_cases},
    {Op::abs, unary_cases},
    {Op::sign, unary_cases},
    {Op::square, unary_cases},
    {Op::exp, unary_cases},
    {Op::log, unary_cases},
    {Op::sqrt, unary_cases},
    {Op::rsqrt, unary_cases},
    {Op::reciprocal, unary_cases},
    {Op::sin, unary_cases},
    {Op::cos, unary_cases},
    {Op::tanh, unary_cases},
    {Op::erf, unary_cases},
    {Op::sigmoid, unary_cases},
    {Op::relu, unary_cases},
    {Op::gelu, unary_cases},
    {Op::gelu_tanh, unary_cases},
    {Op::silu, unary_cases},
    {Op::copy, unary_cases},
    {Op::logical_not, predicate_cases},
    {Op::is_finite, predicate_cases},
    {Op::cast, cast_cases},
    {Op::add, binary_cases},
    {Op::sub, binary_cases},
    {Op::mul, binary_cases},
    {Op::div, binary_cases},
    {Op::pow, binary_cases},
    {Op::maximum, binary_cases},
    {Op::minimum, binary_cases},
    {Op::equal, binary_cases},
    {Op::not_equal, binary_cases},
    {Op::less, binary_cases},
    {Op::less_equal, binary_cases},
    {Op::greater, binary_cases},
    {Op::greater_equal, binary_cases},
    {Op::logical_and, logical_cases},
    {Op::logical_or, logical_cases},
    {Op::where, where_cases},
    {Op::clip, clip_cases},
    {Op::sum, reduce_cases},
    {Op::mean, reduce_cases},
    {Op::max, reduce_cases},
    {Op::min, reduce_cases},
    {Op::logsumexp, reduce_cases},
    {Op::var, reduce_cases},
    {Op::argmax, reduce_cases},
    {Op::matmul, matmul_cases},
    {Op::softmax, softmax_cases},
    {Op::log_softmax, softmax_cases},
    {Op::softmax_backward, softmax_cases},
    {Op::scaled_softmax, softmax_cases},
    {Op::rms_norm, norm_cases},
    {Op::rms_norm_backward, norm_cases},
    {Op::layer_norm, norm_cases},
    {Op::layer_norm_backward, norm_cases},
    {Op::group_norm, group_norm_cases},
    {Op::gather, gather_cases},
    {Op::scatter_add, gather_cases},
    {Op::take_along, along_cases},
    {Op::scatter_along_add, along_cases},
    {Op::concat, concat_cases},
    {Op::pad, pad_cases},
    {Op::slice_update, slice_update_cases},
    {Op::slice_at, slice_at_cases},
    {Op::page_update, page_update_cases},
    {Op::one_hot, one_hot_cases},
    {Op::sort, sort_cases},
    {Op::topk, sort_cases},
    {Op::rope, rope_cases},
    {Op::sdpa, sdpa_cases},
    {Op::sdpa_backward, sdpa_backward_cases},
    {Op::sdpa_packed, sdpa_packed_cases},
    {Op::cross_entropy, cross_entropy_cases},
    {Op::cross_entropy_backward, cross_entropy_cases},
    {Op::linear_cross_entropy, linear_cross_entropy_cases},
    {Op::dropout, dropout_cases},
    {Op::dequantize, dequantize_cases},
    {Op::lora_fused, lora_cases},
    {Op::lora_linear, lora_cases},
    {Op::quantized_linear, quantized_cases},
    {Op::lora_rows, lora_rows_cases},
    {Op::gated_linear, gated_linear_cases},
    {Op::rope_pair, rope_pair_cases},
    {Op::add_rms_norm, add_norm_cases},
    {Op::add_layer_norm, add_norm_cases},
    {Op::sample, sample_cases},
    {Op::adamw, adamw_cases},
    {Op::linear, linear_cases},
    {Op::fused_elementwise, fused_cases},
};

}  // namespace

Cases no_kernel(Op) { return {}; }

std::optional<Cases> cases_of(Op op) {
  const auto row = kRows.find(op);
  if (row == kRows.end()) return std::nullopt;
  return row->second(op);
}

}  // namespace lazuli::conformance
