#include "graph/attr_names.h"

#include <fmt/format.h>

#include <bit>

#include "graph/attention_operands.h"
#include "lazuli/op.h"
#include "lazuli/quant_format.h"

namespace lazuli {

namespace {

enum class Kind : uint8_t { number, flag, axes, permutation, real, dtype, activation, parts, format, window, attention };

struct AttrName {
  Op op;
  uint8_t entry;
  const char* name;
  Kind kind;
};

constexpr AttrName kNames[] = {
#define LAZULI_ATTR(op, entry, name, kind) {Op::op, entry, #name, Kind::kind},
#include "lazuli/ops.def"
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
    case Kind::format:
      return value > 0 && value < kQuantFormatCount ? std::string(name_of(static_cast<QuantFormatId>(value))) : fmt::format("{}", value);
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
  return kind == Kind::flag || kind == Kind::parts || kind == Kind::activation || kind == Kind::format || kind == Kind::window ||
         kind == Kind::attention;
}

}  // namespace

std::vector<std::pair<std::string, std::string>> describe_attrs(const GraphNode& node) {
  std::vector<std::pair<std::string, std::string>> result;
  for (const AttrName& attr : kNames) {
    if (attr.op != node.op) continue;
    int64_t value = node.attrs.i[attr.entry];
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
