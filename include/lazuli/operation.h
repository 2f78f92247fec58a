// Defines Operation: an op of the table of ops (ops.def) with its attributes.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "lazuli/dtype.h"
#include "lazuli/shape.h"

namespace lazuli {

/// The ops; op.h has their names.
enum class Op : uint8_t;

/// What passes and the planner may assume of an op.
enum class OpClass : uint8_t {
  leaf,       ///< data that enters from outside
  source,     ///< data made from attributes alone
  random,     ///< made from a seed operand
  unary,      ///< elementwise, one operand
  binary,     ///< elementwise, two operands, broadcasting
  ternary,    ///< elementwise, three operands, broadcasting
  view,       ///< the same elements seen through other strides
  reduction,  ///< reduces axes
  matmul,
  row,  ///< each result row depends on one row (softmax, norms)
  gather,
  move,
  composite,
  optimizer,
  fused,
};

/// More properties that passes and the planner may assume, as bits of OpInfo::traits.
struct OpTrait {
  static constexpr uint8_t plain = 0;            ///< no trait
  static constexpr uint8_t commutes = 1;         ///< the two operands may be exchanged
  static constexpr uint8_t cheap = 2;            ///< little arithmetic: it may be recomputed rather than kept
  static constexpr uint8_t ends_chain = 4;       ///< it can be the reduction at the end of an elementwise chain
  static constexpr uint8_t updates = 8;          ///< writes into the memory of operand 0 if that is donated
  static constexpr uint8_t transcendental = 16;  ///< contains an exponential or a logarithm: several times the arithmetic of a sum
  static constexpr uint8_t activation = 32;      ///< a matrix product can apply it to its result
};

/// An op's row in the table.
struct OpInfo {
  std::string_view name;  ///< its name everywhere
  int8_t min_inputs;      ///< least number of operands
  int8_t max_inputs;      ///< -1: any number
  int8_t outputs;         ///< -1: decided by the node
  OpClass cls;            ///< its class for passes
  uint8_t traits;         ///< bits of OpTrait
};
///@{
/// An op's row in the table, and its name.
const OpInfo& info(Op op);
inline std::string_view name_of(Op op) { return info(op).name; }
///@}
/// Whether the op has this bit of OpTrait.
inline bool has_trait(Op op, uint8_t trait) { return (info(op).traits & trait) != 0; }
/// Whether each element of the result depends on the same element of the operands only.
inline bool is_elementwise(Op op) {
  OpClass c = info(op).cls;
  return c == OpClass::unary || c == OpClass::binary || c == OpClass::ternary;
}

/// An immutable list of integers, shared by copies. An empty list takes no memory.
class IntList {
 public:
  IntList() = default;
  /// Takes over the values.
  explicit IntList(std::vector<int64_t> values) : data_(std::make_shared<const std::vector<int64_t>>(std::move(values))) {}
  ///@{
  /// The integers; an index is not checked.
  std::span<const int64_t> span() const { return data_ ? std::span<const int64_t>(*data_) : std::span<const int64_t>(); }
  size_t size() const { return data_ ? data_->size() : 0; }
  int64_t operator[](size_t i) const { return (*data_)[i]; }
  ///@}
  /// Compares the integers, wherever they are kept.
  bool operator==(const IntList& o) const {
    auto a = span(), b = o.span();
    if (a.size() != b.size()) return false;
    for (size_t i = 0; i < a.size(); ++i) {
      if (a[i] != b[i]) return false;
    }
    return true;
  }

 private:
  std::shared_ptr<const std::vector<int64_t>> data_;
};

/// Which entry of Attrs::i an attribute is; graph/attrs.h has one for each in ops.def.
struct AttrKey {
  uint8_t entry;  ///< 0 to 3
};

/// Attributes of an op. They are part of the key of a plan.
struct Attrs {
  std::array<int64_t, 4> i{};  ///< entries i0 to i3
  IntList list;                ///< the entry `list`
  ///@{
  /// An attribute by its name.
  int64_t& operator[](AttrKey key) { return i[key.entry]; }
  int64_t operator[](AttrKey key) const { return i[key.entry]; }
  ///@}
  /// Member by member.
  bool operator==(const Attrs&) const = default;
};

/// Data of a node besides attributes: a fused program, or a function to recompute.
struct NodePayload {
  virtual ~NodePayload() = default;
};
/// Shared by copies of a node; null for most.
using Payload = std::shared_ptr<const NodePayload>;

/// dtype and shape of a value.
struct TensorSpec {
  DType dtype = DType::f32;  ///< of the elements
  Shape shape;               ///< outermost dimension first
  /// Member by member.
  bool operator==(const TensorSpec&) const = default;
};

/// An op with its attributes.
struct Operation {
  Op op{};          ///< which one
  Attrs attrs;      ///< see ops.def
  Payload payload;  ///< for the few ops that have one
};

/// The place in the user's program where an op was recorded.
struct Where {
  const char* file = nullptr;  ///< static storage; null: not known
  int line = 0;                ///< from 1
  /// The caller's file and line, as a default argument.
  static constexpr Where here(const char* file = __builtin_FILE(), int line = __builtin_LINE()) { return {file, line}; }
  /// Compares file and line. File names are compared by address.
  bool operator==(const Where&) const = default;
};

/// A chain of elementwise ops that runs in one pass over memory, with an optional reduction at the end. Values are numbered: first the
/// operands, from 0 to inputs - 1, then one value for each instruction.
struct ElementwiseProgram : NodePayload {
  /// One op of the chain.
  struct Instruction {
    Op op;                ///< an elementwise op
    uint16_t operand[3];  ///< numbers of the values it reads
    DType dtype;          ///< of the result; the arithmetic is in f32 for floats (double on the reference backend)
  };
  uint16_t inputs = 0;            ///< how many values come from operands
  std::vector<Instruction> code;  ///< in the order of execution
  std::vector<uint16_t> outputs;  ///< value numbers stored, in order of the node's outputs
  Shape shape;                    ///< the iteration space: all operands broadcast to it
  bool reduces = false;           ///< true: the only output is reduced by `reduction` over `axes` (bit mask)
  Op reduction{};                 ///< sum, mean, max or min
  int64_t axes = 0;               ///< reduced axes, bit k for axis k
  bool keepdims = false;          ///< reduced axes stay with size 1
};

/// Applies the shape and dtype rule of `op` to its operands. `target` is the requested result for ops that take one (reshape, full, slice,
/// ...), and null otherwise. Throws ShapeError or DTypeError naming the op.
std::vector<TensorSpec> infer(const Operation& op, std::span<const TensorSpec> inputs, const TensorSpec* target = nullptr);

}  // namespace lazuli
