// Checks models whose weights are stored in formats of a few bits, by a source of weights that is no file.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "conformance/data.h"
#include "io/model_folder.h"
#include "lazuli/error.h"
#include "lazuli/model.h"
#include "lazuli/weight_source.h"
#include "models/registry.h"
#include "support/cuda_device.h"
#include "support/temp_folder.h"

namespace lazuli {
namespace {

using testing::HasSubstr;

constexpr const char* kConfig = R"({"model_type": "llama", "hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 2,
  "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 64, "max_position_embeddings": 64, "rms_norm_eps": 1e-5,
  "hidden_act": "silu", "eos_token_id": 0})";

/// Tensors in memory.
class MemorySource : public WeightSource {
 public:
  void add(const std::string& name, const Tensor& t) {
    tensors_[name] = t;
    infos_[name] = {std::string(name_of(t.dtype())), t.dtype(), t.shape(), 0, t.nbytes(), QuantFormatId::none};
  }
  void add(const std::string& name, const QuantizedWeight& w) {
    stored_[name] = w;
    infos_[name] = {std::string(name_of(w.format)), std::nullopt, {w.rows, w.columns}, 0, w.values().nbytes(), w.format};
  }
  std::vector<std::string> names() const override {
    std::vector<std::string> names;
    for (const auto& [name, info] : infos_) names.push_back(name);
    return names;
  }
  bool contains(std::string_view name) const override { return infos_.contains(name); }
  const TensorInfo& info(std::string_view name) const override { return infos_.find(name)->second; }
  Tensor tensor(std::string_view name) const override { return tensors_.find(name)->second; }
  QuantizedWeight quantized(std::string_view name) const override { return stored_.find(name)->second; }
  const std::string& file_of(std::string_view) const override { return place_; }
  const std::string& place() const override { return place_; }

 private:
  std::string place_ = "memory";
  std::map<std::string, TensorInfo, std::less<>> infos_;
  std::map<std::string, Tensor, std::less<>> tensors_;
  std::map<std::string, QuantizedWeight, std::less<>> stored_;
};

struct Sources {
  std::shared_ptr<MemorySource> stored = std::make_shared<MemorySource>(), floats = std::make_shared<MemorySource>();
  uint64_t seed = 0;

  /// Numbers of the size that a model's have: rounded activations then change little.
  void add(const std::string& name, int64_t rows, int64_t columns, QuantFormatId id) {
    const auto weight = [&](float factor) {
      return QuantizedWeight{id, rows, columns, {conformance::random_blocks(quant_format(id), rows, columns, seed, factor)}};
    };
    ++seed;
    double squares = 0;
    for (const float v : dequantized(weight(1)).to_vector<float>()) squares += static_cast<double>(v) * static_cast<double>(v);
    const QuantizedWeight w = weight(static_cast<float>(0.05 / std::sqrt(squares / static_cast<double>(rows * columns))));
    stored->add(name, w);
    floats->add(name, dequantized(w));
  }
  void add_norm(const std::string& name) {
    const Tensor ones = Tensor::from_vector(std::vector<float>(256, 1.0F), {256});
    stored->add(name, ones);
    floats->add(name, ones);
  }
};

/// A layer has a format of each kind: one scale a block, two levels of scales, minima.
Sources sources() {
  Sources s;
  s.add("model.embed_tokens.weight", 64, 256, QuantFormatId::q8_0);
  s.add("lm_head.weight", 64, 256, QuantFormatId::q6_k);
  s.add_norm("model.norm.weight");
  for (const std::string layer : {"model.layers.0.", "model.layers.1."}) {
    s.add(layer + "self_attn.q_proj.weight", 256, 256, QuantFormatId::q4_k);
    s.add(layer + "self_attn.k_proj.weight", 128, 256, QuantFormatId::q4_0);
    s.add(layer + "self_attn.v_proj.weight", 128, 256, QuantFormatId::iq4_nl);
    s.add(layer + "self_attn.o_proj.weight", 256, 256, QuantFormatId::q8_0);
    s.add(layer + "mlp.gate_proj.weight", 512, 256, QuantFormatId::q4_k);
    s.add(layer + "mlp.up_proj.weight", 512, 256, QuantFormatId::q5_k);
    s.add(layer + "mlp.down_proj.weight", 256, 512, QuantFormatId::mxfp4);
    s.add_norm(layer + "input_layernorm.weight");
    s.add_norm(layer + "post_attention_layernorm.weight");
  }
  return s;
}

class StoredWeights : public testing::TestWithParam<DeviceKind> {
 protected:
  void SetUp() override {
    if (GetParam() == DeviceKind::cuda) {
      LAZULI_NEEDS_CUDA();
    }
    set_default_device({GetParam(), 0});
    files_.write("config.json", kConfig);
  }
  void TearDown() override { set_default_device({}); }
  std::shared_ptr<const LanguageModel> load(const std::shared_ptr<const WeightSource>& source) {
    ModelFolder folder(files_.path());
    folder.set_weights(source);
    return load_language_model(folder, DType::f32, Quantization::none).model;
  }
  std::vector<float> logits(const std::shared_ptr<const WeightSource>& source, const std::vector<int32_t>& ids) {
    ForwardContext context;
    context.ids = LazyTensor::from_tensor(Tensor::from_vector(ids, {1, static_cast<int64_t>(ids.size())}).to(Device{GetParam(), 0}));
    return load(source)->forward(context).eval().to_vector<float>();
  }

  test::TempFolder files_;
};

TEST_P(StoredWeights, GiveTheLogitsOfTheirNumbers) {
  const Sources s = sources();
  // One row, and as many as a prompt has.
  for (const std::vector<int32_t>& ids :
       {std::vector<int32_t>{7}, std::vector<int32_t>{3, 9, 27, 17, 51, 25, 11, 33, 35, 41, 59, 49, 19, 57, 43}}) {
    const auto got = logits(s.stored, ids), wanted = logits(s.floats, ids);
    double size = 0, off = 0;
    for (size_t k = 0; k < wanted.size(); ++k) {
      size += std::pow(static_cast<double>(wanted[k]), 2);
      off += std::pow(static_cast<double>(got[k]) - static_cast<double>(wanted[k]), 2);
    }
    // The processor rounds what it multiplies to 8 bits, about 0.5 % a product; other devices do not.
    EXPECT_LT(std::sqrt(off / size), GetParam() == DeviceKind::cpu ? 0.04 : 1e-5) << ids.size();
  }
}

TEST_P(StoredWeights, AreRefusedByNameWhereThereAreNoKernels) {
  const Sources s = sources();
  QuantizedWeight odd{QuantFormatId::awq4, 128, 256, {}};
  for (const QuantPart& part : parts_of(quant_format(odd.format), 128, 256, 64)) {
    odd.parts.push_back(Tensor::zeros(part.takes(DType::i32) ? DType::i32 : DType::f16, part.shape));
  }
  s.stored->add("model.layers.1.self_attn.k_proj.weight", odd);
  EXPECT_THAT(test::message_of<FormatError>([&] { load(s.stored); }),
              HasSubstr("memory: tensor 'model.layers.1.self_attn.k_proj.weight': there are no kernels for the format awq4"));
}

INSTANTIATE_TEST_SUITE_P(Devices, StoredWeights, testing::Values(DeviceKind::reference, DeviceKind::cpu, DeviceKind::cuda),
                         [](const auto& p) {
                           return p.param == DeviceKind::cpu ? "cpu" : p.param == DeviceKind::cuda ? "cuda" : "reference";
                         });

}  // namespace
}  // namespace lazuli
