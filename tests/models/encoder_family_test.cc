// Checks small encoders of each architecture against transformers and PEFT: states of texts alone, padded and packed, and LoRA steps.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>

#include "lazuli/embed.h"
#include "lazuli/encoder.h"
#include "lazuli/error.h"
#include "lazuli/ops.h"
#include "lazuli/safetensors.h"
#include "lazuli/train.h"
#include "models/fuse.h"
#include "support/cuda_device.h"
#include "support/family_model.h"
#include "support/notices.h"
#include "support/source_folder.h"

namespace lazuli {
namespace {

struct EncoderCase {
  std::string name;
  DeviceKind device;
};

class EncoderFamilies : public testing::TestWithParam<EncoderCase> {
 protected:
  void SetUp() override {
    if (GetParam().device == DeviceKind::cuda) {
      LAZULI_NEEDS_CUDA();
    }
    set_default_device(device());
    model_.emplace(GetParam().name, "encoders");
    for (const JsonValue& text : model_->expected().get("texts").as_array()) texts_.push_back(text);
  }
  void TearDown() override { set_default_device({}); }
  static Device device() { return {GetParam().device, 0}; }

  static std::vector<int32_t> ids(const JsonValue& text) {
    std::vector<int32_t> out;
    for (const JsonValue& id : text.get("ids").as_array()) out.push_back(static_cast<int32_t>(id.as_int()));
    return out;
  }
  template <class T>
  static LazyTensor leaf(const std::vector<T>& values, const Shape& shape) {
    return LazyTensor::from_tensor(Tensor::from_vector(values, shape).to(device()));
  }
  static LazyTensor mask_of(const std::vector<int32_t>& used, const Shape& shape) { return cast(leaf(used, shape), DType::boolean); }
  /// The largest difference between `states` (tokens, hidden) of a text and those of transformers, as a part of the largest number.
  static double distance(const JsonValue& text, const std::vector<float>& states) {
    const size_t tokens = text.get("ids").as_array().size(), hidden = states.size() / tokens;
    double largest = 0, off = 0;
    const auto compare = [&](const char* name, const auto& state) {
      size_t k = 0;
      for (const JsonValue& value : text.get(name).as_array()) {
        largest = std::max(largest, std::fabs(value.as_double()));
        off = std::max(off, std::fabs(value.as_double() - state(k++)));
      }
      EXPECT_EQ(k, hidden);
    };
    compare("first", [&](size_t k) { return static_cast<double>(states[k]); });
    compare("last", [&](size_t k) { return static_cast<double>(states[(tokens - 1) * hidden + k]); });
    compare("mean", [&](size_t k) {
      double sum = 0;
      for (size_t t = 0; t < tokens; ++t) sum += static_cast<double>(states[t * hidden + k]);
      return sum / static_cast<double>(tokens);
    });
    return off / largest;
  }
  double distance_alone(DType dtype, Quantization quantization = Quantization::none) const {
    const auto encoder = load_encoder(model_->folder(), dtype, quantization);
    double most = 0;
    for (const JsonValue& text : texts_) {
      const std::vector<int32_t> tokens = ids(text);
      const Shape shape{1, static_cast<int64_t>(tokens.size())};
      const LazyTensor states = encoder->hidden({leaf(tokens, shape), mask_of(std::vector<int32_t>(tokens.size(), 1), shape), nullptr});
      most = std::max(most, distance(text, cast(states, DType::f32).eval().to_vector<float>()));
    }
    return most;
  }

  std::optional<test::FamilyModel> model_;
  std::vector<JsonValue> texts_;
};

TEST_P(EncoderFamilies, StatesAreThoseOfTransformers) {
  EXPECT_LE(distance_alone(DType::f32), 1e-5);
  EXPECT_LE(distance_alone(DType::bf16), 0.1);
  EXPECT_LE(distance_alone(DType::f16), 0.02);
  const test::Notices notices;  // of rows that do not fit 4 bits
  EXPECT_LE(distance_alone(DType::f32, Quantization::int8), 0.2);
}

TEST_P(EncoderFamilies, PaddedTextsDoNotChangeEachOther) {
  const auto encoder = load_encoder(model_->folder());
  const size_t length = 70, rows = texts_.size();
  for (const int32_t filler : {0, 1, 77}) {
    std::vector<int32_t> all(rows * length, filler), used(rows * length, 0);
    for (size_t row = 0; row < rows; ++row) {
      const std::vector<int32_t> tokens = ids(texts_[row]);
      std::copy(tokens.begin(), tokens.end(), all.begin() + static_cast<std::ptrdiff_t>(row * length));
      std::fill_n(used.begin() + static_cast<std::ptrdiff_t>(row * length), tokens.size(), 1);
    }
    const Shape shape{static_cast<int64_t>(rows), static_cast<int64_t>(length)};
    const std::vector<float> states = encoder->hidden({leaf(all, shape), mask_of(used, shape), nullptr}).eval().to_vector<float>();
    const auto hidden = static_cast<size_t>(encoder->info().hidden_size);
    for (size_t row = 0; row < rows; ++row) {
      const auto from = states.begin() + static_cast<std::ptrdiff_t>(row * length * hidden);
      const auto count = static_cast<std::ptrdiff_t>(ids(texts_[row]).size() * hidden);
      EXPECT_LE(distance(texts_[row], {from, from + count}), 1e-5) << filler << " " << row;
    }
  }
}

TEST_P(EncoderFamilies, PackedTextsDoNotChangeEachOther) {
  const auto encoder = load_encoder(model_->folder());
  if (!encoder->packs()) return;
  std::vector<int32_t> all, positions, starts = {0};
  for (const JsonValue& text : texts_) {
    const std::vector<int32_t> tokens = ids(text);
    for (size_t k = 0; k < tokens.size(); ++k) positions.push_back(static_cast<int32_t>(k));
    all.insert(all.end(), tokens.begin(), tokens.end());
    starts.push_back(static_cast<int32_t>(all.size()));
  }
  all.resize(all.size() + 5, 7);
  positions.resize(all.size(), 0);
  const Shape shape{static_cast<int64_t>(all.size())};
  const LazyTensor packed =
      encoder->hidden_packed({leaf(all, shape), leaf(positions, shape), leaf(starts, {static_cast<int64_t>(starts.size())}), nullptr});
  const std::vector<float> states = packed.eval().to_vector<float>();
  const auto hidden = encoder->info().hidden_size;
  for (size_t row = 0; row < texts_.size(); ++row) {
    const std::vector<float> own(states.begin() + starts[row] * hidden, states.begin() + starts[row + 1] * hidden);
    EXPECT_LE(distance(texts_[row], own), 1e-5) << row;
  }
}

TEST_P(EncoderFamilies, LayersAreNamedAsInPeftAndStepsOfLoRAAreItsSteps) {
  std::filesystem::copy_file(source_folder() + "/tests/data/tiny-sentences/tokenizer.json", model_->folder() + "/tokenizer.json");
  std::ofstream(model_->folder() + "/tokenizer_config.json") << R"({"tokenizer_class": "PreTrainedTokenizerFast"})";
  const auto model = EmbeddingModel::load(model_->folder());
  std::vector<std::string> named, wanted;
  for (const LinearInfo& layer : model->encoder().linears()) named.push_back(layer.path);
  for (const JsonValue& name : model_->expected().get("layers").as_array()) wanted.emplace_back(name.as_string());
  EXPECT_THAT(named, testing::UnorderedElementsAreArray(wanted));
  TrainConfig config;
  config.learning_rate = model_->expected().get("learning_rate").as_double();
  config.weight_decay = model_->expected().get("weight_decay").as_double();
  config.max_grad_norm = model_->expected().get("max_grad_norm").as_double();
  Trainer trainer(pair_objective(model, PairLoss::contrastive), model_->adapter(model->encoder().linears()), config, device());
  const std::vector<double> losses = model_->numbers("losses"), norms = model_->numbers("grad_norms");
  for (size_t step = 0; step < losses.size(); ++step) {
    const Tensor texts = model_->batch(static_cast<int64_t>(step));
    const Tensor all = Tensor::from_vector(std::vector<int32_t>(static_cast<size_t>(texts.shape().numel()), 1), texts.shape());
    const Tensor mask = cast(LazyTensor::from_tensor(all), DType::boolean).eval();
    const StepResult result = trainer.step(std::vector<Tensor>{texts, mask, mask});
    EXPECT_NEAR(result.loss / losses[step], 1, 1e-4) << "step " << step;
    EXPECT_NEAR(result.grad_norm / norms[step], 1, 1e-3) << "step " << step;
  }
}

/// States of a few tokens.
std::vector<float> states_in(const std::string& folder) {
  const LazyTensor ids = cast(arange(3, 40), DType::i32);
  const auto encoder = load_encoder(folder);
  return encoder->hidden({reshape(ids, {1, 37}), LazyTensor::ones({1, 37}, DType::boolean), nullptr}).eval().to_vector<float>();
}

void rewrite_config(const test::FamilyModel& model, std::initializer_list<const char*> without, const std::string& with) {
  std::string config(model.expected().get("config").as_string());
  for (const std::string key : without) {
    ASSERT_NE(config.find("\"" + key + "\""), std::string::npos) << key;
    config.insert(config.find("\"" + key + "\"") + 1, "once_");
  }
  config.insert(config.rfind('}'), ", " + with);
  std::ofstream(model.folder() + "/config.json") << config;
}

TEST(EncoderConfigs, OlderKeysOfModernBertSayTheSame) {
  const test::FamilyModel model("modernbert", "encoders");
  const std::vector<float> before = states_in(model.folder());
  rewrite_config(model, {"rope_parameters", "layer_types"},
                 R"("global_attn_every_n_layers": 3, "global_rope_theta": 160000.0, "local_rope_theta": 10000.0)");
  EXPECT_EQ(states_in(model.folder()), before);
  rewrite_config(model, {"rope_parameters", "layer_types"}, R"("global_attn_every_n_layers": 1)");
  EXPECT_NE(states_in(model.folder()), before);
  rewrite_config(model, {"local_attention"}, R"("local_attention": 1)");
  EXPECT_THAT(test::message_of<FormatError>([&] { load_encoder(model.folder()); }), testing::HasSubstr("$.local_attention"));
  rewrite_config(model, {"num_attention_heads"}, R"("num_attention_heads": 8)");
  EXPECT_THAT(test::message_of<FormatError>([&] { load_encoder(model.folder()); }), testing::HasSubstr("an even size of heads expected"));
}

/// A folder with nomic_bert's weights in the names and keys of the files that came before its class.
class OlderNomicBert : public testing::Test {
 protected:
  OlderNomicBert() {
    const SafetensorsFile file = SafetensorsFile::open(model_.folder() + "/model.safetensors");
    std::map<std::string, Tensor> weights;
    for (const std::string& name : file.names()) {
      std::string old = name;
      const std::pair<const char*, const char*> renamed[] = {{"embeddings.LayerNorm", "emb_ln"},
                                                             {"self_attn.o_proj", "attn.out_proj"},
                                                             {"up_proj", "fc11"},
                                                             {"gate_proj", "fc12"},
                                                             {"down_proj", "fc2"},
                                                             {"post_attention_layernorm", "norm1"},
                                                             {"post_mlp_layernorm", "norm2"},
                                                             {"layers.", "encoder.layers."}};
      for (const auto& [now, before] : renamed) {
        if (const size_t at = old.find(now); at != std::string::npos) old.replace(at, std::string(now).size(), before);
      }
      if (old.find("self_attn") == std::string::npos) weights[old] = file.tensor(name);
    }
    for (int n = 0; n < 3; ++n) {
      const auto part = [&](const char* name) {
        return LazyTensor::from_tensor(file.tensor("layers." + std::to_string(n) + ".self_attn." + name));
      };
      const std::vector<LazyTensor> all = {part("q_proj.weight"), part("k_proj.weight"), part("v_proj.weight")};
      weights["encoder.layers." + std::to_string(n) + ".attn.Wqkv.weight"] = concat(all, 0).eval();
    }
    write(weights, "");
    weights_ = std::move(weights);
  }
  void write(const std::map<std::string, Tensor>& weights, const std::string& more) const {
    std::filesystem::create_directories(path());
    save_safetensors(path("model.safetensors"), weights);
    std::ofstream(path("config.json"))
        << (R"({"model_type": "nomic_bert", "vocab_size": 120, "n_embd": 24, "n_inner": 40, "n_layer": 3, "n_head": 4,
      "n_positions": 70, "activation_function": "swiglu", "layer_norm_epsilon": 1e-12, "rotary_emb_base": 1000, "rotary_emb_fraction": 1.0,
      "prenorm": false, "qkv_proj_bias": false)" +
            more + "}");
  }
  std::string error(const std::string& more) const {
    write(weights_, more);
    return test::message_of<FormatError>([&] { load_encoder(path()); });
  }
  test::FamilyModel model_{"nomic_bert", "encoders"};
  /// Below that of the newer one.
  std::string path(const std::string& name = "") const { return model_.folder() + "/older" + (name.empty() ? "" : "/" + name); }
  std::map<std::string, Tensor> weights_;
};

TEST_F(OlderNomicBert, HasTheSameStatesAndLayers) {
  EXPECT_EQ(states_in(path()), states_in(model_.folder()));
  const auto now = load_encoder(model_.folder()), older = load_encoder(path());
  ASSERT_EQ(older->linears().size(), now->linears().size());
  for (size_t k = 0; k < now->linears().size(); ++k) EXPECT_EQ(older->linears()[k].path, now->linears()[k].path);
  EXPECT_EQ(older->info().parameters, now->info().parameters);
  EXPECT_NO_THROW(load_encoder(path(), DType::bf16, Quantization::int8));
}

TEST_F(OlderNomicBert, TakesAdaptersOfTheCurrentOneIntoItsWeights) {
  model_.adapter(load_encoder(model_.folder())->linears()).save(path("adapter"));
  const FuseReport report = fuse_adapter(path(), path("adapter"), path("fused"), {});
  EXPECT_EQ(report.layers, 21);
  fuse_adapter(model_.folder(), path("adapter"), path("fused_now"), {});
  EXPECT_EQ(states_in(path("fused")), states_in(path("fused_now")));
  EXPECT_NE(states_in(path("fused")), states_in(path()));
}

TEST_F(OlderNomicBert, OtherVariantsAreRefusedByName) {
  EXPECT_THAT(error(R"(, "prenorm": true)"), testing::HasSubstr("$.prenorm"));
  EXPECT_THAT(error(R"(, "num_experts": 8)"), testing::HasSubstr("$.num_experts"));
  EXPECT_THAT(error(R"(, "rotary_emb_fraction": 0.5)"), testing::HasSubstr("$.rotary_emb_fraction"));
  EXPECT_THAT(error(R"(, "activation_function": "gelu")"), testing::HasSubstr("$.activation_function"));
  EXPECT_THAT(error(R"(, "hidden_size": 32)"), testing::HasSubstr("$.hidden_size: the value 24 of n_embd expected, got 32"));
  weights_["encoder.layers.0.attn.Wqkv.bias"] = Tensor::zeros(DType::f32, {72});
  EXPECT_THAT(error(""), testing::HasSubstr("encoder.layers.0.attn.Wqkv.bias"));
}

std::vector<EncoderCase> encoder_cases() {
  std::vector<EncoderCase> all;
  for (const DeviceKind device : {DeviceKind::cpu, DeviceKind::cuda}) {
    for (const char* name :
         {"roberta", "xlm-roberta", "camembert", "distilbert", "electra", "modernbert", "modernbert_biases", "nomic_bert"}) {
      all.push_back({name, device});
    }
  }
  return all;
}

std::string name_of_encoder(const testing::TestParamInfo<EncoderCase>& info) {
  std::string name = info.param.name;
  std::replace(name.begin(), name.end(), '-', '_');
  return name + (info.param.device == DeviceKind::cuda ? "_cuda" : "_cpu");
}

INSTANTIATE_TEST_SUITE_P(All, EncoderFamilies, testing::ValuesIn(encoder_cases()), name_of_encoder);

}  // namespace
}  // namespace lazuli
