// Checks that a fused model computes what model and adapter do together, and how its folder comes to be.
#include "models/fuse.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/file.h"
#include "lazuli/embed.h"
#include "lazuli/error.h"
#include "lazuli/model.h"
#include "support/temp_folder.h"
#include "support/tiny_llama.h"
#include "support/tiny_sentences.h"

namespace lazuli {
namespace {

namespace fs = std::filesystem;
using test::TempFolder;

class Fuse : public testing::Test {
 protected:
  std::string model() const { return folder_.path("model"); }
  std::string fused() const { return folder_.path("fused"); }

  /// Two shards with an index, stored in `dtype`.
  void write_model(DType dtype) const {
    fs::create_directories(model());
    folder_.write("model/config.json", test::kTinyLlamaConfig);
    folder_.write("model/tokenizer.json", "{}");
    fs::create_directories(model() + "/additional_chat_templates");
    folder_.write("model/additional_chat_templates/tool.jinja", "{{ tool }}");
    folder_.write("model/notes.md", "not the model's");
    std::map<std::string, Tensor> shards[2];
    std::string index;
    for (const auto& [name, tensor] : test::tiny_llama_weights()) {
      const size_t shard = name.find("layers.1") != std::string::npos ? 1 : 0;
      shards[shard].emplace(name, tensor.to(dtype));
      index += fmt::format("{}\"{}\": \"part-{}.safetensors\"", index.empty() ? "" : ", ", name, shard);
    }
    for (size_t k = 0; k < 2; ++k) save_safetensors(folder_.path(fmt::format("model/part-{}.safetensors", k)), shards[k]);
    folder_.write("model/model.safetensors.index.json", "{\"weight_map\": {" + index + "}}");
  }
  void write_adapter() const {
    const auto base = load_model(model());
    LoRAConfig config;
    config.rank = 3;
    config.alpha = 7;
    config.target_modules = {"q_proj", "down_proj"};
    Adapter adapter = Adapter::create(base->linears(), config, 5);
    std::vector<Tensor> parameters = adapter.parameters();
    for (Tensor& t : parameters) {
      Tensor changed = Tensor::empty(DType::f32, t.shape());
      float value = 0.3F;
      for (float& v : changed.mutable_data<float>()) v = value = std::sin(37 * value) * 0.2F;
      t = changed;
    }
    adapter.set_parameters(parameters);
    adapter.save(folder_.path("adapter"));
  }
  static std::vector<float> logits(const LanguageModel& model, const Adapter* adapter) {
    ForwardContext context;
    context.ids = LazyTensor::from_slice<int32_t>({1, 5, 9, 33, 2, 60}, {1, 6});
    const AdapterContext adapted = adapter != nullptr ? AdapterContext(*adapter) : AdapterContext();
    if (adapter != nullptr) context.adapter = &adapted;
    return model.forward(context).eval().to_vector<float>();
  }
  /// The largest difference of logits between model with adapter and fused model, and between fused model and model.
  std::pair<double, double> differences() const {
    const auto base = load_model(model()), merged = load_model(fused());
    const Adapter adapter = Adapter::load(folder_.path("adapter"), base->linears());
    const std::vector<float> both = logits(*base, &adapter), one = logits(*merged, nullptr), without = logits(*base, nullptr);
    double error = 0, change = 0;
    for (size_t k = 0; k < both.size(); ++k) {
      error = std::max(error, static_cast<double>(std::abs(both[k] - one[k])));
      change = std::max(change, static_cast<double>(std::abs(without[k] - one[k])));
    }
    return {error, change};
  }
  TempFolder folder_;
};

TEST_F(Fuse, FusedModelComputesWhatModelAndAdapterDo) {
  write_model(DType::f32);
  write_adapter();
  const FuseReport report = fuse_adapter(model(), folder_.path("adapter"), fused(), {});
  EXPECT_EQ(report.layers, 4);
  EXPECT_EQ(report.tensors, static_cast<int64_t>(test::tiny_llama_shapes().size()));
  const auto [error, change] = differences();
  EXPECT_LT(error, 1e-4);
  EXPECT_GT(change, 0.1);
}

TEST_F(Fuse, DtypeAndDivisionIntoFilesStay) {
  write_model(DType::bf16);
  write_adapter();
  fuse_adapter(model(), folder_.path("adapter"), fused(), {});
  const auto [error, change] = differences();
  EXPECT_LT(error, 0.05 * change);
  const Checkpoint checkpoint = Checkpoint::open(fused());
  EXPECT_EQ(checkpoint.files().size(), 2U);
  for (const std::string& name : checkpoint.names()) EXPECT_EQ(checkpoint.info(name).dtype, DType::bf16) << name;
  EXPECT_EQ(read_file(fused() + "/tokenizer.json", 100), "{}");
  EXPECT_EQ(read_file(fused() + "/additional_chat_templates/tool.jinja", 100), "{{ tool }}");
  EXPECT_FALSE(fs::exists(fused() + "/notes.md"));
}

// A folder of sentence-transformers with its transformer in a folder of its own, and weights that stand below `bert.`, in f32: in the
// dtype of the files, f16, the rounding of the fused weights would be all that is seen.
TEST_F(Fuse, AnEncoderKeepsItsModulesAndItsNames) {
  test::make_tiny_sentences(model(), "dense");
  fs::create_directories(model() + "/0_Transformer");
  for (const char* name : {"config.json", "tokenizer.json", "tokenizer_config.json", "sentence_bert_config.json"}) {
    fs::rename(model() + "/" + name, model() + "/0_Transformer/" + name);
  }
  std::map<std::string, Tensor> weights;
  const Checkpoint plain = Checkpoint::open(model());
  for (const std::string& name : plain.names()) weights.emplace("bert." + name, plain.tensor(name).to(DType::f32));
  save_safetensors(model() + "/0_Transformer/model.safetensors", weights);
  fs::remove(model() + "/model.safetensors");
  std::string list = read_file(model() + "/modules.json", 10000);
  folder_.write("model/modules.json", list.replace(list.find("\"path\": \"\""), 10, "\"path\": \"0_Transformer\""));

  const auto base = EmbeddingModel::load(model());
  const Adapter adapter = Adapter::load(test::data_folder("tiny-similarity"), base->encoder().linears());
  const FuseReport report = fuse_adapter(model(), test::data_folder("tiny-similarity"), fused(), {});
  EXPECT_EQ(report.layers, static_cast<int64_t>(adapter.pairs().size()));
  EXPECT_TRUE(Checkpoint::open(fused() + "/0_Transformer").contains("bert.embeddings.word_embeddings.weight"));

  const std::vector<std::string> texts = {"a cat", "The dog sat on the mat", "how do I train?"};
  const Tensor both = Embedder(base, adapter).run(texts).embeddings, without = Embedder(base).run(texts).embeddings;
  const Tensor one = Embedder(EmbeddingModel::load(fused())).run(texts).embeddings;
  double error = 0, change = 0;
  for (size_t k = 0; k < one.data<float>().size(); ++k) {
    error = std::max(error, static_cast<double>(std::abs(both.data<float>()[k] - one.data<float>()[k])));
    change = std::max(change, static_cast<double>(std::abs(without.data<float>()[k] - one.data<float>()[k])));
  }
  EXPECT_LT(error, 1e-5);
  EXPECT_GT(change, 1e-3);
}

// PEFT's merge changes the pooler, too, which nothing here computes with.
TEST_F(Fuse, APartThatIsNotUsedIsMergedWhereTheFilesHaveIt) {
  test::make_tiny_sentences(model(), "");
  std::map<std::string, Tensor> weights;
  for (const Checkpoint plain = Checkpoint::open(model()); const std::string& name : plain.names()) {
    weights.emplace(name, plain.tensor(name).to(DType::f32));
  }
  std::map<std::string, Tensor> factors;
  for (const char* path : {"encoder.layer.0.output.dense", "pooler.dense"}) {
    const int64_t in = std::string(path) == "pooler.dense" ? 32 : 48;
    factors[fmt::format("base_model.model.{}.lora_A.weight", path)] =
        Tensor::from_vector(std::vector<float>(static_cast<size_t>(in), 0.5F), {1, in});
    factors[fmt::format("base_model.model.{}.lora_B.weight", path)] = Tensor::from_vector(std::vector<float>(32, 2.0F), {32, 1});
  }
  fs::create_directories(folder_.path("adapter"));
  save_safetensors(folder_.path("adapter/adapter_model.safetensors"), factors);
  folder_.write("adapter/adapter_config.json", R"({"peft_type": "LORA", "r": 1, "lora_alpha": 3,
    "target_modules": ["encoder.layer.0.output.dense", "pooler.dense"]})");
  for (const bool with_pooler : {true, false}) {
    weights.erase("pooler.dense.weight");
    weights.erase("pooler.dense.bias");
    if (with_pooler) {
      weights["pooler.dense.weight"] = Tensor::zeros(DType::f32, {32, 32});
      weights["pooler.dense.bias"] = Tensor::zeros(DType::f32, {32});
    }
    save_safetensors(model() + "/model.safetensors", weights);
    fs::remove_all(fused());
    EXPECT_EQ(fuse_adapter(model(), folder_.path("adapter"), fused(), {}).layers, with_pooler ? 2 : 1);
    if (with_pooler) {
      EXPECT_EQ(Checkpoint::open(fused()).tensor("pooler.dense.weight").to_vector<float>()[5], 3.0F);
    }
  }
}

TEST_F(Fuse, NothingIsLeftOfAWorkThatEnded) {
  write_model(DType::f32);
  write_adapter();
  EXPECT_TRUE(fuse_adapter(model(), folder_.path("adapter"), fused(), [](int64_t done, int64_t) { return done < 2; }).cancelled);
  for (const auto& entry : fs::directory_iterator(folder_.path())) {
    EXPECT_THAT(entry.path().filename().string(), testing::AnyOf("model", "adapter"));
  }
}

TEST_F(Fuse, AFolderWithFilesIsNotReplaced) {
  write_model(DType::f32);
  write_adapter();
  folder_.write("fused/mine.txt", "keep");
  EXPECT_THAT(test::message_of<IoError>([&] { fuse_adapter(model(), folder_.path("adapter"), fused(), {}); }),
              testing::HasSubstr("new or empty"));
  EXPECT_EQ(read_file(fused() + "/mine.txt", 100), "keep");
  fs::remove(fused() + "/mine.txt");
  EXPECT_EQ(fuse_adapter(model(), folder_.path("adapter"), fused() + "/", {}).layers, 4);
}

}  // namespace
}  // namespace lazuli
