#include "lazuli/eager.h"

#include "lazuli/ops.h"

namespace lazuli::eager {

namespace {

LazyTensor lift(const Tensor& t) { return LazyTensor::from_tensor(t); }

}  // namespace

Tensor add(const Tensor& a, const Tensor& b) { return lazuli::add(lift(a), lift(b)).eval(); }
Tensor sub(const Tensor& a, const Tensor& b) { return lazuli::sub(lift(a), lift(b)).eval(); }
Tensor mul(const Tensor& a, const Tensor& b) { return lazuli::mul(lift(a), lift(b)).eval(); }
Tensor div(const Tensor& a, const Tensor& b) { return lazuli::div(lift(a), lift(b)).eval(); }
Tensor add_scalar(const Tensor& x, double s) { return lazuli::add_scalar(lift(x), s).eval(); }
Tensor mul_scalar(const Tensor& x, double s) { return lazuli::mul_scalar(lift(x), s).eval(); }
Tensor exp(const Tensor& x) { return lazuli::exp(lift(x)).eval(); }
Tensor tanh(const Tensor& x) { return lazuli::tanh(lift(x)).eval(); }
Tensor relu(const Tensor& x) { return lazuli::relu(lift(x)).eval(); }
Tensor gelu(const Tensor& x) { return lazuli::gelu(lift(x)).eval(); }
Tensor silu(const Tensor& x) { return lazuli::silu(lift(x)).eval(); }
Tensor sigmoid(const Tensor& x) { return lazuli::sigmoid(lift(x)).eval(); }
Tensor matmul(const Tensor& a, const Tensor& b, bool transpose_a, bool transpose_b) {
  return lazuli::matmul(lift(a), lift(b), transpose_a, transpose_b).eval();
}
Tensor softmax(const Tensor& x, int axis) { return lazuli::softmax(lift(x), axis).eval(); }
Tensor log_softmax(const Tensor& x, int axis) { return lazuli::log_softmax(lift(x), axis).eval(); }
Tensor rms_norm(const Tensor& x, const Tensor& weight, double eps) { return lazuli::rms_norm(lift(x), lift(weight), eps).eval(); }
Tensor layer_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, double eps) {
  return lazuli::layer_norm(lift(x), lift(weight), lift(bias), eps).eval();
}
Tensor sum(const Tensor& x) { return lazuli::sum(lift(x)).eval(); }
Tensor mean(const Tensor& x) { return lazuli::mean(lift(x)).eval(); }
Tensor argmax(const Tensor& x, int axis) { return lazuli::argmax(lift(x), axis).eval(); }
Tensor transpose(const Tensor& x, int a, int b) { return lazuli::transpose(lift(x), a, b).eval(); }
Tensor embedding(const Tensor& table, const Tensor& ids) { return lazuli::embedding(lift(table), lift(ids)).eval(); }
Tensor lora_fused(const Tensor& x, const Tensor& a, const Tensor& b, double scale, bool transposed) {
  return lazuli::lora_fused(lift(x), lift(a), lift(b), scale, transposed).eval();
}

}  // namespace lazuli::eager
