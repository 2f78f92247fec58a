// The draw of a token for each row on the cuda backend: five launches, of which those that the run's rules do not need end at once.
#include "graph/ops/sample.h"

#include <algorithm>

#include "backend/backend.h"
#include "backend/cuda/launch.h"
#include "backend/cuda/thresholds.h"

namespace lazuli::cuda {

namespace {

constexpr uint32_t kBlock = 256;
constexpr int64_t kBuckets = 2048, kSampleStages = 5, kStateBytes = 64, kMostRows = 65535;

/// Logits that a block takes.
int64_t chunk_of(int64_t logits) {
  constexpr int64_t kAtOnce = threshold::sample::kMostBlocks * kBlock;
  return std::max(threshold::sample::kChunk, (logits + kAtOnce - 1) / kAtOnce * kBlock);
}

std::string body_of(int64_t stage) {
  std::string body(kernel_file("sample"));
  if (stage == 0) return body.append(kernel_file("sample_penalise"));
  if (stage < kSampleStages - 1) return body.append(kernel_file("sample_cut"));
  return body.append(kernel_file("philox")).append(kernel_file("sample_draw"));
}

}  // namespace

PreparedOp prepare_sample(const KernelRequest& request) {
  refuse_f64(request);
  if (const uint32_t strided = strided_operands(request)) return ask_for_contiguous(strided);
  const int64_t logits = request.inputs[0].shape.back(), chunk = chunk_of(logits), blocks = (logits + chunk - 1) / chunk;
  const int64_t rows = request.outputs[0].shape.numel(), across = std::min(rows, kMostRows);
  // Memory of kernels/sample.cu, for a row.
  const int64_t bytes = (kStateBytes + 3 * kBuckets * 12 + blocks * 20 + logits * 4 + 15) / 16 * 16;
  std::vector<Launch> launches;
  for (int64_t stage = 0; rows > 0 && stage < kSampleStages; ++stage) {
    KernelText text;
    text.type("T", request.inputs[0].dtype).type("LENGTH", request.inputs[operand::sample::length].dtype).number("STAGE", stage);
    Launch launch;
    launch.sizes = {logits, request.inputs[operand::sample::ids].shape.back(), chunk, blocks, rows, bytes};
    launch.source = text.of_body(request, launch.sizes.size(), body_of(stage));
    launch.grid = {static_cast<uint32_t>(blocks), static_cast<uint32_t>(across), static_cast<uint32_t>((rows + across - 1) / across)};
    launch.block = kBlock;
    launches.push_back(std::move(launch));
  }
  PreparedOp op = make_op(request, "sample", std::move(launches), 30);
  op.scratch_bytes = static_cast<size_t>(rows * bytes);
  return op;
}

}  // namespace lazuli::cuda
