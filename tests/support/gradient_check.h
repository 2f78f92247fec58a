// Declares the comparison of derivatives with central differences, and the cases that every differentiable op has.
#pragma once

#include <ostream>
#include <string>
#include <vector>

#include "lazuli/ops.h"
#include "lazuli/transforms.h"

namespace lazuli::test {

/// Makes a device the default while it lives.
class OnDevice {
 public:
  explicit OnDevice(Device device) : before_(default_device()) { set_default_device(device); }
  ~OnDevice() { set_default_device(before_); }
  OnDevice(const OnDevice&) = delete;
  OnDevice& operator=(const OnDevice&) = delete;

 private:
  Device before_;
};

/// f64 numbers in [low, high] that depend on `seed` alone.
LazyTensor numbers(const Shape& shape, int seed, double low = -1, double high = 1);

/// The largest difference between vjp and central differences over all elements of all inputs, relative to max(1, |difference quotient|).
/// Inputs are evaluated f64 tensors; cotangents are fixed numbers.
double gradient_error(const Function& f, const std::vector<LazyTensor>& inputs);

/// The function that gives f's gradients for fixed cotangents: checking it checks second derivatives of f.
Function gradient_of(const Function& f);

struct GradientCase {
  Op op;
  std::string name;
  std::vector<LazyTensor> inputs;
  Function f;
};
/// For test reports.
inline void PrintTo(const GradientCase& c, std::ostream* out) { *out << c.name; }
using GradientCases = std::vector<GradientCase>;

/// A static object of this type, beside the function that makes them, enters gradient cases when the program starts.
struct RegisterGradients {
  explicit RegisterGradients(GradientCases (*make)());
};
/// All that were entered: at least one for each op that has a derivative rule.
GradientCases gradient_cases();

}  // namespace lazuli::test
