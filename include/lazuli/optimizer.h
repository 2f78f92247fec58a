// Defines GraphOptimizer: an ordered list of named rewrites that makes a recorded graph smaller without changing what it computes.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lazuli/graph.h"

namespace lazuli {

/// A rewrite whose pattern matched but that was refused, because it would have changed a result or cost more.
struct Refusal {
  std::string_view pattern;  ///< static storage
  std::string_view reason;   ///< static storage
  Op op{};                   ///< the last op of the match
  Where where;               ///< where that op was recorded
};

/// The report of one pass.
struct PassReport {
  std::string_view name;         ///< static storage
  bool ran = false;              ///< false: switched off
  int rewrites = 0;              ///< number of rewrites
  int64_t ns = 0;                ///< nanoseconds
  size_t nodes_before = 0;       ///< nodes of the graph before the pass
  size_t nodes_after = 0;        ///< nodes of the graph after the pass
  size_t refusals = 0;           ///< number of all refusals
  std::vector<Refusal> refused;  ///< the first `kMaxRefusals`
};
inline constexpr size_t kMaxRefusals = 64;  ///< the most refusals that a report keeps

/// The reports of all passes.
struct OptimizerReport {
  std::vector<PassReport> passes;  ///< in their order
  size_t nodes_before = 0;         ///< nodes of the graph before the first pass
  size_t nodes_after = 0;          ///< nodes of the graph after the last pass
  int64_t ns = 0;                  ///< nanoseconds
  /// Returns a table with one line per pass and its refusals below it.
  std::string to_text() const;
};

/// Computes a node from evaluated operands. Constant folding calls a backend through it. An empty result leaves the node as it is.
using FoldFunction = std::function<std::vector<Tensor>(const GraphNode& node, std::span<const Tensor> operands)>;

/// What a pass may use besides the graph. The graph will run with other sizes too, so nothing that depends on the value of a dimension may
/// be folded.
struct PassContext {
  const FoldFunction* fold = nullptr;          ///< null: constants are not computed
  PassReport* report = nullptr;                ///< null: no report is wanted
  std::span<const std::string_view> off = {};  ///< fusions that are switched off

  /// Whether the fusion of this name may be made.
  bool allows(std::string_view pattern) const;
  /// Reports that a match of `pattern` ended in `node` and why it was refused. Both texts have static storage.
  void refuse(std::string_view pattern, std::string_view reason, const GraphNode& node);
};

/// A named rewrite of a graph. Nodes are in topological order before and after it. Its decisions depend only on the structure: ops,
/// attributes, edges, dtypes, ranks, and which dims are equal or 1.
class FusionPass {
 public:
  virtual ~FusionPass() = default;
  /// Its name in reports and in LAZULI_PASSES.
  virtual std::string_view name() const = 0;
  /// The fusions that it makes. Each can be switched off alone. The names have static storage.
  virtual std::vector<std::string_view> patterns() const { return {}; }
  /// Rewrites the graph and returns the number of rewrites.
  virtual int run(ComputationGraph& graph, PassContext& context) const = 0;
};

/// An ordered list of passes. Each pass, and each fusion of a pass, can be switched off.
class GraphOptimizer {
 public:
  /// Makes an empty list. Verification is on if NDEBUG is not defined.
  GraphOptimizer();
  /// Returns all passes in their order, without those that the environment variable LAZULI_PASSES switches off (`-chains,-swiglu`).
  static GraphOptimizer standard();
  /// Returns the passes that must run before differentiation, which recognise composites in their primitives. LAZULI_PASSES counts here
  /// too.
  static GraphOptimizer recognition();

  /// Puts a pass at the end.
  void add(std::shared_ptr<const FusionPass> pass);
  /// Switches every pass of this name, or every fusion (`LoRALinear` or `lora_linear`), on or off. Throws ValueError for a name that is
  /// neither.
  void enable(std::string_view name, bool on);
  /// Returns the names of the passes, in their order.
  std::vector<std::string_view> names() const;
  /// Returns the names of the fusions that the passes make, each once.
  std::vector<std::string_view> patterns() const;
  /// Sets whether the graph is verified before the first pass and after every pass.
  void set_verify(bool on) { verify_ = on; }
  ///@{
  /// The function that computes constants. Without it they are left for the run.
  void set_fold(FoldFunction fold) { fold_ = std::move(fold); }
  bool has_fold() const { return fold_ != nullptr; }
  ///@}

  /// A function that is called with the graph after each pass, in the order of the list.
  using Observer = std::function<void(const PassReport& pass, const ComputationGraph& graph)>;
  /// Sets the one observer. An empty function removes it.
  void set_observer(Observer observer) { observer_ = std::move(observer); }

  /// Rewrites the graph in place. Throws GraphError if it has a cycle. Throws GraphError naming the pass if verification fails.
  void run(ComputationGraph& graph, OptimizerReport* report = nullptr) const;

 private:
  struct Entry {
    std::shared_ptr<const FusionPass> pass;
    bool on = true;
  };
  bool try_enable(std::string_view name, bool on);

  std::vector<Entry> passes_;
  std::vector<std::string_view> off_;  // fusions
  FoldFunction fold_;
  Observer observer_;
  bool verify_;
};

/// Returns the graph with composite ops (attention, norms, activations, softmax cross entropy) in place of their primitives.
ComputationGraph recognise(const ComputationGraph& graph, OptimizerReport* report = nullptr);

}  // namespace lazuli
