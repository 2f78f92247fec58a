// Defines Pattern: a tree of ops written as text, found in a graph from its last op upwards.
#pragma once

#include <array>
#include <bitset>
#include <string_view>
#include <vector>

#include "lazuli/op.h"
#include "lazuli/optimizer.h"
#include "passes/rewriter.h"

namespace lazuli {

/// Text of a pattern:
///   x                 any value; the same name again means the same value
///   s[]               a value of rank 0
///   0.5               a `full` of this value
///   add(x, y)         the op; operands of add, mul, maximum, minimum match in either order
///   linear(...)       the op with any operands
///   matmul|linear(..) one of several ops
///   e=exp(x)          the op, and a name for its result
/// A matched op other than the last may be read only inside the match.
class Pattern {
 public:
  static constexpr size_t kMaxNames = 12;
  static constexpr size_t kMaxTerms = 32;

  explicit Pattern(std::string_view text);
  const std::vector<Op>& roots() const { return terms_[0].ops; }
  /// False when the ops of the operands alone show that nothing is found at `node`. Most nodes are turned away here.
  bool may_match(const ComputationGraph& g, const GraphNode& node) const;

  struct Term {
    std::vector<Op> ops;           ///< empty: any value
    std::vector<size_t> operands;  ///< indices of terms
    bool any_operands = false;
    bool scalar = false;
    bool number = false;
    double value = 0;
    int name = -1;
  };
  const std::vector<Term>& terms() const { return terms_; }
  const std::vector<std::string_view>& names() const { return names_; }

 private:
  size_t parse();
  size_t parse_call(std::string_view op_name, int name);
  std::string_view word();
  bool accept(char c);
  int name_index(std::string_view name);

  using OpSet = std::bitset<static_cast<size_t>(kOpCount)>;

  std::string_view rest_;
  std::vector<OpSet> operand_ops_;  // of the root; empty: any operands
  std::vector<Term> terms_;
  std::vector<std::string_view> names_;
};

/// The value that every element of `v` has, where the graph says it.
struct Known {
  bool known = false;
  double value = 0;
};
Known known_value(const ComputationGraph& g, Value v);

/// A match of a pattern, and the edits that its rewrite may make.
class Match {
 public:
  Match(Rewriter& rewriter, PassContext& context, std::string_view pattern_name) : rw(rewriter), context_(context), name_(pattern_name) {}

  using Rewrite = bool (*)(Match& match);
  /// Finds `pattern` at `root` and rewrites it; where operands commute, each way that the ops fit is tried until `rewrite` accepts one.
  /// Reports a refusal when the ops are there but no way was accepted.
  bool apply(const Pattern& pattern, int32_t root, Rewrite rewrite);

  /// The value behind a name of the pattern.
  Value operator()(std::string_view name) const;
  int32_t root() const { return root_; }
  const GraphNode& root_node() const { return rw.node(root_); }
  const TensorSpec& spec(Value v) const { return rw.spec(v); }
  const GraphNode& node(Value v) const { return rw.node(v); }

  /// Records why the match is not rewritten; returns false.
  bool refuse(std::string_view reason);
  /// Makes the root another op with the same results; refuses when a dtype or shape would differ.
  bool become(Op op, std::vector<Value> inputs, Attrs attrs, std::string_view label);

  /// Appends a node; its first result, or node -1 (and a refusal) when the operands do not fit the op.
  Value append(Op op, std::vector<Value> inputs, Attrs attrs, std::string_view label);

  /// `v` as the rank-0 f32 (f64 beside f64 data) that factors and eps are given in.
  Value factor(Value v, DType data);
  /// A rank-0 factor of known value.
  Value factor(double value, DType data);
  Value full(double value, const TensorSpec& spec);
  Value reshape(Value v, const Shape& shape);

  Rewriter& rw;

 private:
  struct Goal {
    uint32_t term;
    Value value;
  };
  struct Goals {
    std::array<Goal, Pattern::kMaxTerms> list;
    size_t count = 0;
    void push(size_t term, Value v) { list[count++] = {static_cast<uint32_t>(term), v}; }
  };
  bool solve(Goals goals);
  bool solve_term(const Pattern::Term& term, Value value, const Goals& goals);
  bool solve_operands(const Pattern::Term& term, Value value, const Goals& goals);
  bool accept();
  bool closed();
  bool infer_node(Op op, std::vector<Value> inputs, Attrs attrs, std::string_view label, GraphNode& node);

  PassContext& context_;
  std::string_view name_;
  const Pattern* pattern_ = nullptr;
  Rewrite rewrite_ = nullptr;
  int32_t root_ = -1;
  std::array<Value, Pattern::kMaxNames> named_;
  std::array<int32_t, Pattern::kMaxTerms> matched_;  // nodes, the root first
  size_t matched_count_ = 0;
  std::string_view reason_;
};

/// One fusion: its name, the forms it is recognised in, and how it is rewritten.
struct PatternEntry {
  std::string_view name;
  std::vector<Pattern> forms;
  Match::Rewrite rewrite;
};

/// Tries its entries at every node, in order. An entry earlier in the list goes first.
class PatternPass : public FusionPass {
 public:
  explicit PatternPass(std::vector<PatternEntry> entries);
  int run(ComputationGraph& graph, PassContext& context) const override;
  std::vector<std::string_view> patterns() const override;

 private:
  struct Form {
    const PatternEntry* entry;
    const Pattern* pattern;
  };
  std::vector<PatternEntry> entries_;
  std::array<std::vector<Form>, static_cast<size_t>(kOpCount)> by_root_;
};

}  // namespace lazuli
