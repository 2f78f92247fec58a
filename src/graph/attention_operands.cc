// Implements the attributes and operands of attention by name.
#include "graph/attention_operands.h"

#include "graph/attrs.h"
#include "lazuli/op.h"

namespace lazuli {

namespace {
size_t first_operand(Op op) { return op == Op::sdpa_backward ? 6 : 3; }
}  // namespace

const char* name_of(AttentionPart part) {
  switch (part) {
    case AttentionPart::mask:
      return "mask";
    case AttentionPart::softcap:
      return "softcap";
    case AttentionPart::sinks:
      return "sinks";
    case AttentionPart::first_key:
      return "first_key";
    case AttentionPart::blocks:
      return "blocks";
  }
  return "";
}

AttentionOperands::AttentionOperands(Op op, const Attrs& attrs)
    : scale(first_operand(op)),
      length(scale + 1),
      count(length + 1),
      left(attrs[attr::sdpa::window_left] == 0 ? kAll : attrs[attr::sdpa::window_left] - 1),
      right(attrs[attr::sdpa::window_right] == 0 ? kAll : attrs[attr::sdpa::window_right] - 1),
      with_(attrs[attr::sdpa::with]) {
  if (attrs[attr::sdpa::causal] != 0) right = 0;
  for (const AttentionPart part : kAttentionParts) count += find(part) ? 1 : 0;
}

std::optional<size_t> AttentionOperands::find(AttentionPart part) const {
  if ((with_ & static_cast<int64_t>(part)) == 0) return std::nullopt;
  size_t at = length + 1;
  for (const AttentionPart before : kAttentionParts) {
    if (before == part) break;
    if ((with_ & static_cast<int64_t>(before)) != 0) ++at;
  }
  return at;
}

void set_attention(Attrs& attrs, bool causal, int64_t window_left, int64_t window_right, std::span<const AttentionPart> parts) {
  attrs[attr::sdpa::causal] = causal ? 1 : 0;
  attrs[attr::sdpa::window_left] = window_left + 1;
  attrs[attr::sdpa::window_right] = window_right + 1;
  attrs[attr::sdpa::with] = 0;
  for (const AttentionPart part : parts) attrs[attr::sdpa::with] |= static_cast<int64_t>(part);
}

}  // namespace lazuli
