// Defines the gpt-oss architecture: attention sinks, a window in every second layer, and experts with biases and a clamped gate, stored as
// MXFP4 or as floats.
#include <fmt/format.h>

#include <cmath>

#include "models/decoder.h"
#include "models/experts.h"
#include "tensor/load.h"
#include "tensor/quant_table.h"

namespace lazuli {

namespace {

std::vector<int64_t> gpt_oss_windows(const JsonValue& root, const ModelConfig& config) {
  const auto window = root.find("sliding_window");
  const int64_t length = window && window->is_null() ? 0 : int_key(root, "sliding_window", 1, INT32_MAX, 128);
  return layer_windows(root, config, length, [](int64_t layer) { return layer % 2 == 0; });
}

constexpr ConfigRules kGptOssRules = {.windows = gpt_oss_windows,
                                      .hidden_size = 2880,
                                      .intermediate_size = 2880,
                                      .num_hidden_layers = 36,
                                      .num_attention_heads = 64,
                                      .num_key_value_heads = 8,
                                      .vocab_size = 201088,
                                      .max_position_embeddings = 131072,
                                      .head_dim = 64,
                                      .rms_norm_eps = 1e-5,
                                      .rope_theta = 150000.0,
                                      .reads = {"sliding_window", "attention_bias", "num_experts", "num_local_experts"},
                                      .mxfp4 = true};

/// Matrices (experts, rows, columns) of floats; those of gate and up have the rows of both by turns in the files, and one after the other
/// here.
struct Matrices {
  int64_t experts, rows, columns;
  bool by_turns;
  int64_t stored_row(int64_t row) const { return !by_turns ? row : row < rows / 2 ? 2 * row : 2 * row - rows + 1; }
};

/// Numbers of 4 bits, the lower half of a byte first, and a power of two for each 32 of them.
Tensor from_blocks(WeightReader& weights, const std::string& name, const Matrices& m) {
  constexpr int64_t kBlock = 32, kBytes = kBlock / 2;
  const int64_t blocks = m.columns / kBlock;
  const Tensor codes =
      weights.in_file(name + "_blocks", {m.experts, m.rows, blocks, kBytes}, "number of experts, rows, columns / 32, 16", true)
          .contiguous();
  const Tensor scales =
      weights.in_file(name + "_scales", {m.experts, m.rows, blocks}, "number of experts, rows, columns / 32", true).contiguous();
  Tensor all = Tensor::empty(weights.dtype(), {m.experts, m.rows, m.columns});
  const uint8_t* const code = codes.data<uint8_t>().data();
  const uint8_t* const scale = scales.data<uint8_t>().data();
  std::vector<float> line(static_cast<size_t>(m.columns));
  auto* to = static_cast<std::byte*>(all.raw());
  for (int64_t k = 0; k < m.experts * m.rows; ++k) {
    const int64_t row = k / m.rows * m.rows + m.stored_row(k % m.rows);
    for (int64_t at = 0; at < blocks * kBytes; ++at) {
      const uint8_t both = code[row * blocks * kBytes + at];
      const float factor = std::ldexp(1.0F, scale[row * blocks + at / kBytes] - 127);
      line[static_cast<size_t>(2 * at)] = quant_table::kE2m1[both & 15] * factor;
      line[static_cast<size_t>(2 * at + 1)] = quant_table::kE2m1[both >> 4] * factor;
    }
    convert_elements(weights.dtype(), to, DType::f32, line.data(), m.columns);
    to += static_cast<size_t>(m.columns) * size_of(weights.dtype());
  }
  return all;
}

/// Matrices that the files have transposed, (experts, columns, rows).
Tensor from_floats(WeightReader& weights, const std::string& name, const Matrices& m) {
  const Tensor stored =
      weights.in_file(name, {m.experts, m.columns, m.rows}, "number of experts, columns, rows").to(DType::f32).contiguous();
  Tensor all = Tensor::empty(weights.dtype(), {m.experts, m.rows, m.columns});
  const float* const from = stored.data<float>().data();
  std::vector<float> line(static_cast<size_t>(m.columns));
  auto* to = static_cast<std::byte*>(all.raw());
  for (int64_t k = 0; k < m.experts * m.rows; ++k) {
    const float* const first = from + k / m.rows * m.rows * m.columns + m.stored_row(k % m.rows);
    for (int64_t j = 0; j < m.columns; ++j) line[static_cast<size_t>(j)] = first[j * m.rows];
    convert_elements(weights.dtype(), to, DType::f32, line.data(), m.columns);
    to += static_cast<size_t>(m.columns) * size_of(weights.dtype());
  }
  return all;
}

LazyTensor read_matrices(WeightReader& weights, const std::string& name, const Matrices& m) {
  weights.keep_floats(name);
  const bool blocks = weights.contains(name + "_blocks") && m.columns % 32 == 0;
  const Tensor all = blocks ? from_blocks(weights, name, m) : from_floats(weights, name, m);
  return LazyTensor::from_tensor(all.to(default_device()));
}

LazyTensor read_biases(WeightReader& weights, const std::string& name, const Matrices& m) {
  const Tensor stored = weights.in_file(name, {m.experts, m.rows}, "number of experts, rows").to(DType::f32).contiguous();
  std::vector<float> values;
  const float* const from = stored.data<float>().data();
  for (int64_t k = 0; k < m.experts * m.rows; ++k) values.push_back(from[k / m.rows * m.rows + m.stored_row(k % m.rows)]);
  return LazyTensor::from_tensor(Tensor::from_vector(values, {m.experts, m.rows}).to(weights.dtype()).to(default_device()));
}

/// (up + 1) * gate * sigmoid(alpha * gate), both clamped.
struct ClampedGate {
  double alpha, limit;
  LazyTensor operator()(const LazyTensor& gate, const LazyTensor& up) const {
    const LazyTensor low = minimum(gate, ScalarArg(limit).operand(gate.dtype()));
    return mul(add_scalar(clip(up, -limit, limit), 1), mul(low, sigmoid(mul_scalar(low, alpha))));
  }
};

DecoderSpec gpt_oss_spec(const ModelConfig& config, DType) {
  const JsonValue root = config.json->root();
  if (!set_key(root, "rope_parameters") && !set_key(root, "rope_scaling")) {
    fail_key(root, "rope_parameters", "an object expected: what transformers takes in its place is not supported");
  }
  DecoderSpec spec(config);
  spec.qkv_bias = spec.output_bias = bool_key(root, "attention_bias", true);
  spec.sinks = true;
  const ExpertsSpec experts = experts_spec(config, 128, 4);
  const ClampedGate gate{real_key(root, "swiglu_alpha", 0, 1e6, 1.702), real_key(root, "swiglu_limit", 0, 1e6, 7.0)};
  spec.feed_forward = [experts, gate, inner = config.intermediate_size](LayerReader& reader, const std::string& path) {
    WeightReader& weights = reader.weights;
    const std::string part = reader.stored + path, stored = part + ".experts.";
    const Matrices both{experts.experts, 2 * inner, experts.hidden, true}, back{experts.experts, experts.hidden, inner, false};
    const auto own = std::make_shared<Experts>();
    own->router.weight = LazyTensor::from_tensor(
        weights.in_f32(part + ".router.weight", {experts.experts, experts.hidden}, "num_local_experts, hidden_size"));
    own->router.bias = LazyTensor::from_tensor(weights.in_f32(part + ".router.bias", {experts.experts}, "num_local_experts"));
    own->gate_up = read_matrices(weights, stored + "gate_up_proj", both);
    own->gate_up_bias = read_biases(weights, stored + "gate_up_proj_bias", both);
    own->down = read_matrices(weights, stored + "down_proj", back);
    own->down_bias = read_biases(weights, stored + "down_proj_bias", back);
    own->router.chosen = experts.chosen;
    own->router.routing = Routing::chosen;
    own->combine = gate;
    return own;
  };
  return spec;
}

const RegisterArchitecture kGptOss = register_decoder<gpt_oss_spec>("gpt_oss", kGptOssRules);

}  // namespace

}  // namespace lazuli
