#include "graph/capture.h"

#include "graph/attrs.h"
#include "lazuli/error.h"
#include "lazuli/op.h"

namespace lazuli {

namespace {

constexpr uint32_t kNone = UINT32_MAX;

/// Evaluated results of a node with several outputs are separate leaves.
uint64_t leaf_key(const Node* node, uint32_t out) { return node->id | (static_cast<uint64_t>(out) << 56); }

uint64_t mix(uint64_t h, uint64_t w) {
  h = (h ^ w) * 0x9e3779b97f4a7c15ull;
  return h ^ (h >> 29);
}

}  // namespace

void Capture::reset() {
  if (table_.empty()) {
    table_.resize(256, Entry{0, 0, 0});
    dim_table_.resize(256, DimEntry{0, 0, 0});
  }
  if (++epoch_ == 0) {
    for (Entry& e : table_) e.epoch = 0;
    for (DimEntry& e : dim_table_) e.epoch = 0;
    epoch_ = 1;
  }
  order_.clear();
  stack_.clear();
  words_.clear();
  dims_.clear();
  inputs_.clear();
  scalars_.clear();
  outputs_.clear();
  pending_ = false;
}

uint32_t Capture::find(uint64_t key) const {
  const size_t mask = table_.size() - 1;
  for (size_t p = key & mask;; p = (p + 1) & mask) {
    const Entry& e = table_[p];
    if (e.epoch != epoch_) return kNone;
    if (e.key == key) return e.index;
  }
}

void Capture::insert(uint64_t key, uint32_t index) {
  const size_t mask = table_.size() - 1;
  size_t p = key & mask;
  while (table_[p].epoch == epoch_) p = (p + 1) & mask;
  table_[p] = {key, epoch_, index};
}

void Capture::grow() {
  std::vector<Entry> old(table_.size() * 4, Entry{0, 0, 0});
  old.swap(table_);
  for (const Entry& e : old) {
    if (e.epoch == epoch_) insert(e.key, e.index);
  }
}

uint64_t Capture::dim_class(int64_t d) {
  if (d == 1) return 0;
  const size_t mask = dim_table_.size() - 1;
  size_t p = (static_cast<uint64_t>(d) * 0x9e3779b97f4a7c15ull >> 32) & mask;
  while (dim_table_[p].epoch == epoch_) {
    if (dim_table_[p].value == d) return dim_table_[p].index;
    p = (p + 1) & mask;
  }
  dims_.push_back(d);
  const auto index = static_cast<uint32_t>(dims_.size());
  if (index > 0xffff) throw ValueError("a graph with more than 65535 different dimensions");
  dim_table_[p] = {d, epoch_, index};
  if (dims_.size() * 2 > dim_table_.size()) {
    std::vector<DimEntry> old(dim_table_.size() * 4, DimEntry{0, 0, 0});
    old.swap(dim_table_);
    const size_t bigger = dim_table_.size() - 1;
    for (const DimEntry& e : old) {
      if (e.epoch != epoch_) continue;
      size_t q = (static_cast<uint64_t>(e.value) * 0x9e3779b97f4a7c15ull >> 32) & bigger;
      while (dim_table_[q].epoch == epoch_) q = (q + 1) & bigger;
      dim_table_[q] = e;
    }
  }
  return index;
}

void Capture::put_dims(const Shape& shape) {
  const int rank = shape.rank();
  for (int first = 0; first < rank; first += 4) {
    uint64_t word = 0;
    for (int i = first; i < rank && i < first + 4; ++i) word |= dim_class(shape[i]) << (16 * (i - first));
    words_.push_back(word);
  }
}

uint32_t Capture::index_of(const Edge& e) const {
  const uint32_t index = find(e.node->id);
  return index != kNone ? index : find(leaf_key(e.node, e.out));
}

void Capture::put_edges(std::span<const Edge> edges) {
  for (size_t k = 0; k < edges.size(); k += 2) {
    auto pack = [&](const Edge& e) {
      const uint32_t index = index_of(e);
      const uint64_t out = order_[index].kind != Kind::interior ? 0 : e.out;
      return (static_cast<uint64_t>(index) << 4) | out;
    };
    uint64_t word = pack(edges[k]);
    if (k + 1 < edges.size()) word |= pack(edges[k + 1]) << 32;
    words_.push_back(word);
  }
}

bool Capture::is_leaf(const Node* node) {
  switch (node->state()) {
    case NodeState::ready:
      return true;
    case NodeState::submitted:
      pending_ = true;
      return true;
    case NodeState::failed:
      std::rethrow_exception(node->error());
    default:
      return node->op == Op::scalar || node->op == Op::input;
  }
}

uint32_t Capture::place_leaf(Node* node, uint32_t out) {
  const auto index = static_cast<uint32_t>(order_.size());
  insert(leaf_key(node, out), index);
  const bool ready = node->ready();
  const bool scalar = node->op == Op::scalar && !ready;
  const DType dtype = node->dtype_of_output(out);
  const Shape& shape = node->shape_of_output(out);
  const bool strided = ready && !node->value(out).is_contiguous();
  order_.push_back({node, out, scalar ? Kind::scalar : Kind::input, strided, node->donate & 1});
  if (scalar) {
    scalars_.push_back(static_cast<uint64_t>(node->attrs[attr::scalar::index]));
  } else {
    inputs_.push_back({node, out});
  }
  words_.push_back(static_cast<uint64_t>(scalar ? Op::scalar : Op::input) | (1ull << 24) | (static_cast<uint64_t>(dtype) << 32) |
                   (static_cast<uint64_t>(shape.rank()) << 40) | (static_cast<uint64_t>(strided) << 51) |
                   (static_cast<uint64_t>(node->donate & 1) << 52));
  put_dims(shape);
  if (strided) {
    for (int64_t s : node->value(out).strides()) words_.push_back(static_cast<uint64_t>(s));
  }
  return index;
}

uint32_t Capture::effective_donation(const Node* node) const {
  // Only an output gives up its operands for good; any other node may be computed again and then needs them.
  if (node->donate == 0) return 0;
  for (const Edge& e : outputs_) {
    if (e.node == node) return node->donate;
  }
  return 0;
}

void Capture::place_interior(Node* node) {
  const auto index = static_cast<uint32_t>(order_.size());
  const uint32_t donate = effective_donation(node);
  order_.push_back({node, 0, Kind::interior, false, donate});
  insert(node->id, index);
  const Attrs& attrs = node->attrs;
  const auto edges = node->edges();
  const bool has_ints = (attrs.i[0] | attrs.i[1] | attrs.i[2] | attrs.i[3]) != 0;
  const bool has_list = attrs.list.size() != 0;
  const uint32_t outs = node->n_outputs();
  words_.push_back(static_cast<uint64_t>(node->op) | (static_cast<uint64_t>(edges.size()) << 8) | (static_cast<uint64_t>(outs) << 24) |
                   (static_cast<uint64_t>(node->dtype) << 32) | (static_cast<uint64_t>(node->shape.rank()) << 40) |
                   (static_cast<uint64_t>(has_ints) << 48) | (static_cast<uint64_t>(has_list) << 49) |
                   (static_cast<uint64_t>(donate) << 52));
  if (has_ints)
    words_.insert(words_.end(), {static_cast<uint64_t>(attrs.i[0]), static_cast<uint64_t>(attrs.i[1]), static_cast<uint64_t>(attrs.i[2]),
                                 static_cast<uint64_t>(attrs.i[3])});
  if (has_list) {
    words_.push_back(attrs.list.size());
    for (int64_t v : attrs.list.span()) words_.push_back(static_cast<uint64_t>(v));
  }
  put_edges(edges);
  put_dims(node->shape);
  for (uint32_t k = 1; k < outs; ++k) {
    words_.push_back(static_cast<uint64_t>(node->extra[k - 1].dtype) | (static_cast<uint64_t>(node->extra[k - 1].shape.rank()) << 8));
    put_dims(node->extra[k - 1].shape);
  }
}

void Capture::visit(Node* root, uint32_t root_out) {
  if (find(root->id) != kNone || find(leaf_key(root, root_out)) != kNone) return;
  if (is_leaf(root)) {
    place_leaf(root, root_out);
    return;
  }
  stack_.push_back({root, 0});
  while (!stack_.empty()) {
    Frame& top = stack_.back();
    const auto edges = top.node->edges();
    if (top.next == edges.size()) {
      if (order_.size() * 2 >= table_.size()) grow();
      if (find(top.node->id) == kNone) place_interior(top.node);
      stack_.pop_back();
      continue;
    }
    const Edge e = edges[top.next++];
    if (find(e.node->id) != kNone) continue;
    if (e.out != 0 && find(leaf_key(e.node, e.out)) != kNone) continue;
    if (order_.size() * 2 >= table_.size()) grow();
    if (is_leaf(e.node)) {
      place_leaf(e.node, e.out);
    } else {
      stack_.push_back({e.node, 0});
    }
  }
}

void Capture::copy_wheres(std::vector<Where>& wheres) const {
  wheres.clear();
  wheres.reserve(order_.size());
  for (const Item& item : order_) wheres.push_back(item.node->where);
}

void Capture::hash_key() {
  uint64_t h = 0x2545f4914f6cdd1dull ^ words_.size();
  for (uint64_t w : words_) h = mix(h, w);
  structure_hash_ = h;
  for (int64_t d : dims_) h = mix(h, static_cast<uint64_t>(d));
  full_hash_ = h;
}

void Capture::walk(std::span<const Edge> outputs) {
  reset();
  outputs_.assign(outputs.begin(), outputs.end());
  for (const Edge& e : outputs) {
    if (order_.size() * 2 >= table_.size()) grow();
    visit(e.node, e.out);
  }
  words_.push_back(~0ull);  // marks where the outputs begin
  put_edges(outputs_);
  hash_key();
}

ComputationGraph Capture::graph(std::vector<Strides>* input_strides) const {
  ComputationGraph g;
  g.nodes.reserve(order_.size());
  for (const Item& item : order_) {
    Node* node = item.node;
    GraphNode out;
    out.where = node->where;
    if (item.kind != Kind::interior) {
      const bool scalar = item.kind == Kind::scalar;
      out.op = scalar ? Op::scalar : Op::input;
      int& count = scalar ? g.scalar_count : g.input_count;
      out.attrs[attr::input::index] = count++;
      out.outputs.push_back({node->dtype_of_output(item.out), node->shape_of_output(item.out)});
      if (!scalar) {
        out.attrs[attr::input::donated] = node->donate & 1;
        if (input_strides != nullptr) input_strides->push_back(item.strided ? node->value(item.out).strides() : Strides());
      }
    } else {
      out.op = node->op;
      out.attrs = node->attrs;
      out.payload = node->payload;
      for (const Edge& e : node->edges()) {
        const auto index = static_cast<int32_t>(index_of(e));
        const bool leaf = order_[static_cast<size_t>(index)].kind != Kind::interior;
        const auto operand = out.inputs.size();
        out.inputs.push_back({index, leaf ? 0 : static_cast<int32_t>(e.out)});
        GraphNode& producer = g.nodes[static_cast<size_t>(index)];
        if (operand < 32 && ((item.donate >> operand) & 1) != 0 && producer.op == Op::input) producer.attrs[attr::input::donated] = 1;
      }
      for (uint32_t k = 0; k < node->n_outputs(); ++k) out.outputs.push_back({node->dtype_of_output(k), node->shape_of_output(k)});
    }
    g.nodes.push_back(std::move(out));
  }
  for (const Edge& e : outputs_) {
    const auto index = static_cast<int32_t>(index_of(e));
    g.outputs.push_back({index, order_[static_cast<size_t>(index)].kind != Kind::interior ? 0 : static_cast<int32_t>(e.out)});
  }
  return g;
}

}  // namespace lazuli
