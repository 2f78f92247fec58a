#include "graph/attr_names.h"

#include <fmt/format.h>

#include <bit>

#include "graph/attention_operands.h"

namespace lazuli {

namespace {

enum class Kind : uint8_t { number, flag, axes, permutation, real, dtype, activation, parts, window, attention };

struct AttrName {
  Op op;
  uint8_t index;
  const char* name;
  Kind kind;
};

constexpr AttrName kNames[] = {
    {Op::input, 0, "index", Kind::number},
    {Op::input, 1, "donated", Kind::flag},
    {Op::scalar, 0, "index", Kind::number},
    {Op::full, 0, "value", Kind::real},
    {Op::arange, 0, "start", Kind::number},
    {Op::arange, 1, "step", Kind::number},
    {Op::cast, 0, "dtype", Kind::dtype},
    {Op::transpose, 0, "axes", Kind::permutation},
    {Op::checkpoint, 0, "arguments", Kind::number},
    {Op::sum, 0, "axes", Kind::axes},
    {Op::sum, 1, "keepdims", Kind::flag},
    {Op::mean, 0, "axes", Kind::axes},
    {Op::mean, 1, "keepdims", Kind::flag},
    {Op::max, 0, "axes", Kind::axes},
    {Op::max, 1, "keepdims", Kind::flag},
    {Op::min, 0, "axes", Kind::axes},
    {Op::min, 1, "keepdims", Kind::flag},
    {Op::logsumexp, 0, "axes", Kind::axes},
    {Op::logsumexp, 1, "keepdims", Kind::flag},
    {Op::var, 0, "axes", Kind::axes},
    {Op::var, 1, "keepdims", Kind::flag},
    {Op::var, 2, "correction", Kind::number},
    {Op::argmax, 0, "axes", Kind::axes},
    {Op::argmax, 1, "keepdims", Kind::flag},
    {Op::matmul, 0, "transpose_a", Kind::flag},
    {Op::matmul, 1, "transpose_b", Kind::flag},
    {Op::softmax, 0, "axis", Kind::number},
    {Op::log_softmax, 0, "axis", Kind::number},
    {Op::softmax_backward, 0, "axis", Kind::number},
    {Op::group_norm, 0, "groups", Kind::number},
    {Op::gather, 0, "axis", Kind::number},
    {Op::take_along, 0, "axis", Kind::number},
    {Op::scatter_add, 0, "axis", Kind::number},
    {Op::scatter_along_add, 0, "axis", Kind::number},
    {Op::concat, 0, "axis", Kind::number},
    {Op::slice_update, 0, "offset_axis", Kind::number},
    {Op::slice_at, 0, "axis", Kind::number},
    {Op::one_hot, 0, "classes", Kind::number},
    {Op::one_hot, 1, "dtype", Kind::dtype},
    {Op::sort, 0, "axis", Kind::number},
    {Op::sort, 1, "descending", Kind::flag},
    {Op::topk, 0, "axis", Kind::number},
    {Op::topk, 1, "descending", Kind::flag},
    {Op::topk, 2, "k", Kind::number},
    {Op::rope, 0, "back", Kind::flag},
    {Op::sdpa, 0, "causal", Kind::flag},
    {Op::sdpa, 1, "window_left", Kind::window},
    {Op::sdpa, 2, "window_right", Kind::window},
    {Op::sdpa, 3, "with", Kind::attention},
    {Op::sdpa_backward, 0, "causal", Kind::flag},
    {Op::sdpa_backward, 1, "window_left", Kind::window},
    {Op::sdpa_backward, 2, "window_right", Kind::window},
    {Op::sdpa_backward, 3, "with", Kind::attention},
    {Op::sdpa_packed, 0, "causal", Kind::flag},
    {Op::cross_entropy, 0, "ignore_index", Kind::number},
    {Op::cross_entropy_backward, 0, "ignore_index", Kind::number},
    {Op::linear_cross_entropy, 0, "ignore_index", Kind::number},
    {Op::linear_cross_entropy, 1, "transpose_w", Kind::flag},
    {Op::linear_cross_entropy, 2, "softcap", Kind::flag},
    {Op::dequantize, 0, "group", Kind::number},
    {Op::dequantize, 1, "dtype", Kind::dtype},
    {Op::lora_fused, 0, "transpose_a", Kind::flag},
    {Op::lora_fused, 1, "transpose_b", Kind::flag},
    {Op::lora_linear, 0, "transpose_a", Kind::flag},
    {Op::lora_linear, 1, "transpose_b", Kind::flag},
    {Op::lora_linear, 2, "transpose_w", Kind::flag},
    {Op::linear, 0, "transpose_w", Kind::flag},
    {Op::linear, 1, "with", Kind::parts},
    {Op::linear, 2, "activation", Kind::activation},
    {Op::quantized_linear, 0, "bits", Kind::number},
    {Op::quantized_linear, 1, "with", Kind::parts},
    {Op::quantized_linear, 2, "activation", Kind::activation},
    {Op::gated_linear, 0, "transpose_w", Kind::flag},
    {Op::gated_linear, 2, "activation", Kind::activation},
    {Op::rope_pair, 0, "back", Kind::flag},
    {Op::scaled_softmax, 0, "axis", Kind::number},
};

std::string axes_text(int64_t mask) {
  std::string text;
  for (int a = 0; a < kMaxRank; ++a) {
    if ((mask >> a & 1) != 0) text += fmt::format("{}{}", text.empty() ? "" : ",", a);
  }
  return "[" + text + "]";
}

std::string permutation_text(int64_t nibbles, int rank) {
  std::string text;
  for (int a = 0; a < rank; ++a) text += fmt::format("{}{}", a == 0 ? "" : ",", nibbles >> 4 * a & 15);
  return "[" + text + "]";
}

std::string attention_parts_text(int64_t parts) {
  std::string text;
  for (const AttentionPart part : kAttentionParts) {
    if ((parts & static_cast<int64_t>(part)) != 0) text += fmt::format("{}{}", text.empty() ? "" : ",", name_of(part));
  }
  return text;
}

std::string value_text(const GraphNode& node, const AttrName& attr, int64_t value) {
  switch (attr.kind) {
    case Kind::axes:
      return axes_text(value);
    case Kind::permutation:
      return permutation_text(value, node.outputs.empty() ? 0 : node.outputs[0].shape.rank());
    case Kind::real:
      return fmt::format("{}", std::bit_cast<double>(value));
    case Kind::dtype:
      return value >= 0 && value < kDTypeCount ? std::string(name_of(static_cast<DType>(value))) : fmt::format("{}", value);
    case Kind::activation:
      return value > 0 && value < kOpCount ? std::string(name_of(static_cast<Op>(value))) : fmt::format("{}", value);
    case Kind::parts:
      return value == 1 ? "bias" : value == 2 ? "residual" : "bias,residual";
    case Kind::window:
      return fmt::format("{}", value - 1);
    case Kind::attention:
      return attention_parts_text(value);
    case Kind::number:
    case Kind::flag:
      break;
  }
  return fmt::format("{}", value);
}

/// Kinds whose 0 says that there is none.
bool is_optional(Kind kind) {
  return kind == Kind::flag || kind == Kind::parts || kind == Kind::activation || kind == Kind::window || kind == Kind::attention;
}

}  // namespace

std::vector<std::pair<std::string, std::string>> describe_attrs(const GraphNode& node) {
  std::vector<std::pair<std::string, std::string>> result;
  for (const AttrName& attr : kNames) {
    if (attr.op != node.op) continue;
    int64_t value = node.attrs.i[attr.index];
    if (is_optional(attr.kind) && value == 0) continue;
    result.emplace_back(attr.name, attr.kind == Kind::flag ? std::string() : value_text(node, attr, value));
  }
  if (node.attrs.list.size() > 0) {
    auto list = node.attrs.list.span();
    result.emplace_back("list", fmt::format("[{}]", fmt::join(list.begin(), list.end(), ",")));
  }
  return result;
}

}  // namespace lazuli
