// Checks vectors that decoders make of texts against sentence-transformers: folders with small models whose weights are a formula.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "base/json.h"
#include "embed/any_model.h"
#include "lazuli/embed.h"
#include "lazuli/error.h"
#include "lazuli/safetensors.h"
#include "lazuli/train.h"
#include "support/cuda_device.h"
#include "support/family_model.h"
#include "support/source_folder.h"
#include "support/temp_folder.h"
#include "train/pairs.h"

namespace lazuli {
namespace {

using testing::HasSubstr;

struct DecoderCase {
  std::string name;
  DeviceKind device;
};

/// A folder of tests/data/decoder-embeddings.
class EmbeddingFolder {
 public:
  explicit EmbeddingFolder(const std::string& name)
      : document_(JsonDocument::read(source_folder() + "/tests/data/decoder-embeddings/" + name + ".json")) {
    for (const JsonMember& file : document_.root().get("files").as_object())
      folder_.write(std::string(file.key), std::string(file.value.as_string()));
    for (const JsonMember& file : document_.root().get("weights").as_object()) {
      std::map<std::string, Tensor> tensors;
      for (const JsonMember& m : file.value.as_object()) tensors[std::string(m.key)] = test::formula(std::string(m.key), m.value);
      save_safetensors(folder_.path(std::string(file.key)), tensors);
    }
  }
  std::string path(const std::string& name = "") const { return name.empty() ? folder_.path() : folder_.path(name); }
  JsonValue expected() const { return document_.root(); }
  std::vector<std::string> texts() const {
    std::vector<std::string> out;
    for (const JsonValue& text : expected().get("texts").as_array()) out.emplace_back(text.as_string());
    return out;
  }

 private:
  JsonDocument document_;
  test::TempFolder folder_;
};

class DecoderEmbeddings : public testing::TestWithParam<DecoderCase> {
 protected:
  void SetUp() override {
    if (GetParam().device == DeviceKind::cuda) {
      LAZULI_NEEDS_CUDA();
    }
    set_default_device({GetParam().device, 0});
    folder_.emplace(GetParam().name);
  }
  void TearDown() override { set_default_device({}); }
  /// The largest difference from what sentence-transformers computes.
  double distance(DType dtype) const {
    Embedder embedder(EmbeddingModel::load(folder_->path(), dtype));
    double most = 0;
    for (const JsonMember& prompt : folder_->expected().get("vectors").as_object()) {
      EmbedOptions options;
      options.prompt_name = std::string(prompt.key);
      const std::vector<float> got = embedder.run(folder_->texts(), options).embeddings.to_vector<float>();
      size_t k = 0;
      for (const JsonValue& row : prompt.value.as_array()) {
        for (const JsonValue& number : row.as_array())
          most = std::max(most, std::fabs(number.as_double() - static_cast<double>(got.at(k++))));
      }
      EXPECT_EQ(k, got.size());
    }
    return most;
  }
  std::optional<EmbeddingFolder> folder_;
};

TEST_P(DecoderEmbeddings, VectorsAreThoseOfSentenceTransformers) {
  EXPECT_LE(distance(DType::f32), GetParam().name == "plain" ? 5e-5 : 1e-5);
  EXPECT_LE(distance(DType::bf16), GetParam().name == "plain" ? 0.3 : 0.05);
}

TEST_P(DecoderEmbeddings, PaddingAndOtherTextsChangeNothing) {
  Embedder embedder(EmbeddingModel::load(folder_->path()));
  const std::vector<std::string> texts = folder_->texts();
  const std::vector<float> together = embedder.run(texts).embeddings.to_vector<float>();
  EmbedOptions one;
  one.batch_size = 1;
  const std::vector<float> alone = embedder.run(texts, one).embeddings.to_vector<float>();
  for (size_t k = 0; k < alone.size(); ++k) EXPECT_NEAR(alone[k], together[k], 2e-5F) << k;
}

std::vector<DecoderCase> decoder_cases() {
  std::vector<DecoderCase> all;
  for (const DeviceKind device : {DeviceKind::cpu, DeviceKind::cuda}) {
    for (const char* name : {"qwen3", "mistral", "gemma3_text", "plain"}) all.push_back({name, device});
  }
  return all;
}

INSTANTIATE_TEST_SUITE_P(All, DecoderEmbeddings, testing::ValuesIn(decoder_cases()), [](const testing::TestParamInfo<DecoderCase>& c) {
  return c.param.name + (c.param.device == DeviceKind::cuda ? "_cuda" : "_cpu");
});

TEST_P(DecoderEmbeddings, TrainAsPairsAndKeepTheirAdapter) {
  const auto model = EmbeddingModel::load(folder_->path());
  LoRAConfig config;
  config.rank = 4;
  TrainConfig train;
  train.learning_rate = 1e-2;
  const std::vector<TextPair> rows = {{"a cat", "the dog"}, {"find the word", "train"}};
  const Pairs pairs(*model, rows, PairLoss::contrastive, 0);
  Trainer trainer(pair_objective(model, PairLoss::contrastive), Adapter::create(model->encoder().linears(), config, 1), train);
  const std::vector<int64_t> both = {0, 1};
  const double before = trainer.step(pairs.batch(both)).loss;
  for (int step = 0; step < 10; ++step) trainer.step(pairs.batch(both));
  EXPECT_LT(trainer.step(pairs.batch(both)).loss, before);
  trainer.adapter().save(folder_->path("adapter"));
  const Adapter loaded = Adapter::load(folder_->path("adapter"), model->encoder().linears());
  const std::vector<float> trained = Embedder(model, loaded).run(folder_->texts()).embeddings.to_vector<float>();
  EXPECT_NE(trained, Embedder(model).run(folder_->texts()).embeddings.to_vector<float>());
}

TEST(DecoderFolders, HoldWhatTheyAreMeantFor) {
  EXPECT_NE(AnyModel::load(EmbeddingFolder("qwen3").path()).embedding(), nullptr);
  EXPECT_NE(AnyModel::load(EmbeddingFolder("plain").path()).language(), nullptr);
}

TEST(DecoderFolders, LayersAreNamedAsInAModelWithoutItsHead) {
  for (const char* name : {"qwen3", "plain"}) {
    const EmbeddingFolder folder(name);
    EXPECT_EQ(EmbeddingModel::load(folder.path())->encoder().linears()[0].path, "layers.0.self_attn.q_proj") << name;
  }
}

TEST(DecoderFolders, AModelThatSeesBothSidesMakesNoText) {
  const EmbeddingFolder folder("gemma3_text");
  EXPECT_THAT(test::message_of<FormatError>([&] { load_model(folder.path()); }), HasSubstr("$.use_bidirectional_attention"));
}

TEST(DecoderFolders, AClassThatMakesNoTextGivesTheMean) {
  const EmbeddingFolder folder("plain");
  const std::vector<float> last = Embedder(EmbeddingModel::load(folder.path())).run(folder.texts()).embeddings.to_vector<float>();
  std::string config = std::string(folder.expected().get("files").get("config.json").as_string());
  config.replace(config.find("LlamaForCausalLM"), 16, "LlamaModel");
  std::ofstream(folder.path("config.json")) << config;
  const std::vector<float> mean = Embedder(EmbeddingModel::load(folder.path())).run(folder.texts()).embeddings.to_vector<float>();
  EXPECT_NE(mean, last);
  // A text of one token is both.
  const size_t size = last.size() / folder.texts().size();
  for (size_t k = 0; k < size; ++k) EXPECT_NEAR(mean[2 * size + k], last[2 * size + k], 1e-5F);
}

}  // namespace
}  // namespace lazuli
