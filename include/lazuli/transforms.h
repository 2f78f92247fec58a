// Declares the function transforms: grad, value_and_grad, vjp, checkpoint and compile.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "lazuli/lazy_tensor.h"

namespace lazuli {

using Function = std::function<std::vector<LazyTensor>(std::span<const LazyTensor>)>;
using ScalarFunction = std::function<LazyTensor(std::span<const LazyTensor>)>;

/// Gradients of sum(outputs[k] * cotangents[k]) with respect to `inputs`, as recorded graphs that can be differentiated again. An input that
/// the outputs do not depend on gives zeros. Composite patterns are not searched; `value_and_grad` does that.
std::vector<LazyTensor> vjp(std::span<const LazyTensor> outputs, std::span<const LazyTensor> inputs, std::span<const LazyTensor> cotangents);

struct ValueAndGrad {
  LazyTensor value;
  std::vector<LazyTensor> grads;  ///< one for each entry of `argnums`
};
/// A function that returns f's value (one element) and its gradients with respect to the arguments in `argnums` (default: all).
std::function<ValueAndGrad(std::span<const LazyTensor>)> value_and_grad(ScalarFunction f, std::vector<int> argnums = {});
std::function<std::vector<LazyTensor>(std::span<const LazyTensor>)> grad(ScalarFunction f, std::vector<int> argnums = {});

/// `f` whose intermediates are computed again in the backward pass instead of being kept (Chen et al. 2016).
Function checkpoint(Function f);

/// A function traced once for each combination of argument dtypes and shapes; a call runs the plan directly.
class CompiledFunction {
 public:
  CompiledFunction();
  CompiledFunction(Function f, Device device);
  ~CompiledFunction();
  CompiledFunction(CompiledFunction&&) noexcept;
  CompiledFunction& operator=(CompiledFunction&&) noexcept;
  /// Runs and waits. Arguments that are moved in and have no other owner are donated: results may take their memory.
  std::vector<Tensor> operator()(std::vector<Tensor> args);
  /// Runs and writes into `results` (resized), without allocating when warm.
  void call(std::span<Tensor> args, std::vector<Tensor>& results, uint32_t donate_mask_low = 0);
  /// Marks arguments whose memory the results may take at every call (they must be solely owned by the caller; they are left empty).
  void donate(std::vector<int> argnums);
  /// Bytes of workspace that the last call's plan leases, and its predicted peak including outputs.
  size_t workspace_bytes() const;
  size_t traces() const;  ///< how many times the function was traced

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};
CompiledFunction compile(Function f, Device device = {});

}  // namespace lazuli
