// Declares the function transforms: grad, value_and_grad, vjp, checkpoint and compile.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "lazuli/lazy_tensor.h"
#include "lazuli/memory.h"

namespace lazuli {

/// From recorded values to recorded values.
using Function = std::function<std::vector<LazyTensor>(std::span<const LazyTensor>)>;
/// From recorded values to one value of one element.
using ScalarFunction = std::function<LazyTensor(std::span<const LazyTensor>)>;

/// Gradients of sum(outputs[k] * cotangents[k]) with respect to `inputs`, as recorded graphs that can be differentiated again. An input
/// that the outputs do not depend on gives zeros. Composite patterns are not searched; `value_and_grad` does that.
std::vector<LazyTensor> vjp(std::span<const LazyTensor> outputs, std::span<const LazyTensor> inputs,
                            std::span<const LazyTensor> cotangents);

/// A function's value and its gradients.
struct ValueAndGrad {
  LazyTensor value;               ///< one element
  std::vector<LazyTensor> grads;  ///< one for each entry of `argnums`
};
/// A function that returns f's value (one element) and its gradients with respect to the arguments in `argnums` (default: all).
std::function<ValueAndGrad(std::span<const LazyTensor>)> value_and_grad(ScalarFunction f, std::vector<int> argnums = {});
/// The same with the gradients alone.
std::function<std::vector<LazyTensor>(std::span<const LazyTensor>)> grad(ScalarFunction f, std::vector<int> argnums = {});

/// `f` whose intermediates are computed again in the backward pass instead of being kept (Chen et al. 2016).
Function checkpoint(Function f);

/// A function traced once for each combination of argument dtypes and shapes; a call runs the plan directly.
class CompiledFunction {
 public:
  /// Empty; to be assigned to.
  CompiledFunction();
  /// What `compile` makes.
  CompiledFunction(Function f, Device device);
  ~CompiledFunction();
  ///@{
  /// Leaves the other empty.
  CompiledFunction(CompiledFunction&&) noexcept;
  CompiledFunction& operator=(CompiledFunction&&) noexcept;
  ///@}
  /// Runs and waits. See `donate` for arguments that are moved in. One CompiledFunction serves one thread at a time.
  std::vector<Tensor> operator()(std::vector<Tensor> args);
  /// Runs, waits and writes into `results` (resized), without allocating when warm.
  void call(std::span<Tensor> args, std::vector<Tensor>& results);
  /// Marks arguments whose memory the results may take when the caller is their only owner; such an argument is left empty by the call.
  void donate(const std::vector<int>& argnums);
  /// Traces and plans for such arguments, and runs nothing. What a call takes beside them; results that take the memory of donated
  /// arguments do not count.
  MemoryNeed plan(std::span<const TensorSpec> arguments);
  size_t workspace_bytes() const;  ///< what the last call's plan leases for intermediates
  size_t peak_bytes() const;       ///< the same with its results
  size_t traces() const;           ///< how many times the function was traced

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};
/// Nothing is traced before the first call.
CompiledFunction compile(Function f, Device device = {});

}  // namespace lazuli
