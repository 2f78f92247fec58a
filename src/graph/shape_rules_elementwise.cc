// Shape and dtype rules of elementwise ops and of leaves.
#include <fmt/format.h>

#include "base/checked.h"
#include "graph/attrs.h"
#include "graph/operands.h"
#include "graph/shape_rules_check.h"
#include "lazuli/op.h"

namespace lazuli::shape_rules {

namespace {

/// What infer_fast may decide by itself.
enum class Fast : uint8_t { no, unary, unary_number, unary_float, binary, binary_float, compare, logical };

constexpr Fast fast_kind(std::string_view rule, Op op) {
  if (rule == "unary") return op == Op::copy || op == Op::stop_gradient ? Fast::unary : Fast::unary_number;
  if (rule == "unary_float") return Fast::unary_float;
  if (rule == "binary") return Fast::binary;
  if (rule == "binary_float") return Fast::binary_float;
  if (rule == "compare") return Fast::compare;
  if (rule == "logical") return Fast::logical;
  return Fast::no;
}

constexpr Fast kFast[] = {
#define LAZULI_OP(name, mi, ma, outs, cls, traits, rule, vjp, kernel) fast_kind(#rule, Op::name),
#include "lazuli/ops.def"
};

bool fast_dtype(Fast kind, DType t) {
  switch (kind) {
    case Fast::unary:
    case Fast::compare:
      return true;
    case Fast::unary_number:
    case Fast::binary:
      return t != DType::boolean;
    case Fast::unary_float:
    case Fast::binary_float:
      return is_float(t);
    case Fast::logical:
      return t == DType::boolean;
    case Fast::no:
      break;
  }
  return false;
}

}  // namespace

bool infer_fast(Op op, const TensorSpec& a, const TensorSpec& b, TensorSpec& out) {
  const Fast kind = kFast[static_cast<size_t>(op)];
  if (!fast_dtype(kind, a.dtype)) return false;
  if (kind <= Fast::unary_float) {
    out = a;
    return true;
  }
  if (a.dtype != b.dtype) return false;
  if (b.shape.rank() == 0 || a.shape == b.shape) {
    out.shape = a.shape;
  } else if (a.shape.rank() == 0) {
    out.shape = b.shape;
  } else {
    return false;
  }
  out.dtype = kind >= Fast::compare ? DType::boolean : a.dtype;
  return true;
}

/// The last value of an arange of n elements, and the one behind it, must be numbers of 64 bits.
void need_last_element(const Request& r, int64_t n) {
  const auto distance = checked_mul(n, r.attrs[attr::arange::step]);
  if (!distance || !checked_add(r.attrs[attr::arange::start], *distance)) {
    fail_value(r, fmt::format("{} values from {} in steps of {} do not fit 64 bits", n, r.attrs[attr::arange::start],
                              r.attrs[attr::arange::step]));
  }
}

Specs infer_target(const Request& r) {
  const TensorSpec& t = need_target(r);
  switch (r.op) {
    case Op::scalar:
      if (t.shape.rank() != 0) fail_shape(r, fmt::format("no dimensions are expected, got shape {}", to_string(t.shape)));
      break;
    case Op::arange:
      if (t.shape.rank() != 1) fail_shape(r, fmt::format("1 dimension is expected, got shape {}", to_string(t.shape)));
      if (t.dtype == DType::boolean) fail_dtype(r, "a numeric dtype is expected, got bool");
      need_last_element(r, t.shape[0]);
      break;
    case Op::random_uniform:
    case Op::random_normal:
    case Op::random_bits:
      need_rank(r, operand::random_bits::seed, 0);
      need_dtype(r, operand::random_bits::seed, DType::i64);
      if (r.op == Op::random_bits ? t.dtype != DType::i64 : !is_float(t.dtype)) {
        fail_dtype(r, fmt::format("the result cannot be {}", name_of(t.dtype)));
      }
      break;
    default:
      break;
  }
  return {t};
}

Specs infer_unary(const Request& r) {
  if (r.op != Op::copy && r.op != Op::stop_gradient) need_number(r, 0);
  return {r.in(0)};
}

Specs infer_unary_float(const Request& r) {
  need_float(r, 0);
  return {r.in(0)};
}

Specs infer_predicate(const Request& r) {
  if (r.op == Op::logical_not && r.in(0).dtype != DType::boolean) {
    fail_dtype(r, fmt::format("bool is expected, got {}", name_of(r.in(0).dtype)));
  }
  return {{DType::boolean, r.in(0).shape}};
}

Specs infer_cast(const Request& r) { return {{dtype_attr(r, r.attrs[attr::cast::dtype]), r.in(0).shape}}; }

Specs infer_binary(const Request& r) {
  need_number(r, 0);
  need_same_dtype(r, 1);
  return {{r.in(0).dtype, broadcast(r, r.in(0).shape, r.in(1).shape)}};
}

Specs infer_binary_float(const Request& r) {
  need_float(r, 0);
  return infer_binary(r);
}

Specs infer_compare(const Request& r) {
  need_same_dtype(r, 1);
  return {{DType::boolean, broadcast(r, r.in(0).shape, r.in(1).shape)}};
}

Specs infer_logical(const Request& r) {
  if (r.in(0).dtype != DType::boolean) fail_dtype(r, fmt::format("bool is expected, got {}", name_of(r.in(0).dtype)));
  return infer_compare(r);
}

Specs infer_where(const Request& r) {
  namespace in = operand::where;
  need_dtype(r, 0, DType::boolean);
  if (r.in(in::a).dtype != r.in(in::b).dtype) {
    fail_dtype(r, fmt::format("one dtype is expected, got {} and {}", name_of(r.in(in::a).dtype), name_of(r.in(in::b).dtype)));
  }
  return {{r.in(in::a).dtype, broadcast(r, r.in(0).shape, broadcast(r, r.in(in::a).shape, r.in(in::b).shape))}};
}

Specs infer_clip(const Request& r) {
  need_number(r, 0);
  need_like_scalar(r, operand::clip::low);
  need_like_scalar(r, operand::clip::high);
  return {r.in(0)};
}

Specs infer_fused_elementwise(const Request& r) {
  const auto* program = dynamic_cast<const ElementwiseProgram*>(r.payload);
  if (program == nullptr) fail_value(r, "a program is expected");
  if (program->inputs != r.inputs.size()) {
    fail_value(r, fmt::format("the program reads {} operands, got {}", program->inputs, r.inputs.size()));
  }
  for (const TensorSpec& in : r.inputs) {
    if (!broadcasts_to(in.shape, program->shape)) {
      fail_shape(r, fmt::format("operand {} does not broadcast to {}", to_string(in.shape), to_string(program->shape)));
    }
  }
  const size_t values = program->inputs + program->code.size();
  for (size_t k = 0; k < program->code.size(); ++k) {
    const ElementwiseProgram::Instruction& code = program->code[k];
    for (int j = 0; j < info(code.op).min_inputs; ++j) {
      if (code.operand[j] < program->inputs + k) continue;
      fail_value(r, fmt::format("instruction {} reads value {}, which is not made before it", k, code.operand[j]));
    }
  }
  Shape shape = program->shape;
  if (program->reduces) {
    if (program->outputs.size() != 1) fail_value(r, "a program that reduces has one output");
    Shape folded;
    for (int i = 0; i < shape.rank(); ++i) {
      const bool fold = ((program->axes >> i) & 1) != 0;
      if (!fold) folded.push_back(shape[i]);
      if (fold && program->keepdims) folded.push_back(1);
    }
    shape = folded;
  }
  Specs out;
  for (uint16_t v : program->outputs) {
    if (v >= values) fail_value(r, fmt::format("output {} is not one of {} values", v, values));
    out.push_back({v < program->inputs ? r.in(v).dtype : program->code[v - program->inputs].dtype, shape});
  }
  return out;
}

}  // namespace lazuli::shape_rules
