// Scaled dot-product attention and its gradient on the cuda backend.
#include "graph/ops/sdpa.h"

#include <algorithm>
#include <limits>

#include "backend/backend.h"
#include "backend/cuda/launch.h"
#include "backend/cuda/thresholds.h"
#include "graph/attention_operands.h"
#include "graph/ops/sdpa_backward.h"
#include "graph/ops/sdpa_packed.h"
#include "lazuli/determinism.h"

namespace lazuli::cuda {

namespace {

using threshold::sdpa::kDecodeThreads;  // sdpa_decode.cu: DECODE_THREADS
using threshold::sdpa::kFewQueries;
using threshold::sdpa::kFixedStretch;
using threshold::sdpa::kShortestStretch;
using threshold::sdpa::kTile;
constexpr uint32_t kThreads = 256;     ///< attention.cu: TILE_THREADS
constexpr uint32_t kMmaThreads = 128;  ///< attention_mma.cu: MMA_THREADS

/// What the texts of one request share.
struct Attention {
  explicit Attention(const KernelRequest& r)
      : request(r),
        operands(r.op, r.attrs),
        batches(r.inputs[0].shape[0]),
        heads(r.inputs[0].shape[1]),
        kv_heads(r.inputs[operand::sdpa::k].shape[1]) {
    queries = r.inputs[0].shape[2];
    keys = operands.keys(r.inputs);
    size = r.inputs[0].shape[3];
    value_size = r.inputs[operand::sdpa::v].shape[3];
    text.type("T", r.inputs[0].dtype).number("D", padded(size)).number("DV", padded(value_size));
    add("N_BATCHES", batches).add("N_HEADS", heads).add("N_KV_HEADS", kv_heads).add("N_QUERIES", queries).add("N_KEYS", keys);
    add("N_SIZE", size).add("N_VALUE_SIZE", value_size);
    add_strides("N_Q", r.inputs[0]).add_strides("N_K", r.inputs[operand::sdpa::k]).add_strides("N_V", r.inputs[operand::sdpa::v]);
    add_operands();
    add_windows();
    on_tensor_cores =
        !operands.find(AttentionPart::mask) && size_of(r.inputs[0].dtype) == 2 && std::max(size, value_size) <= threshold::sdpa::kWidestMma;
  }
  /// A number of Params::n, which the texts find by its name.
  Attention& add(std::string_view name, int64_t value) {
    text.number(name, static_cast<int64_t>(sizes.size()));
    sizes.push_back(value);
    return *this;
  }
  /// Of batch, head and token.
  Attention& add_strides(std::string_view name, const OperandSpec& x) {
    text.number(name, static_cast<int64_t>(sizes.size()));
    sizes.insert(sizes.end(), x.strides.begin(), x.strides.begin() + 3);
    return *this;
  }
  /// Keys that one of the last `count` queries sees, at most.
  int64_t visible(int64_t count) const { return operands.left == AttentionOperands::kAll ? keys : std::min(keys, operands.left + count); }
  double flops() const {
    const bool bounded = operands.left != AttentionOperands::kAll && operands.right != AttentionOperands::kAll;
    const int64_t seen = bounded ? std::min(keys, operands.left + operands.right + 1) : keys;
    const double pairs = static_cast<double>(batches * heads) * static_cast<double>(queries) * static_cast<double>(seen);
    const bool half = operands.right == 0 && queries > 1 && seen == keys;
    return 2 * pairs * static_cast<double>(size + value_size) * (half ? 0.5 : 1);
  }
  /// kernels/attention.cu and then kernels/<file>.cu.
  Launch launch(std::string_view file, int64_t blocks, uint32_t threads = kThreads) const {
    return launch_text(std::string(kernel_file("attention")) + std::string(kernel_file(file)), blocks, threads);
  }
  /// The same with kernels/mma.cu and kernels/attention_mma.cu between them, and so much shared memory.
  Launch launch_mma(std::string_view file, int64_t blocks, int64_t bytes) const {
    std::string body(kernel_file("attention"));
    body.append(kernel_file("mma")).append(kernel_file("attention_mma")).append(kernel_file(file));
    Launch l = launch_text(body, blocks, kMmaThreads);
    l.shared_bytes = static_cast<uint32_t>(bytes);
    return l;
  }
  /// A tile on tensor cores of 64 rows of keys (attention_mma.cu: HalfTile), and the same with one of values.
  int64_t key_tile() const { return kTile * (2 * padded(size) + 16); }
  int64_t pair_of_tiles() const { return key_tile() + kTile * (2 * padded(value_size) + 16); }
  bool wide() const { return padded(size) + padded(value_size) > threshold::sdpa::kWholeTiles; }
  /// Tiles that the gradient's kernels go through and hold at once: two leave room for two blocks on an SM up to here.
  int64_t stages() const { return padded(size) + padded(value_size) <= threshold::sdpa::kTwoStages ? 2 : 1; }
  int64_t tiles_of_queries() const { return batches * heads * ((queries + kTile - 1) / kTile); }
  int64_t tiles_of_keys() const { return batches * kv_heads * ((keys + kTile - 1) / kTile); }

  const KernelRequest& request;
  AttentionOperands operands;
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
    l.what_fails = operands.find(AttentionPart::blocks) ? "length or block" : "length";
    return l;
  }
  static int64_t padded(int64_t size) { return std::max<int64_t>((size + 15) / 16 * 16, 16); }
  /// Whether an optional operand is there, as a number of that name, and what number it has.
  const OperandSpec* add_operand(AttentionPart part, std::string_view is_there, std::string_view at) {
    const auto k = operands.find(part);
    text.number(is_there, k ? 1 : 0);
    if (!k) return nullptr;
    text.number(at, static_cast<int64_t>(*k));
    return &request.inputs[*k];
  }
  void add_operands() {
    const OperandSpec& length = request.inputs[operands.length];
    text.type("SCALE", request.inputs[operands.scale].dtype).number("SCALE_AT", static_cast<int64_t>(operands.scale));
    text.number("LENGTH_AT", static_cast<int64_t>(operands.length)).number("LENGTH_BY_ROW", length.shape.rank() != 0 ? 1 : 0);
    if (const OperandSpec* cap = add_operand(AttentionPart::softcap, "CAPPED", "CAP_AT")) text.type("CAP", cap->dtype);
    if (const OperandSpec* sinks = add_operand(AttentionPart::sinks, "SINKS", "SINKS_AT")) text.type("SINK", sinks->dtype);
    add_operand(AttentionPart::first_key, "FIRST_KEY", "FIRST_KEY_AT");
    // A page's size is in the text, since keys are divided by it.
    const OperandSpec* blocks = add_operand(AttentionPart::blocks, "PAGED", "BLOCKS_AT");
    text.number("PAGE", blocks != nullptr ? request.inputs[operand::sdpa::k].shape[2] : 1);
    if (blocks != nullptr) add("N_POOL", request.inputs[operand::sdpa::k].shape[0]);
    const auto k = operands.find(AttentionPart::mask);
    text.number("MASKED", !k ? 0 : request.inputs[*k].dtype == DType::boolean ? 1 : 2);
    if (k) add_mask(*k);
  }
  /// The mask is shown as (batch, heads, queries, keys).
  void add_mask(size_t k) {
    const OperandSpec& mask = request.inputs[k];
    text.type("M", mask.dtype).number("MASK_AT", static_cast<int64_t>(k)).number("N_MASK", static_cast<int64_t>(sizes.size()));
    const int missing = 4 - mask.shape.rank();
    for (int d = 0; d < 4; ++d) sizes.push_back(d < missing || mask.shape[d - missing] == 1 ? 0 : mask.strides[d - missing]);
  }
  /// A text serves windows of all widths; only where no key after a query is seen is the width part of it.
  void add_windows() {
    const bool left = operands.left != AttentionOperands::kAll, right = operands.right != AttentionOperands::kAll && operands.right != 0;
    text.number("CAUSAL", operands.right == 0 ? 1 : 0).number("HAS_LEFT", left ? 1 : 0).number("HAS_RIGHT", right ? 1 : 0);
    if (left) add("N_LEFT", operands.left);
    if (right) add("N_RIGHT", operands.right);
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

/// Operands without strides in the texts: length, sinks, first_key and blocks.
uint32_t strided_vectors(const KernelRequest& request) {
  const AttentionOperands operands(request.op, request.attrs);
  uint32_t which = 1u << operands.length;
  for (const AttentionPart part : {AttentionPart::sinks, AttentionPart::first_key, AttentionPart::blocks}) {
    if (const auto k = operands.find(part)) which |= 1u << *k;
  }
  return strided_operands(request, which);
}

PreparedOp prepare_decode(Attention a) {
  const int64_t group_rows = std::max<int64_t>(a.heads / a.kv_heads * a.queries, 1), widest = std::max(a.size, a.value_size);
  const int64_t rows = group_rows > 4 ? 8 : group_rows > 2 ? 4 : group_rows;
  const int64_t row_blocks = (group_rows + rows - 1) / rows, tasks = std::max<int64_t>(a.batches * a.kv_heads * row_blocks, 1);
  const int64_t visible = a.visible(a.queries), most = std::max<int64_t>((a.keys + kFixedStretch - 1) / kFixedStretch, 1);
  // A window may begin and end within a fixed stretch.
  const int64_t stretches =
      deterministic() ? std::min(most, (visible + kFixedStretch - 1) / kFixedStretch + 1)
                      : std::clamp<int64_t>((visible + kShortestStretch - 1) / kShortestStretch, 1, std::max<int64_t>(132 * 4 / tasks, 1));
  a.text.number("ROWS", rows).number("LANES", widest <= 64 ? 8 : widest <= 128 ? 16 : 32);
  a.add("N_STRETCHES", stretches).add("N_ROW_BLOCKS", row_blocks).add("N_STRETCH", deterministic() ? kFixedStretch : 0);
  const auto threads = static_cast<uint32_t>(std::clamp<int64_t>((a.value_size + 31) / 32 * 32, 32, kDecodeThreads));
  PreparedOp op = make_op(a.request, "sdpa_decode",
                          {a.launch("sdpa_decode", tasks * stretches, static_cast<uint32_t>(kDecodeThreads)),
                           a.launch("sdpa_combine", a.batches * a.heads * a.queries, threads)});
  op.scratch_bytes = static_cast<size_t>(tasks * stretches * rows * (a.value_size + 2)) * sizeof(float);
  op.flops = a.flops();
  op.bytes -= a.operands.unread_bytes(a.request.inputs);
  return op;
}

/// Two launches where the sums of both results do not fit in the registers of a block.
void add_backward_kv(const Attention& a, std::vector<Launch>& launches) {
  const bool wants_k = a.request.outputs[1].used, wants_v = a.request.outputs[2].used;
  const auto add = [&](int64_t parts) {
    Attention part = a;
    part.text.number("PARTS", parts);
    if (!a.on_tensor_cores) return launches.push_back(part.launch("sdpa_backward_kv", a.tiles_of_keys()));
    const int64_t numbers = 2 * kTile * static_cast<int64_t>(sizeof(float));
    const int64_t bytes = a.wide() ? a.pair_of_tiles() * 3 / 2 : a.pair_of_tiles() * (1 + a.stages()) + numbers * a.stages();
    launches.push_back(part.launch_mma("sdpa_mma_backward_kv", a.tiles_of_keys(), bytes));
  };
  const bool apart = a.on_tensor_cores ? a.wide() : a.size + a.value_size > threshold::sdpa::kBothSums;
  if (!apart && (wants_k || wants_v)) return add(3);
  if (wants_k) add(1);
  if (wants_v) add(2);
}

}  // namespace

PreparedOp prepare_sdpa(const KernelRequest& request) {
  refuse_f64(request);
  if (const uint32_t strided = strided_heads(request, {0, 1, 2}) | strided_vectors(request)) return ask_for_contiguous(strided);
  Attention a(request);
  if (divides_keys(a)) return prepare_decode(a);
  a.text.number("WIDE", a.wide() ? 1 : 0);
  const int64_t bytes = a.wide() ? a.pair_of_tiles() + a.key_tile() : 2 * a.pair_of_tiles();
  PreparedOp op =
      make_op(request, a.on_tensor_cores ? "sdpa_mma" : "sdpa",
              {a.on_tensor_cores ? a.launch_mma("sdpa_mma", a.tiles_of_queries(), bytes) : a.launch("sdpa", a.tiles_of_queries())});
  op.flops = a.flops();
  op.bytes -= a.operands.unread_bytes(a.request.inputs);
  return op;
}

PreparedOp prepare_sdpa_packed(const KernelRequest& request) {
  refuse_f64(request);
  uint32_t strided = strided_vectors(request);
  for (size_t k = 0; k < 3; ++k) {
    if (request.inputs[k].shape[2] > 1 && request.inputs[k].strides[2] != 1) strided |= 1u << k;
  }
  if (strided != 0) return ask_for_contiguous(strided);
  std::vector<OperandSpec> inputs(request.inputs.begin(), request.inputs.end());
  for (size_t k = 0; k < 3; ++k) inputs[k] = heads_first(inputs[k]);
  const KernelRequest seen{request.op, request.attrs, inputs, request.outputs};
  Attention a(seen);
  const int64_t sequences = request.inputs[operand::sdpa_packed::starts].shape[0] - 1;
  a.add("N_SEQUENCES", sequences);
  // No cut of the rows into sequences, and rows after them, has more blocks.
  Launch launch = a.launch("sdpa_packed", a.heads * (a.queries / kTile + sequences + 1));
  launch.what_fails = "start";
  PreparedOp op = make_op(request, "sdpa_packed", {std::move(launch)});
  op.flops = a.flops() / static_cast<double>(std::max<int64_t>(sequences, 1));
  return op;
}

PreparedOp prepare_sdpa_backward(const KernelRequest& request) {
  namespace in = operand::sdpa_backward;
  refuse_f64(request);
  uint32_t strided = strided_heads(request, {0, 1, 2, 3, 5}) | strided_vectors(request);
  if (!request.inputs[in::lse].contiguous) strided |= 1u << 4;
  if (strided != 0) return ask_for_contiguous(strided);
  Attention a(request);
  a.add_strides("N_RESULT", request.inputs[in::result]).add_strides("N_G", request.inputs[in::g]);
  const int64_t rows = a.batches * a.heads * a.queries;
  std::vector<Launch> launches = {a.launch("sdpa_delta", (rows + 7) / 8)};
  a.text.number("WIDE", a.wide() ? 1 : 0).number("STAGES", a.stages());
  if (request.outputs[0].used) {
    const int64_t bytes = a.wide() ? a.pair_of_tiles() * 3 / 2 : a.pair_of_tiles() * (1 + a.stages());
    launches.push_back(a.on_tensor_cores ? a.launch_mma("sdpa_mma_backward_q", a.tiles_of_queries(), bytes)
                                         : a.launch("sdpa_backward_q", a.tiles_of_queries()));
  }
  add_backward_kv(a, launches);
  PreparedOp op = make_op(request, a.on_tensor_cores ? "sdpa_mma_backward" : "sdpa_backward", std::move(launches));
  op.scratch_bytes = static_cast<size_t>(rows) * sizeof(float);
  op.flops = 2.5 * a.flops();
  return op;
}

}  // namespace lazuli::cuda
