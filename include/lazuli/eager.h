// Declares the eager functions on Tensor: each records the lazy op of the same name and evaluates it at once.
#pragma once

#include "lazuli/tensor.h"

/// The lazy ops on evaluated data.
namespace lazuli::eager {

///@{
/// The function of the same name in ops.h, evaluated at once; shapes, dtypes and errors as there.
Tensor add(const Tensor& a, const Tensor& b);
Tensor sub(const Tensor& a, const Tensor& b);
Tensor mul(const Tensor& a, const Tensor& b);
Tensor div(const Tensor& a, const Tensor& b);
Tensor add_scalar(const Tensor& x, double s);
Tensor mul_scalar(const Tensor& x, double s);
Tensor exp(const Tensor& x);
Tensor tanh(const Tensor& x);
Tensor relu(const Tensor& x);
Tensor gelu(const Tensor& x);
Tensor silu(const Tensor& x);
Tensor sigmoid(const Tensor& x);
Tensor matmul(const Tensor& a, const Tensor& b, bool transpose_a = false, bool transpose_b = false);
Tensor softmax(const Tensor& x, int axis = -1);
Tensor log_softmax(const Tensor& x, int axis = -1);
Tensor rms_norm(const Tensor& x, const Tensor& weight, double eps = 1e-6);
Tensor layer_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, double eps = 1e-5);
Tensor sum(const Tensor& x);
Tensor mean(const Tensor& x);
Tensor argmax(const Tensor& x, int axis = -1);
Tensor transpose(const Tensor& x, int a = -2, int b = -1);
Tensor embedding(const Tensor& table, const Tensor& ids);
Tensor lora_fused(const Tensor& x, const Tensor& a, const Tensor& b, double scale, bool transposed = false);
///@}

}  // namespace lazuli::eager
