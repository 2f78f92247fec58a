#include "graph/record.h"

#include <algorithm>
#include <cmath>

#include "base/trace.h"
#include "graph/attrs.h"
#include "graph/node.h"
#include "graph/shape_rules.h"
#include "lazuli/error.h"
#include "lazuli/op.h"

namespace lazuli {

namespace {

/// Free when tracing is off.
inline void trace_record(Op op) {
  if (__builtin_expect(trace::enabled.load(std::memory_order_relaxed), 0)) trace::record_event(name_of(op));
}

/// Takes operands by pointer so that recording touches no reference count but the one that the edge owns.
Node* make_node(Op op, const LazyTensor* const* inputs, size_t n, const Attrs& attrs, const TensorSpec* target, Payload payload,
                Where where, uint32_t donate) {
  trace_record(op);
  Node* node;
  TensorSpec fast;
  if (target == nullptr && n >= 1 && n <= 2 && is_elementwise(op)) {
    Node* a = inputs[0]->checked();
    Node* b = n == 2 ? inputs[1]->checked() : a;
    const TensorSpec sa{a->dtype_of_output(inputs[0]->out()), a->shape_of_output(inputs[0]->out())};
    const TensorSpec sb{b->dtype_of_output(inputs[n - 1]->out()), b->shape_of_output(inputs[n - 1]->out())};
    if (shape_rules::infer_fast(op, sa, sb, fast)) {
      node = Node::make(op, static_cast<uint32_t>(n), 1);
      node->dtype = fast.dtype;
      node->shape = fast.shape;
      node->where = where;
      node->donate = donate;
      for (size_t k = 0; k < n; ++k) {
        Node* input = inputs[k]->node();
        input->retain();
        node->edges()[k] = {input, inputs[k]->out()};
      }
      return node;
    }
  }
  std::vector<TensorSpec> specs(n);
  for (size_t k = 0; k < n; ++k) {
    inputs[k]->checked();
    specs[k] = {inputs[k]->dtype(), inputs[k]->shape()};
  }
  Operation operation{op, attrs, payload};
  std::vector<TensorSpec> outputs = infer(operation, specs, target);
  node = Node::make(op, static_cast<uint32_t>(n), static_cast<uint32_t>(outputs.size()));
  node->dtype = outputs[0].dtype;
  node->shape = outputs[0].shape;
  for (size_t k = 1; k < outputs.size(); ++k) node->extra[k - 1] = outputs[k];
  node->attrs = attrs;
  node->payload = std::move(payload);
  node->where = where;
  node->donate = donate;
  for (size_t k = 0; k < n; ++k) {
    Node* input = inputs[k]->node();
    input->retain();
    node->edges()[k] = {input, inputs[k]->out()};
  }
  return node;
}

uint64_t scalar_bits(DType dtype, double value, int64_t integer, bool exact_integer) {
  uint64_t bits = 0;
  dispatch(dtype, [&](auto zero) {
    using T = decltype(zero);
    T v;
    if constexpr (std::is_same_v<T, bf16> || std::is_same_v<T, f16>) {
      v = T(static_cast<float>(value));
    } else if constexpr (std::is_floating_point_v<T>) {
      v = static_cast<T>(value);
    } else if constexpr (std::is_same_v<T, bool>) {
      v = exact_integer ? integer != 0 : value != 0;
    } else {
      v = static_cast<T>(exact_integer ? integer : static_cast<int64_t>(std::clamp(value, -9.2e18, 9.2e18)));
    }
    __builtin_memcpy(&bits, &v, sizeof(v));
  });
  return bits;
}

LazyTensor make_scalar(DType dtype, uint64_t bits) {
  Node* node = Node::make(Op::scalar, 0, 1);
  node->dtype = dtype;
  node->attrs[attr::scalar::index] = static_cast<int64_t>(bits);
  return {node, 0};
}

}  // namespace

LazyTensor::LazyTensor(const LazyTensor& o) : node_(o.node_), out_(o.out_) {
  if (node_ != nullptr) node_->retain();
}

void LazyTensor::drop(Node* node) { Node::release(node); }

Node* LazyTensor::checked() const {
  if (node_ == nullptr) throw GraphError("this LazyTensor is empty: it was never set, or it was moved from (donated)");
  return node_;
}

DType LazyTensor::dtype() const { return checked()->dtype_of_output(out_); }
const Shape& LazyTensor::shape() const { return checked()->shape_of_output(out_); }
bool LazyTensor::is_ready() const { return checked()->ready(); }

LazyTensor LazyTensor::from_tensor(Tensor value) {
  if (!value.defined()) throw GraphError("from_tensor: the Tensor is empty");
  Node* node = Node::make(Op::input, 0, 1);
  node->dtype = value.dtype();
  node->shape = value.shape();
  node->set_leaf_value(std::move(value));
  return {node, 0};
}

LazyTensor LazyTensor::full(const Shape& shape, double value, DType dtype) {
  shape.check("full", size_of(dtype));
  Attrs attrs;
  attrs[attr::full::value] = std::bit_cast<int64_t>(value);
  TensorSpec target{dtype, shape};
  return record(Op::full, {}, attrs, &target);
}
LazyTensor LazyTensor::zeros(const Shape& shape, DType dtype) { return full(shape, 0, dtype); }
LazyTensor LazyTensor::ones(const Shape& shape, DType dtype) { return full(shape, 1, dtype); }
LazyTensor LazyTensor::scalar(double value, DType dtype) { return make_scalar(dtype, scalar_bits(dtype, value, 0, false)); }
LazyTensor LazyTensor::scalar_int(int64_t value, DType dtype) {
  return make_scalar(dtype, scalar_bits(dtype, static_cast<double>(value), value, true));
}

LazyTensor make_placeholder(int32_t index, DType dtype, const Shape& shape) {
  Node* node = Node::make(Op::input, 0, 1);
  node->dtype = dtype;
  node->shape = shape;
  node->argument = index;
  return {node, 0};
}

std::vector<LazyTensor> record_all(Op op, std::span<const LazyTensor> inputs, const Attrs& attrs, const TensorSpec* target, Payload payload,
                                   Where where, uint32_t donate) {
  std::vector<const LazyTensor*> pointers;
  pointers.reserve(inputs.size());
  for (const LazyTensor& t : inputs) pointers.push_back(&t);
  Node* node = make_node(op, pointers.data(), pointers.size(), attrs, target, std::move(payload), where, donate);
  std::vector<LazyTensor> outputs;
  outputs.reserve(node->n_outputs());
  for (uint32_t k = 0; k < node->n_outputs(); ++k) {
    if (k > 0) node->retain();
    outputs.emplace_back(node, k);
  }
  return outputs;
}

LazyTensor record(Op op, std::initializer_list<LazyTensor> inputs, const Attrs& attrs, const TensorSpec* target, Where where,
                  uint32_t donate) {
  const LazyTensor* pointers[8];
  if (inputs.size() > 8) return record_all(op, {inputs.begin(), inputs.size()}, attrs, target, {}, where, donate)[0];
  size_t n = 0;
  for (const LazyTensor& t : inputs) pointers[n++] = &t;
  return {make_node(op, pointers, n, attrs, target, {}, where, donate), 0};
}

LazyTensor record_unary(Op op, const LazyTensor& x, Where where) {
  const LazyTensor* inputs[] = {&x};
  return {make_node(op, inputs, 1, {}, nullptr, {}, where, 0), 0};
}

LazyTensor record_binary(Op op, const LazyTensor& a, const LazyTensor& b, Where where) {
  const LazyTensor* inputs[] = {&a, &b};
  return {make_node(op, inputs, 2, {}, nullptr, {}, where, 0), 0};
}

}  // namespace lazuli
