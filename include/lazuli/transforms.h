// Declares the function transforms: grad, value_and_grad, vjp, checkpoint and compile.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "lazuli/function.h"
#include "lazuli/lazy_tensor.h"
#include "lazuli/memory.h"

namespace lazuli {

/// Returns gradients of sum(outputs[k] * cotangents[k]) with respect to `inputs`, as recorded graphs that can be differentiated again. An
/// input that the outputs do not depend on gives zeros. Composite ops are not recognised in primitives; `value_and_grad` does that.
std::vector<LazyTensor> vjp(std::span<const LazyTensor> outputs, std::span<const LazyTensor> inputs,
                            std::span<const LazyTensor> cotangents);

/// A function's value and its gradients.
struct ValueAndGrad {
  LazyTensor value;               ///< one element
  std::vector<LazyTensor> grads;  ///< one for each entry of `argnums`
};
/// Returns a function that gives f's value (one element) and its gradients with respect to the arguments in `argnums` (default: all).
std::function<ValueAndGrad(std::span<const LazyTensor>)> value_and_grad(ScalarFunction f, std::vector<int> argnums = {});
/// Returns a function that gives the gradients alone.
std::function<std::vector<LazyTensor>(std::span<const LazyTensor>)> grad(ScalarFunction f, std::vector<int> argnums = {});

/// Returns a function like `f` whose intermediates are recomputed in the backward pass instead of being kept (Chen et al. 2016).
Function checkpoint(Function f);

/// A function that is traced once for each combination of argument dtypes and shapes. A call runs the plan directly.
class CompiledFunction {
 public:
  /// Makes an empty object, to be assigned to.
  CompiledFunction();
  /// For `compile`.
  CompiledFunction(Function f, Device device);
  ~CompiledFunction();
  ///@{
  /// Leaves the other empty.
  CompiledFunction(CompiledFunction&&) noexcept;
  CompiledFunction& operator=(CompiledFunction&&) noexcept;
  ///@}
  /// Runs and waits. See `donate` for arguments that are moved in. Use a CompiledFunction from one thread at a time.
  std::vector<Tensor> operator()(std::vector<Tensor> args);
  /// Runs, waits and writes into `results` (resized), without allocating when warm.
  void call(std::span<Tensor> args, std::vector<Tensor>& results);
  /// Marks arguments as donated: results may take their memory when the caller is their only owner. The call leaves such an argument empty.
  void donate(const std::vector<int>& argnums);
  /// Traces and plans for such arguments, and runs nothing. Returns the memory that a call needs beside them. Results that take the memory
  /// of donated arguments do not count.
  MemoryNeed plan(std::span<const TensorSpec> arguments);
  size_t workspace_bytes() const;  ///< bytes that the last call's plan leases for intermediates
  size_t peak_bytes() const;       ///< the same, plus its results
  size_t traces() const;           ///< how many times the function was traced

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};
/// Returns a compiled `f`. Nothing is traced before the first call.
CompiledFunction compile(Function f, Device device = {});

}  // namespace lazuli
