// Scaled dot-product attention and its gradient on the cuda backend.
#include <algorithm>
#include <limits>

#include "backend/cuda/kernels.h"
#include "backend/cuda/launch.h"
#include "backend/cuda/thresholds.h"
#include "lazuli/determinism.h"

namespace lazuli::cuda {

namespace {

using threshold::sdpa::kDecodeThreads;  // sdpa_decode.cu: DECODE_THREADS
using threshold::sdpa::kFewQueries;
using threshold::sdpa::kFixedStretch;
using threshold::sdpa::kShortestStretch;
using threshold::sdpa::kTile;
using threshold::sdpa::kWidestMma;
constexpr uint32_t kThreads = 256;     ///< attention.cu: TILE_THREADS
constexpr uint32_t kMmaThreads = 128;  ///< attention_mma.cu: MMA_THREADS

/// What the texts of one request share.
struct Attention {
  Attention(const KernelRequest& r, size_t scale)
      : request(r), batches(r.inputs[0].shape[0]), heads(r.inputs[0].shape[1]), kv_heads(r.inputs[1].shape[1]) {
    queries = r.inputs[0].shape[2];
    keys = r.inputs[1].shape[2];
    size = r.inputs[0].shape[3];
    value_size = r.inputs[2].shape[3];
    const bool masked = r.inputs.size() > scale + 2;
    text.type("T", r.inputs[0].dtype).number("D", padded(size)).number("DV", padded(value_size));
    text.type("SCALE", r.inputs[scale].dtype).number("SCALE_AT", static_cast<int64_t>(scale)).number("CAUSAL", r.attrs.i[0] != 0 ? 1 : 0);
    text.number("MASKED", !masked ? 0 : r.inputs[scale + 2].dtype == DType::boolean ? 1 : 2);
    if (masked) text.type("M", r.inputs[scale + 2].dtype);
    on_tensor_cores = !masked && size_of(r.inputs[0].dtype) == 2 && std::max(size, value_size) <= kWidestMma;
    sizes = {batches, heads, kv_heads, queries, keys, size, value_size};
    for (size_t k = 0; k < 3; ++k) add_strides(r.inputs[k]);
    add_mask(masked ? &r.inputs[scale + 2] : nullptr);
  }
  void add_strides(const OperandSpec& x) { sizes.insert(sizes.end(), x.strides.begin(), x.strides.begin() + 3); }
  double flops() const {
    const double pairs = static_cast<double>(batches * heads) * static_cast<double>(queries) * static_cast<double>(keys);
    return 2 * pairs * static_cast<double>(size + value_size) * (request.attrs.i[0] != 0 && queries > 1 ? 0.5 : 1);
  }
  /// kernels/attention.cu and then kernels/<file>.cu.
  Launch launch(std::string_view file, int64_t blocks, uint32_t threads = kThreads) const {
    return launch_text(std::string(kernel_file("attention")) + std::string(kernel_file(file)), blocks, threads);
  }
  /// The same with kernels/mma.cu and kernels/attention_mma.cu between them. `tiles`: of 64 keys and 64 values each, that the kernel holds
  /// at once; `numbers`: and so many of 64 floats.
  Launch launch_mma(std::string_view file, int64_t blocks, int64_t tiles, int64_t numbers = 0) const {
    std::string body(kernel_file("attention"));
    body.append(kernel_file("mma")).append(kernel_file("attention_mma")).append(kernel_file(file));
    Launch l = launch_text(body, blocks, kMmaThreads);
    l.shared_bytes = static_cast<uint32_t>(kTile * (tiles * (2 * (padded(size) + padded(value_size)) + 2 * 16) + numbers * 4));
    return l;
  }
  /// Tiles that the gradient's kernels go through and hold at once: two leave room for two blocks on an SM up to here.
  int64_t stages() const { return padded(size) + padded(value_size) <= threshold::sdpa::kTwoStages ? 2 : 1; }
  int64_t tiles_of_queries() const { return batches * heads * ((queries + kTile - 1) / kTile); }
  int64_t tiles_of_keys() const { return batches * kv_heads * ((keys + kTile - 1) / kTile); }

  const KernelRequest& request;
  int64_t batches, heads, kv_heads, queries, keys, size, value_size;
  bool on_tensor_cores = false;
  KernelText text;
  std::vector<int64_t> sizes;

 private:
  Launch launch_text(const std::string& body, int64_t blocks, uint32_t threads) const {
    Launch l;
    l.source = text.of_body(request, sizes.size(), body);
    l.grid = {blocks_for(blocks, 1, std::numeric_limits<int32_t>::max()), 1, 1};
    l.block = threads;
    l.sizes = sizes;
    l.what_fails = "length";
    return l;
  }
  static int64_t padded(int64_t size) { return std::max<int64_t>((size + 15) / 16 * 16, 16); }
  /// Strides that show the mask as (batch, heads, queries, keys).
  void add_mask(const OperandSpec* mask) {
    const int missing = mask == nullptr ? 4 : 4 - mask->shape.rank();
    for (int d = 0; d < 4; ++d) sizes.push_back(d < missing || mask->shape[d - missing] == 1 ? 0 : mask->strides[d - missing]);
  }
};

/// Operands (batch, heads, tokens, size) are read where they lie when their last axis is contiguous.
uint32_t strided_heads(const KernelRequest& request, std::initializer_list<size_t> operands) {
  uint32_t strided = 0;
  for (size_t k : operands) {
    const OperandSpec& x = request.inputs[k];
    if (x.shape[3] > 1 && x.strides[3] != 1) strided |= 1u << k;
  }
  return strided;
}

/// An operand (tokens, heads, size) as (1, heads, tokens, size).
OperandSpec heads_first(OperandSpec x) {
  x.shape = Shape{1, x.shape[1], x.shape[0], x.shape[2]};
  x.strides = Strides{0, x.strides[1], x.strides[0], x.strides[2]};
  return x;
}

bool divides_keys(const Attention& a) {
  // Queries that attend to themselves alone are as many as the longest text of a batch has tokens: the kernel must not depend on that.
  if (deterministic() && a.queries >= a.keys) return false;
  return a.queries <= kFewQueries && a.heads * a.queries * a.keys > 0 && std::max(a.size, a.value_size) <= threshold::sdpa::kWidestDecode;
}

PreparedOp prepare_decode(Attention a) {
  const int64_t group_rows = std::max<int64_t>(a.heads / a.kv_heads * a.queries, 1), widest = std::max(a.size, a.value_size);
  const int64_t rows = group_rows > 4 ? 8 : group_rows > 2 ? 4 : group_rows;
  const int64_t row_blocks = (group_rows + rows - 1) / rows, tasks = std::max<int64_t>(a.batches * a.kv_heads * row_blocks, 1);
  const int64_t stretches =
      deterministic() ? std::max<int64_t>((a.keys + kFixedStretch - 1) / kFixedStretch, 1)
                      : std::clamp<int64_t>((a.keys + kShortestStretch - 1) / kShortestStretch, 1, std::max<int64_t>(132 * 4 / tasks, 1));
  a.text.number("ROWS", rows).number("LANES", widest <= 64 ? 8 : widest <= 128 ? 16 : 32);
  while (a.sizes.size() < 26) a.sizes.push_back(0);  // strides of the gradient's operands
  a.sizes.insert(a.sizes.end(), {stretches, row_blocks, deterministic() ? kFixedStretch : 0});
  const auto threads = static_cast<uint32_t>(std::clamp<int64_t>((a.value_size + 31) / 32 * 32, 32, kDecodeThreads));
  PreparedOp op = make_op(a.request, "sdpa_decode",
                          {a.launch("sdpa_decode", tasks * stretches, static_cast<uint32_t>(kDecodeThreads)),
                           a.launch("sdpa_combine", a.batches * a.heads * a.queries, threads)});
  op.scratch_bytes = static_cast<size_t>(tasks * stretches * rows * (a.value_size + 2)) * sizeof(float);
  op.flops = a.flops();
  return op;
}

}  // namespace

PreparedOp prepare_sdpa(const KernelRequest& request) {
  refuse_f64(request);
  if (const uint32_t strided = strided_heads(request, {0, 1, 2})) return ask_for_contiguous(strided);
  const Attention a(request, 3);
  if (divides_keys(a)) return prepare_decode(a);
  PreparedOp op = make_op(request, a.on_tensor_cores ? "sdpa_mma" : "sdpa",
                          {a.on_tensor_cores ? a.launch_mma("sdpa_mma", a.tiles_of_queries(), 2) : a.launch("sdpa", a.tiles_of_queries())});
  op.flops = a.flops();
  return op;
}

PreparedOp prepare_sdpa_packed(const KernelRequest& request) {
  refuse_f64(request);
  uint32_t strided = 0;
  for (size_t k = 0; k < 3; ++k) {
    if (request.inputs[k].shape[2] > 1 && request.inputs[k].strides[2] != 1) strided |= 1u << k;
  }
  if (!request.inputs[4].contiguous) strided |= 1u << 4;
  if (strided != 0) return ask_for_contiguous(strided);
  std::vector<OperandSpec> inputs(request.inputs.begin(), request.inputs.end());
  for (size_t k = 0; k < 3; ++k) inputs[k] = heads_first(inputs[k]);
  const KernelRequest seen{request.op, request.attrs, inputs, request.outputs};
  Attention a(seen, 3);
  const int64_t sequences = request.inputs[4].shape[0] - 1;
  a.sizes.push_back(sequences);
  // No cut of the rows into sequences, and rows after them, has more blocks.
  Launch launch = a.launch("sdpa_packed", a.heads * (a.queries / kTile + sequences + 1));
  launch.what_fails = "start";
  PreparedOp op = make_op(request, "sdpa_packed", {std::move(launch)});
  op.flops = a.flops() / static_cast<double>(std::max<int64_t>(sequences, 1));
  return op;
}

PreparedOp prepare_sdpa_backward(const KernelRequest& request) {
  refuse_f64(request);
  uint32_t strided = strided_heads(request, {0, 1, 2, 3, 5});
  if (!request.inputs[4].contiguous) strided |= 1u << 4;
  if (strided != 0) return ask_for_contiguous(strided);
  Attention a(request, 6);
  a.add_strides(request.inputs[3]);
  a.add_strides(request.inputs[5]);
  const int64_t rows = a.batches * a.heads * a.queries;
  Launch delta = a.launch("sdpa_delta", (rows + 7) / 8);
  std::vector<Launch> launches = {std::move(delta)};
  const bool wants_q = request.outputs[0].used, wants_kv = request.outputs[1].used || request.outputs[2].used;
  if (a.on_tensor_cores) {
    const int64_t stages = a.stages();
    a.text.number("STAGES", stages);
    if (wants_q) launches.push_back(a.launch_mma("sdpa_mma_backward_q", a.tiles_of_queries(), 1 + stages));
    if (wants_kv) launches.push_back(a.launch_mma("sdpa_mma_backward_kv", a.tiles_of_keys(), 1 + stages, 2 * stages));
  } else {
    if (wants_q) launches.push_back(a.launch("sdpa_backward_q", a.tiles_of_queries()));
    if (wants_kv) launches.push_back(a.launch("sdpa_backward_kv", a.tiles_of_keys()));
  }
  PreparedOp op = make_op(request, a.on_tensor_cores ? "sdpa_mma_backward" : "sdpa_backward", std::move(launches));
  op.scratch_bytes = static_cast<size_t>(rows) * sizeof(float);
  op.flops = 2.5 * a.flops();
  return op;
}

}  // namespace lazuli::cuda
