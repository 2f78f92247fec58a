// The AdamW step: one pass over parameters, gradients and both moments; a launch for so many parameters as its argument block holds.
#include <algorithm>

#include "backend/backend.h"
#include "backend/cuda/launch.h"
#include "backend/cuda/thresholds.h"

namespace lazuli::cuda {

namespace {

constexpr size_t kNumbers = 7;
constexpr size_t kMostParameters = threshold::adamw::kMostParameters;

/// Parameters [first, last) of the request.
Launch launch_of(const KernelRequest& request, size_t first, size_t last) {
  static constexpr const char* kNames[] = {"P", "G", "M", "V", "RATE", "BETA1", "BETA2", "EPS", "DECAY", "STEP", "FACTOR"};
  const size_t first_number = request.inputs.size() - kNumbers;
  KernelText text;
  for (size_t k = 0; k < 4; ++k) text.type(kNames[k], request.inputs[k].dtype);
  for (size_t k = 0; k < kNumbers; ++k) text.type(kNames[4 + k], request.inputs[first_number + k].dtype);
  text.number("PARAMETERS", static_cast<int64_t>(last - first));
  Launch launch;
  int64_t most = 0;
  for (size_t p = first; p < last; ++p) {
    for (size_t k = 0; k < 4; ++k) launch.in.push_back(Place::input(4 * p + k));
    for (size_t j = 0; j < 3; ++j) launch.out.push_back(Place::output(3 * p + j));
    launch.sizes.push_back(request.inputs[4 * p].shape.numel());
    most = std::max(most, launch.sizes.back());
  }
  for (size_t k = 0; k < kNumbers; ++k) launch.in.push_back(Place::input(first_number + k));
  const KernelRequest seen{request.op, request.attrs, request.inputs.last(launch.in.size()), request.outputs.last(launch.out.size())};
  launch.source = text.of_file(seen, launch.sizes.size(), "adamw");
  launch.grid = {blocks_for((most + 3) / 4, 256), static_cast<uint32_t>(last - first), 1};
  return launch;
}

}  // namespace

PreparedOp prepare_adamw(const KernelRequest& request) {
  refuse_f64(request);
  const size_t parameters = (request.inputs.size() - kNumbers) / 4;
  PreparedOp copied;
  copied.needs_all_contiguous = true;
  std::vector<int> in_place;
  double elements = 0;
  for (size_t k = 0; k < 4 * parameters; ++k) {
    if (!request.inputs[k].contiguous) return copied;
    if (k % 4 == 0) elements += static_cast<double>(request.inputs[k].shape.numel());
    if (k % 4 != 1) in_place.push_back(static_cast<int>(k));
  }
  std::vector<Launch> launches;
  for (size_t p = 0; p < parameters; p += kMostParameters) {
    launches.push_back(launch_of(request, p, std::min(p + kMostParameters, parameters)));
  }
  PreparedOp op = make_op(request, "adamw", std::move(launches));
  op.flops = 14 * elements;
  op.in_place = std::move(in_place);
  return op;
}

}  // namespace lazuli::cuda
