// Reads the operands that forward and backward kernels of attention share.
#include <limits>

#include "backend/cpu/attention/sdpa.h"
#include "backend/cpu/common/index.h"
#include "graph/ops/sdpa.h"
#include "lazuli/op.h"

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

Attention::Attention(const KernelRequest& request)
    : op(request.op),
      told(request.op, request.attrs),
      q(request.inputs[0]),
      k(request.inputs[operand::sdpa::k]),
      v(request.inputs[operand::sdpa::v]),
      batches(request.inputs[0].shape[0]),
      keys(told.keys(request.inputs)),
      scale_dtype(request.inputs[told.scale].dtype),
      length_dtype(request.inputs[told.length].dtype),
      length_by_row(request.op != Op::sdpa_packed && request.inputs[told.length].shape.rank() == 1),
      cap_at(told.find(AttentionPart::softcap)),
      sinks_at(told.find(AttentionPart::sinks)),
      first_key_at(told.find(AttentionPart::first_key)),
      blocks_at(told.find(AttentionPart::blocks)),
      kernels(gemm_kernels(q.dtype)),
      f32_kernels(gemm_kernels(DType::f32)),
      pool_(request.inputs[operand::sdpa::k].shape[0]) {
  if (cap_at) cap_dtype = request.inputs[*cap_at].dtype;
  if (sinks_at) sinks_dtype = request.inputs[*sinks_at].dtype;
  if (const auto at = told.find(AttentionPart::mask)) mask = MaskView(request.inputs[*at], {batches, q.heads, q.tokens, keys});
}

Visible Attention::visible(const KernelArgs& args, int64_t batch) const {
  Visible seen{0, q.tokens, told.left, told.right};
  seen.length = integer_at(element_at(args.in[told.length], length_by_row ? batch : 0, size_of(length_dtype)), length_dtype);
  if (first_key_at) seen.first_keys = static_cast<const int32_t*>(args.in[*first_key_at]) + batch * q.tokens;
  if (seen.length >= 0 && seen.length <= keys) return seen;
  throw ValueError("[" + std::string(name_of(op)) + "] length " + std::to_string(seen.length) + " is not between 0 and the " +
                   std::to_string(keys) + " keys");
}

int64_t Attention::block(const KernelArgs& args, int64_t batch, int64_t page) const {
  const int64_t number = static_cast<const int32_t*>(args.in[*blocks_at])[batch * (keys / k.tokens) + page];
  if (number < 0 || number >= pool_) fail_index(op, "block", number, pool_);
  return number;
}

double Attention::pairs() const {
  const auto queries = static_cast<double>(q.tokens), all = static_cast<double>(keys);
  const bool causal = told.right == 0 && q.tokens > 1;
  const auto window = static_cast<double>(told.left) + static_cast<double>(told.right) + 1;
  return static_cast<double>(batches * q.heads) * queries * std::min(all * (causal ? 0.5 : 1), window);
}

uint32_t strided_attention_operands(const KernelRequest& request) {
  const AttentionOperands told(request.op, request.attrs);
  uint32_t strided = 0;
  for (const auto at : {std::optional(told.length), told.find(AttentionPart::sinks), told.find(AttentionPart::first_key),
                        told.find(AttentionPart::blocks)}) {
    if (at && !request.inputs[*at].contiguous) strided |= 1u << *at;
  }
  return strided;
}

}  // namespace lazuli::cpu
