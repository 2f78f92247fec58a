// Data made from attributes alone: full, arange.
#include <bit>
#include <cstring>

#include "backend/backend.h"
#include "backend/cuda/launch.h"
#include "backend/cuda/raw.h"
#include "graph/ops/arange.h"
#include "graph/ops/full.h"
#include "lazuli/tensor.h"
#include "tensor/convert.h"

namespace lazuli::cuda {

namespace {

/// Eight bytes of a value repeated.
int64_t repeated(double value, DType dtype) {
  int64_t word = 0;
  dispatch(dtype, [&](auto tag) {
    const auto element = convert_element<decltype(tag)>(value);
    for (size_t at = 0; at < sizeof(word); at += sizeof(element))
      std::memcpy(reinterpret_cast<char*>(&word) + at, &element, sizeof(element));
  });
  return word;
}

}  // namespace

PreparedOp prepare_full(const KernelRequest& request) {
  refuse_f64(request);
  const OperandSpec& out = request.outputs[0];
  const int64_t bytes = out.shape.numel() * static_cast<int64_t>(size_of(out.dtype));
  const int64_t word = repeated(std::bit_cast<double>(request.attrs[attr::full::value]), out.dtype);
  return make_op(request, "full", {launch_file(request, {}, "full", {word, bytes}, blocks_for((bytes + 15) / 16), 256)}, 0);
}

PreparedOp prepare_arange(const KernelRequest& request) {
  refuse_f64(request);
  const OperandSpec& out = request.outputs[0];
  const int64_t count = out.shape.numel();
  KernelText text;
  text.type("T", out.dtype);
  return make_op(request, "arange",
                 {launch_file(request, text, "arange", {request.attrs[attr::arange::start], request.attrs[attr::arange::step], count},
                              blocks_for(count), 256)});
}

}  // namespace lazuli::cuda
