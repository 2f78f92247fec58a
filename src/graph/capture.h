// Defines Capture: the walk that turns recorded nodes into a plan's key and, when asked, into a ComputationGraph.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "graph/node.h"

namespace lazuli {

/// Scratch and result of one walk; reused by its thread, so that a warm walk allocates nothing.
///
/// The key has two parts. `structure()` holds ops, attributes, edges, dtypes, ranks and, in place of each dimension, the number of its
/// equality class (0: the dimension 1; others in order of first appearance). `dims()` holds the classes' values. Two graphs with equal
/// structure differ only by a one-to-one renaming of dimensions, so a graph optimised for one fits the other after that renaming.
class Capture {
 public:
  /// Walks everything that `outputs` need and that is not evaluated. The caller holds a GraphReadGuard for as long as it uses the nodes.
  void walk(std::span<const Edge> outputs);

  std::span<const uint64_t> structure() const { return words_; }
  std::span<const int64_t> dims() const { return dims_; }
  uint64_t structure_hash() const { return structure_hash_; }
  uint64_t full_hash() const { return full_hash_; }
  /// Evaluated (or submitted) values that the graph reads, by index of their Op::input leaf.
  std::span<const Edge> inputs() const { return inputs_; }
  /// Bits of the run-time scalars by index of their Op::scalar leaf.
  std::span<const uint64_t> scalars() const { return scalars_; }
  /// Some input is still being computed by a submitted run.
  bool has_pending_inputs() const { return pending_; }
  size_t node_count() const { return order_.size(); }
  /// Where each node of the graph was recorded.
  void copy_wheres(std::vector<Where>& wheres) const;

  /// The walked nodes as a graph; inputs carry their strides in `input_strides` (empty for row-major ones).
  ComputationGraph graph(std::vector<Strides>* input_strides = nullptr) const;

 private:
  struct Entry {
    uint64_t key;
    uint32_t epoch;
    uint32_t index;
  };
  enum class Kind : uint8_t { input, scalar, interior };
  /// What the walk saw; a node's state may move on while its graph is used.
  struct Item {
    Node* node;
    uint32_t out;
    Kind kind;
    bool strided;
    uint32_t donate;
  };
  struct Frame {
    Node* node;
    uint32_t next;
  };
  struct DimEntry {
    int64_t value;
    uint32_t epoch;
    uint32_t index;
  };

  void reset();
  /// Index of (node, out) in the order; UINT32_MAX when it has not been placed.
  uint32_t find(uint64_t key) const;
  void insert(uint64_t key, uint32_t index);
  void grow();
  bool is_leaf(const Node* node);
  uint32_t effective_donation(const Node* node) const;
  uint32_t place_leaf(Node* node, uint32_t out);
  void place_interior(Node* node);
  void visit(Node* root, uint32_t out);
  void put_dims(const Shape& shape);
  uint64_t dim_class(int64_t d);
  uint32_t index_of(const Edge& e) const;
  void put_edges(std::span<const Edge> edges);
  void hash_key();

  uint32_t epoch_ = 0;
  std::vector<Entry> table_;
  std::vector<DimEntry> dim_table_;
  std::vector<Item> order_;
  std::vector<Frame> stack_;
  std::vector<uint64_t> words_;
  std::vector<int64_t> dims_;
  std::vector<Edge> inputs_;
  std::vector<uint64_t> scalars_;
  std::vector<Edge> outputs_;
  bool pending_ = false;
  uint64_t structure_hash_ = 0;
  uint64_t full_hash_ = 0;
};

}  // namespace lazuli
