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

/// A rewrite that was possible by its ops but would have changed a result or cost more, and why.
struct Refusal {
  std::string_view pattern;  ///< static storage
  std::string_view reason;   ///< static storage
  Op op{};                   ///< the op the match ended in
  Where where;               ///< where that op was recorded
};

/// What one pass did.
struct PassReport {
  std::string_view name;         ///< static storage
  bool ran = false;              ///< false: switched off
  int rewrites = 0;              ///< how often it applied
  int64_t ns = 0;                ///< nanoseconds
  size_t nodes_before = 0;       ///< of the graph
  size_t nodes_after = 0;        ///< of the graph
  size_t refusals = 0;           ///< all of them
  std::vector<Refusal> refused;  ///< the first `kMaxRefusals`
};
inline constexpr size_t kMaxRefusals = 64;  ///< refusals that a report keeps

/// What all passes did.
struct OptimizerReport {
  std::vector<PassReport> passes;  ///< in their order
  size_t nodes_before = 0;         ///< of the graph
  size_t nodes_after = 0;          ///< of the graph
  int64_t ns = 0;                  ///< nanoseconds
  /// A table, one line a pass, with its refusals below it.
  std::string to_text() const;
};

/// Computes a node from evaluated operands; how constant folding reaches a backend. An empty result leaves the node as it is.
using FoldFunction = std::function<std::vector<Tensor>(const GraphNode& node, std::span<const Tensor> operands)>;
/// Folds with the kernels that a run on the device would use; leaves nodes that take long or fail for the run.
FoldFunction fold_on(Device device);

/// What a pass may use besides the graph, which will be run with other sizes too: nothing that depends on a dimension's value may be
/// folded.
struct PassContext {
  const FoldFunction* fold = nullptr;          ///< null: constants are not computed
  PassReport* report = nullptr;                ///< null: nobody asks
  std::span<const std::string_view> off = {};  ///< fusions that are switched off

  /// Whether the fusion of this name may be made.
  bool allows(std::string_view pattern) const;
  /// Notes in the report that `pattern` ended in `node` and why it was left; both texts are of static storage.
  void refuse(std::string_view pattern, std::string_view reason, const GraphNode& node);
};

/// A named rewrite of a graph whose nodes are in topological order; it leaves them in topological order. Decisions depend on structure
/// only: ops, attributes, edges, dtypes, ranks and which dims are equal or 1.
class FusionPass {
 public:
  virtual ~FusionPass() = default;
  /// Its word in reports and in LAZULI_PASSES.
  virtual std::string_view name() const = 0;
  /// The fusions that it makes, each of which can be switched off alone; static storage.
  virtual std::vector<std::string_view> patterns() const { return {}; }
  /// Returns the number of rewrites.
  virtual int run(ComputationGraph& graph, PassContext& context) const = 0;
};

/// An ordered list of passes; each, and each fusion that one of them makes, can be switched off.
class GraphOptimizer {
 public:
  /// An empty list. Verification is on where NDEBUG is not defined.
  GraphOptimizer();
  /// All passes in their order, less the passes and fusions that the environment variable LAZULI_PASSES names (`-chains,-swiglu`).
  static GraphOptimizer standard();
  /// Only what must run before differentiation: composites are found in their primitives. LAZULI_PASSES counts here too.
  static GraphOptimizer recognition();

  /// Puts a pass at the end.
  void add(std::shared_ptr<const FusionPass> pass);
  /// Switches every pass of this name, or every fusion (`LoRALinear`, or `lora_linear`), on or off; throws ValueError for a name that is
  /// neither.
  void enable(std::string_view name, bool on);
  /// Of the passes, in their order.
  std::vector<std::string_view> names() const;
  /// Of the fusions that the passes make, each once.
  std::vector<std::string_view> patterns() const;
  /// Whether the graph is verified before the first and after every pass.
  void set_verify(bool on) { verify_ = on; }
  ///@{
  /// How constants are computed; without it they are left for the run.
  void set_fold(FoldFunction fold) { fold_ = std::move(fold); }
  bool has_fold() const { return fold_ != nullptr; }
  ///@}

  /// Called with the graph as each pass leaves it, in the order of the list.
  using Observer = std::function<void(const PassReport& pass, const ComputationGraph& graph)>;
  /// At most one; an empty one takes it away.
  void set_observer(Observer observer) { observer_ = std::move(observer); }

  /// Rewrites the graph in place. Throws GraphError when it has a cycle, or fails verification (then naming the pass).
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

/// The graph after the standard passes, with constants computed by the CPU's kernels.
ComputationGraph optimize(const ComputationGraph& graph, OptimizerReport* report = nullptr);
/// The graph with composite ops (attention, norms, activations, softmax cross entropy) in place of their primitives.
ComputationGraph recognise(const ComputationGraph& graph, OptimizerReport* report = nullptr);

}  // namespace lazuli
