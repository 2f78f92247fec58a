// Defines what the inner loop of the AdamW step takes.
#pragma once

#include <cstdint>

namespace lazuli::cpu {

struct AdamwTile {
  const float *parameter, *gradient, *m, *v;
  float *parameter_out, *m_out, *v_out;
  float factor;        ///< of the gradient
  float keep;          ///< 1 - rate * decay
  float beta1, rest1;  ///< rest: 1 - beta
  float beta2, rest2;
  float correction;  ///< sqrt(1 - beta2^step)
  float eps;
  float rate;  ///< divided by 1 - beta1^step
};
using AdamwFn = void (*)(const AdamwTile &tile, int64_t n);

}  // namespace lazuli::cpu
