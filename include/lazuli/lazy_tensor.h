// Defines LazyTensor: a handle on an immutable node of a recorded graph, evaluated on demand.
#pragma once

#include <initializer_list>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "lazuli/graph.h"
#include "lazuli/operation.h"
#include "lazuli/tensor.h"

namespace lazuli {

class Node;
template <class T>
class Future;

/// A value that is recorded, not computed. Copying shares the node. Any threads may build and evaluate graphs that share nodes. Ops check
/// dtypes and shapes at once and throw ShapeError or DTypeError. An empty or moved-from (donated) handle throws GraphError.
class LazyTensor {
 public:
  /// An empty handle.
  LazyTensor() = default;
  ///@{
  /// A copy shares the node; a handle that was moved from is empty.
  LazyTensor(const LazyTensor& o);
  LazyTensor(LazyTensor&& o) noexcept : node_(std::exchange(o.node_, nullptr)), out_(o.out_) {}
  LazyTensor& operator=(LazyTensor o) noexcept {
    std::swap(node_, o.node_);
    std::swap(out_, o.out_);
    return *this;
  }
  ///@}
  ~LazyTensor() {
    if (node_ != nullptr) drop(node_);
  }

  /// Makes a leaf that shares the tensor's data.
  static LazyTensor from_tensor(Tensor value);
  ///@{
  /// Makes a leaf with a copy of `values`, row-major. Throws ShapeError when the count does not match the shape.
  template <class T>
  static LazyTensor from_slice(std::span<const T> values, const Shape& shape) {
    return from_tensor(Tensor::from_slice(values, shape));
  }
  template <class T>
  static LazyTensor from_slice(std::initializer_list<T> values, const Shape& shape) {
    return from_slice(std::span<const T>(values.begin(), values.size()), shape);
  }
  ///@}
  ///@{
  /// Makes a constant whose elements are all the same number. It takes no memory until a result needs it.
  static LazyTensor zeros(const Shape& shape, DType dtype = DType::f32);
  static LazyTensor ones(const Shape& shape, DType dtype = DType::f32);
  static LazyTensor full(const Shape& shape, double value, DType dtype = DType::f32);
  ///@}
  /// Makes a run-time value of rank 0. Its number is not part of the key of a plan.
  static LazyTensor scalar(double value, DType dtype = DType::f32);
  /// Makes an integer run-time value, exact up to 64 bits.
  static LazyTensor scalar_int(int64_t value, DType dtype = DType::i32);

  /// Whether the handle has a node.
  bool defined() const { return node_ != nullptr; }
  ///@{
  /// Properties that are known without computing anything. `axis` may be negative.
  DType dtype() const;
  const Shape& shape() const;
  int rank() const { return shape().rank(); }
  int64_t dim(int axis) const { return shape()[normalize_axis("dim", axis, rank())]; }
  int64_t numel() const { return shape().numel(); }
  ///@}

  /// Computes the value once; later calls return the same data. Errors of the run name the op and where it was recorded.
  Tensor eval() const;
  /// Submits the work and returns before it is done.
  Future<Tensor> eval_async() const;
  /// True once a result is there.
  bool is_ready() const;
  /// Returns the number of recorded nodes that an `eval` would walk, leaves included.
  size_t graph_size() const;
  /// Returns the number of nodes of the same graph after optimisation.
  size_t optimized_size() const;
  /// Returns the recorded graph as a snapshot.
  ComputationGraph graph() const;

  ///@{
  /// The common ops as methods. The functions of the same names in ops.h document them, and ops.h has all ops.
  LazyTensor matmul(const LazyTensor& b, Where where = Where::here()) const;
  LazyTensor softmax(int dim, Where where = Where::here()) const;
  LazyTensor rms_norm(const LazyTensor& weight, double eps = 1e-6, Where where = Where::here()) const;
  LazyTensor mul_scalar(double s, Where where = Where::here()) const;
  LazyTensor add_scalar(double s, Where where = Where::here()) const;
  LazyTensor lora_fused(const LazyTensor& a, const LazyTensor& b, double scale, Where where = Where::here()) const;
  LazyTensor reshape(const Shape& shape, Where where = Where::here()) const;  ///< one dim may be -1
  LazyTensor transpose(int a, int b, Where where = Where::here()) const;
  LazyTensor permute(std::initializer_list<int> axes, Where where = Where::here()) const;
  LazyTensor slice(int axis, int64_t start, int64_t stop, int64_t step = 1, Where where = Where::here()) const;
  LazyTensor expand(const Shape& shape, Where where = Where::here()) const;
  LazyTensor sum(std::initializer_list<int> axes = {}, bool keepdims = false, Where where = Where::here()) const;
  LazyTensor mean(std::initializer_list<int> axes = {}, bool keepdims = false, Where where = Where::here()) const;
  LazyTensor cast(DType dtype, Where where = Where::here()) const;
  ///@}

  ///@{
  /// For code that builds graphs: a handle of an output of a node. It takes over one reference of the node.
  LazyTensor(Node* adopted, uint32_t out) : node_(adopted), out_(out) {}
  Node* node() const { return node_; }
  uint32_t out() const { return out_; }
  ///@}
  Node* checked() const;  ///< the node; throws GraphError for an empty or donated handle

 private:
  static void drop(Node* node);
  Node* node_ = nullptr;
  uint32_t out_ = 0;
};

/// Evaluates several values in one plan.
std::vector<Tensor> eval(std::span<const LazyTensor> values);
/// Submits several values as one plan and returns before it is done.
std::vector<Future<Tensor>> eval_async(std::span<const LazyTensor> values);
/// Returns one graph whose outputs are the values. Nodes that they share appear once.
ComputationGraph capture(std::span<const LazyTensor> values);

///@{
/// The device where evaluation on this thread runs (default: cpu).
Device default_device();
void set_default_device(Device device);
///@}

/// Records any op of the table. Callers normally want the named functions of ops.h. If bit k of `donate` is set, the result may take the
/// buffer of operand k.
std::vector<LazyTensor> record_all(Op op, std::span<const LazyTensor> inputs, const Attrs& attrs = {}, const TensorSpec* target = nullptr,
                                   Payload payload = {}, Where where = Where::here(), uint32_t donate = 0);
/// Records any op of the table and returns its first (often only) result.
LazyTensor record(Op op, std::initializer_list<LazyTensor> inputs, const Attrs& attrs = {}, const TensorSpec* target = nullptr,
                  Where where = Where::here(), uint32_t donate = 0);

}  // namespace lazuli
