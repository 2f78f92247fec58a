// Implements the reading of a gated delta net.
#include "models/delta_net.h"

#include <utility>

namespace lazuli {

namespace {

void read_delta_projections(LayerReader& reader, const std::string& path, const DeltaNetSpec& spec, GatedDeltaNet& net) {
  const int64_t values = spec.value_heads * spec.value_size;
  const std::string heads = "linear_num_value_heads, hidden_size", both = "2 * " + heads;
  const auto linear = [&](const char* name, int64_t out, const std::string& meaning, WeightRole role) {
    return reader.linear(path + name, out, spec.hidden, false, meaning, role);
  };
  if (spec.by_head) {
    net.qkv = linear(".in_proj_qkvz", net.channels() + values, "queries, keys, values and gates, hidden_size", WeightRole::sensitive);
    net.b = linear(".in_proj_ba", 2 * spec.value_heads, both, WeightRole::sensitive);
  } else {
    net.qkv = linear(".in_proj_qkv", net.channels(), "queries, keys and values, hidden_size", WeightRole::sensitive);
    net.z = linear(".in_proj_z", values, "linear_num_value_heads * linear_value_head_dim, hidden_size", WeightRole::layer);
    net.b = linear(".in_proj_b", spec.value_heads, heads, WeightRole::sensitive);
    net.a = linear(".in_proj_a", spec.value_heads, heads, WeightRole::sensitive);
  }
  net.out = reader.linear(path + ".out_proj", spec.hidden, values, false, "hidden_size, linear_num_value_heads * linear_value_head_dim",
                          WeightRole::sensitive);
}

}  // namespace

std::shared_ptr<const GatedDeltaNet> read_delta_net(LayerReader& reader, const std::string& path, const DeltaNetSpec& spec) {
  const auto net = std::make_shared<GatedDeltaNet>();
  net->by_head = spec.by_head;
  net->key_heads = spec.key_heads;
  net->value_heads = spec.value_heads;
  net->key_size = spec.key_size;
  net->value_size = spec.value_size;
  net->activation = spec.activation;
  read_delta_projections(reader, path, spec, *net);
  const auto numbers = [&](const char* name, const Shape& shape, const char* meaning) {
    return LazyTensor::from_tensor(reader.weights.take(reader.stored + path + name, shape, meaning).to(DType::f32));
  };
  const LazyTensor by_channel =
      numbers(".conv1d.weight", {net->channels(), 1, spec.taps}, "channels of queries, keys and values, 1, linear_conv_kernel_dim");
  net->taps = LazyTensor::from_tensor(copy(transpose(reshape(by_channel, {net->channels(), spec.taps}), 0, 1)).eval());
  net->decay = LazyTensor::from_tensor(neg(exp(numbers(".A_log", {spec.value_heads}, "linear_num_value_heads"))).eval());
  net->bias = numbers(".dt_bias", {spec.value_heads}, "linear_num_value_heads");
  Tensor weight = reader.weights.take(reader.stored + path + ".norm.weight", {spec.value_size}, "linear_value_head_dim").to(DType::f32);
  net->norm = RMSNorm(std::move(weight), spec.norm_eps);
  return net;
}

}  // namespace lazuli
