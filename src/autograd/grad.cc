// Implements grad and value_and_grad.
#include <fmt/format.h>

#include <algorithm>

#include "autograd/recognise.h"
#include "autograd/vjp_context.h"
#include "lazuli/error.h"
#include "lazuli/transforms.h"

namespace lazuli {

namespace {

/// Which arguments the derivative is taken for; none named: all.
std::vector<size_t> chosen(const std::vector<int>& argnums, std::span<const LazyTensor> args) {
  std::vector<size_t> out;
  const int count = static_cast<int>(args.size());
  for (int k : argnums) {
    const int at = k < 0 ? k + count : k;
    if (at < 0 || at >= count) throw ValueError(fmt::format("value_and_grad: argument {} of {} was asked for", k, count));
    const auto n = static_cast<size_t>(at);
    if (std::find(out.begin(), out.end(), n) != out.end()) throw ValueError(fmt::format("value_and_grad: argument {} is named twice", k));
    if (!is_float(args[n].dtype())) {
      throw DTypeError(fmt::format("value_and_grad: argument {} is {}, a float dtype is expected", k, name_of(args[n].dtype())));
    }
    out.push_back(n);
  }
  for (size_t n = 0; argnums.empty() && n < args.size(); ++n) out.push_back(n);
  return out;
}

ValueAndGrad differentiate(const ScalarFunction& f, const std::vector<int>& argnums, std::span<const LazyTensor> args) {
  const std::vector<size_t> which = chosen(argnums, args);
  std::vector<LazyTensor> operands(args.begin(), args.end()), sought;
  for (size_t n : which) {
    operands[n] = autograd::alias(operands[n]);
    sought.push_back(operands[n]);
  }
  LazyTensor value = f(operands);
  if (value.numel() != 1 || !is_float(value.dtype())) {
    throw ShapeError(
        fmt::format("value_and_grad: the function must give one float, got {} {}", name_of(value.dtype()), to_string(value.shape())));
  }
  value = autograd::recognised({&value, 1}, sought)[0];
  const LazyTensor one = LazyTensor::ones(value.shape(), value.dtype());
  std::vector<LazyTensor> grads = autograd::run_vjp({&value, 1}, sought, {&one, 1}, {.cut = true, .recognise = true});
  for (size_t k = 0; k < grads.size(); ++k) {
    if (!grads[k].defined()) grads[k] = autograd::zeros_like(sought[k]);
  }
  return {std::move(value), std::move(grads)};
}

}  // namespace

std::function<ValueAndGrad(std::span<const LazyTensor>)> value_and_grad(ScalarFunction f, std::vector<int> argnums) {
  return [f = std::move(f), argnums = std::move(argnums)](std::span<const LazyTensor> args) { return differentiate(f, argnums, args); };
}

std::function<std::vector<LazyTensor>(std::span<const LazyTensor>)> grad(ScalarFunction f, std::vector<int> argnums) {
  return
      [f = std::move(f), argnums = std::move(argnums)](std::span<const LazyTensor> args) { return differentiate(f, argnums, args).grads; };
}

}  // namespace lazuli
