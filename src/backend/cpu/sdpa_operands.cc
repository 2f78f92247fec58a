// Reads the operands that forward and backward kernels of attention share.
#include <limits>

#include "backend/cpu/index.h"
#include "backend/cpu/sdpa.h"

namespace lazuli::cpu {

namespace {
constexpr float kHidden = -std::numeric_limits<float>::infinity();
}

void MaskView::read(const void* data, int64_t b, int64_t h, int64_t t, int64_t first, int64_t n, float* out) const {
  const void* row = element_at(data, b * strides[0] + h * strides[1] + t * strides[2] + first * strides[3], size_of(dtype));
  const int64_t step = strides[3];
  dispatch(dtype, [&](auto tag) {
    using T = decltype(tag);
    const T* from = static_cast<const T*>(row);
    for (int64_t j = 0; j < n; ++j) {
      if constexpr (std::is_same_v<T, bool>) {
        out[j] = from[j * step] ? 0.0f : kHidden;
      } else {
        out[j] = static_cast<float>(from[j * step]);
      }
    }
  });
}

Attention::Attention(const KernelRequest& request, size_t first)
    : op(request.op),
      q(request.inputs[0]),
      k(request.inputs[1]),
      v(request.inputs[2]),
      batches(request.inputs[0].shape[0]),
      causal(request.attrs.i[0] != 0),
      scale_input(first),
      scale_dtype(request.inputs[first].dtype),
      length_dtype(request.inputs[first + 1].dtype),
      kernels(gemm_kernels(q.dtype)),
      f32_kernels(gemm_kernels(DType::f32)) {
  if (request.inputs.size() > first + 2) mask = MaskView(request.inputs[first + 2], {batches, q.heads, q.tokens, k.tokens});
}

int64_t Attention::length(const KernelArgs& args) const {
  const int64_t length = integer_at(args.in[scale_input + 1], length_dtype);
  if (length >= 0 && length <= k.tokens) return length;
  throw ValueError("[" + std::string(name_of(op)) + "] length " + std::to_string(length) + " is not between 0 and the " +
                   std::to_string(k.tokens) + " keys");
}

}  // namespace lazuli::cpu
