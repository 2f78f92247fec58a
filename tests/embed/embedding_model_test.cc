// Checks whole embeddings against those of sentence-transformers, and the errors of folders that are not as they should be.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>

#include "base/file.h"
#include "base/json.h"
#include "lazuli/embed.h"
#include "lazuli/error.h"
#include "lazuli/plan_cache.h"
#include "lazuli/safetensors.h"
#include "support/temp_folder.h"
#include "support/tiny_sentences.h"

namespace lazuli {
namespace {

using test::message_of;
using testing::AllOf;
using testing::HasSubstr;

class Embeddings : public testing::Test {
 protected:
  Embeddings() : expected_(JsonDocument::read(test::data_folder("tiny-sentences/expected.json"))) {
    for (const JsonValue& text : expected_.root().get("texts").as_array()) texts_.emplace_back(text.as_string());
  }
  std::shared_ptr<const EmbeddingModel> load(const std::string& variant) {
    test::make_tiny_sentences(folder_.path(variant + "x"), variant);
    return EmbeddingModel::load(folder_.path(variant + "x"));
  }
  /// The largest difference from the vectors that are expected.
  static double difference(const JsonValue& vectors, const Tensor& got) {
    const auto numbers = got.data<float>();
    size_t k = 0;
    double largest = 0;
    for (const JsonValue& vector : vectors.as_array()) {
      for (const JsonValue& wanted : vector.as_array()) {
        largest = std::max(largest, std::fabs(static_cast<double>(numbers[k++]) - wanted.as_double()));
      }
    }
    EXPECT_EQ(k, numbers.size());
    return largest;
  }
  void expect_all(const std::string& variant) {
    Embedder embedder(load(variant));
    for (const JsonValue& run : expected_.root().get(variant).as_array()) {
      EmbedOptions options;
      options.prompt_name = std::string(run.get("prompt").as_string());
      EXPECT_LT(difference(run.get("vectors"), embedder.run(texts_, options).embeddings), 5e-5) << variant << options.prompt_name;
      options.batch_size = 1;
      EXPECT_LT(difference(run.get("vectors"), embedder.run(texts_, options).embeddings), 5e-5) << variant << options.prompt_name;
    }
  }
  std::string error(const std::string& file, const std::string& from, const std::string& to) {
    const std::string path = folder_.path("edited");
    std::filesystem::remove_all(path);
    test::make_tiny_sentences(path, "dense");
    std::string text = read_file(path + "/" + file, 1 << 20);
    const size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    std::ofstream(path + "/" + file) << text.replace(at, from.size(), to);
    return message_of<FormatError>([&] { EmbeddingModel::load(path); });
  }

  test::TempFolder folder_;
  JsonDocument expected_;
  std::vector<std::string> texts_;
};

TEST_F(Embeddings, IdsAreThoseOfTransformers) {
  const auto model = load("all-modes");
  size_t k = 0;
  for (const JsonValue& row : expected_.root().get("ids").as_array()) {
    std::vector<int32_t> ids;
    for (const JsonValue& id : row.as_array()) ids.push_back(static_cast<int32_t>(id.as_int()));
    EXPECT_EQ(model->tokenize(texts_[k]).ids, ids) << texts_[k];
    ++k;
  }
}

TEST_F(Embeddings, EveryPoolingModeMatchesSentenceTransformers) { expect_all("all-modes"); }
TEST_F(Embeddings, DensePromptsAndLengthMatchSentenceTransformers) { expect_all("dense"); }
TEST_F(Embeddings, PromptsLeftOutOfPoolingMatchSentenceTransformers) { expect_all("prompts"); }

/// The first numbers of a text's vector by the folder at `path`.
void expect_vector(const std::string& path, const std::string& text, int64_t size, const std::vector<float>& wanted) {
  const Tensor got = Embedder(EmbeddingModel::load(path)).run(std::span(&text, 1)).embeddings;
  ASSERT_EQ(got.dim(1), size);
  // The judge computed in 16 bits.
  for (size_t k = 0; k < wanted.size(); ++k) EXPECT_NEAR(got.data<float>()[k], wanted[k], 3e-3) << k;
}

TEST_F(Embeddings, AFolderWithoutModulesGivesTheMeanAsInSentenceTransformers) {
  load("");
  expect_vector(folder_.path("x"), "a cat", 32, {0.72461F, 0.57129F, 0.31421F, 0.18005F});
}

TEST_F(Embeddings, VectorsAreTruncatedAndComparedAsTheFolderSays) {
  load("dense");
  const std::string path = folder_.path("densex");
  std::ofstream(path + "/config_sentence_transformers.json")
      << R"({"truncate_dim": 5, "similarity_fn_name": "dot", "prompts": {"query": null}, "default_prompt_name": "query"})";
  expect_vector(path, "a cat", 5, {0.21777F, 0.06384F, -0.24536F, -0.28955F});
  EXPECT_EQ(EmbeddingModel::load(path)->similarity(), Similarity::dot);
  EXPECT_EQ(EmbeddingModel::load(path)->prompt("document"), "");
  std::ofstream(path + "/config_sentence_transformers.json") << R"({"similarity_fn_name": null})";
  EXPECT_EQ(EmbeddingModel::load(path)->similarity(), Similarity::cosine);
}

TEST_F(Embeddings, ADenseLayerMayHaveASecondWayAroundIt) {
  load("dense");
  const std::string path = folder_.path("densex") + "/2_Dense/";
  const std::string config = read_file(path + "config.json", 1 << 20);
  std::ofstream(path + "config.json") << config.substr(0, config.rfind('}')) + ", \"use_residual\": true}";
  std::map<std::string, Tensor> tensors;
  const SafetensorsFile file = SafetensorsFile::open(path + "model.safetensors");
  for (const std::string& name : file.names()) tensors[name] = file.tensor(name);
  Tensor weight = Tensor::empty(DType::f32, {24, 32});
  const auto numbers = weight.mutable_data<float>();
  for (size_t k = 0; k < numbers.size(); ++k) numbers[k] = (static_cast<float>(k % 7) - 3) / 10;
  tensors["residual.weight"] = weight;
  std::filesystem::remove(path + "model.safetensors");
  save_safetensors(path + "model.safetensors", tensors, {});
  expect_vector(folder_.path("densex"), "a cat", 24, {0.09692F, -0.01324F, -0.22205F, 0.07336F});
}

TEST_F(Embeddings, LongTextsAreCutInsideTheirSpecialTokens) {
  const auto model = load("dense");
  EXPECT_EQ(model->max_seq_length(), 20);
  const std::vector<int32_t> ids = model->tokenize(texts_[3]).ids;
  EXPECT_EQ(ids.size(), 20U);
  EXPECT_EQ(ids.front(), 2);
  EXPECT_EQ(ids.back(), 3);
}

TEST_F(Embeddings, LengthsComeFromTheFilesInTheOrderOfSentenceTransformers) {
  load("dense");
  const std::string path = folder_.path("densex");
  const auto length = [&](const std::string& settings, const std::string& tokenizer) {
    std::ofstream(path + "/sentence_bert_config.json") << settings;
    std::ofstream(path + "/tokenizer_config.json") << tokenizer;
    return EmbeddingModel::load(path)->max_seq_length();
  };
  EXPECT_EQ(length(R"({"max_seq_length": 9})", R"({"model_max_length": 7})"), 9);
  EXPECT_EQ(length(R"({"max_seq_length": null})", R"({"model_max_length": 7})"), 7);
  EXPECT_EQ(length("{}", R"({"max_len": 8})"), 8);
  EXPECT_EQ(length("{}", R"({"model_max_length": null})"), 200);
  EXPECT_EQ(length("{}", R"({"model_max_length": 1000000000000000019884624838656})"), 200);
  EXPECT_EQ(length("{}", R"({"model_max_length": 1e30})"), 200);
  EXPECT_EQ(length(R"({"max_seq_length": 30, "tokenizer_args": {"model_max_length": 11}})", "{}"), 11);
  EXPECT_EQ(length(R"({"max_seq_length": 30, "processing_kwargs": {"text": {"max_length": 6}}})", "{}"), 6);
  EXPECT_EQ(length(R"({"max_seq_length": 1000})", "{}"), 200);
  std::filesystem::remove(path + "/sentence_bert_config.json");
  std::ofstream(path + "/sentence_roberta_config.json") << R"({"max_seq_length": 12})";
  EXPECT_EQ(EmbeddingModel::load(path)->max_seq_length(), 12);
}

TEST_F(Embeddings, TextsAreLowerCasedAsInSentenceTransformers) {
  load("all-modes");
  const std::string path = folder_.path("all-modesx");
  std::ofstream(path + "/tokenizer_config.json") << R"({"tokenizer_class": "BertTokenizer", "do_lower_case": false})";
  const auto ids = [&] { return EmbeddingModel::load(path)->tokenize("A Cat [MASK]").ids; };
  EXPECT_EQ(ids(), (std::vector<int32_t>{2, 1, 1, 4, 3}));
  std::ofstream(path + "/sentence_bert_config.json") << R"({"do_lower_case": true})";
  EXPECT_EQ(ids(), (std::vector<int32_t>{2, 12, 62, 4, 3}));
}

TEST_F(Embeddings, PackedTextsGetWhatFilledUpOnesGet) {
  for (const char* variant : {"", "dense", "prompts"}) {
    const auto model = load(variant);
    ASSERT_TRUE(model->packs()) << variant;
    std::vector<EmbeddingTokens> tokens;
    for (const std::string& text : texts_) tokens.push_back(model->tokenize(text));
    std::vector<const EmbeddingTokens*> texts;
    for (const EmbeddingTokens& t : tokens) texts.push_back(&t);
    const EmbeddingBatch filled = model->batch(texts, 8, 24);
    const PackedBatch packed = model->pack(texts, 8, 200);
    EXPECT_EQ(packed.ids.shape(), Shape{200});
    EXPECT_EQ(packed.starts.shape(), Shape{9});
    const auto leaf = [](const Tensor& t) { return LazyTensor::from_tensor(t); };
    const auto wanted = model->forward(leaf(filled.ids), leaf(filled.mask), leaf(filled.pooled)).eval().to_vector<float>();
    const auto got =
        model->forward_packed(leaf(packed.ids), leaf(packed.positions), leaf(packed.starts), leaf(packed.pooled)).eval().to_vector<float>();
    ASSERT_EQ(got.size(), wanted.size());
    const auto used = texts.size() * static_cast<size_t>(model->dimensions());
    for (size_t k = 0; k < used; ++k) EXPECT_NEAR(got[k], wanted[k], 1e-6F) << variant << k;
  }
  EXPECT_FALSE(load("all-modes")->packs());
}

TEST_F(Embeddings, PackedTextsFitThePositionsAndTheVocabulary) {
  const auto model = load("dense");
  const auto pack = [&](std::vector<int32_t> ids) {
    const EmbeddingTokens text{std::move(ids), 0};
    const EmbeddingTokens* one = &text;
    return model->pack(std::span(&one, 1), 1, 1);
  };
  EXPECT_EQ(pack({2, 5, 3}).ids.shape(), Shape{3});
  EXPECT_THROW(pack({2, -1, 3}), ValueError);
  EXPECT_THROW(pack(std::vector<int32_t>(1000, 2)), ShapeError);
}

TEST_F(Embeddings, ManyTextsNeedFewPlansAndKeepTheirOrder) {
  Embedder embedder(load("all-modes"));
  std::vector<std::string> many;
  for (int k = 0; k < 50; ++k) many.push_back(texts_[static_cast<size_t>(k) % texts_.size()]);
  int64_t last = 0;
  EmbedOptions options;
  options.batch_size = 8;
  options.on_progress = [&last](int64_t done, int64_t total) {
    EXPECT_GT(done, last);
    EXPECT_EQ(total, 50);
    last = done;
    return true;
  };
  const Tensor got = embedder.run(many, options).embeddings;
  EXPECT_EQ(last, 50);
  const auto row = [&](size_t k) { return got.data<float>().subspan(k * 192, 192); };
  for (size_t k = 5; k < 50; ++k) EXPECT_GT(cosine_similarity(row(k), row(k % 5)), 0.999999) << k;
}

TEST_F(Embeddings, ARunCanBeEnded) {
  Embedder embedder(load("all-modes"));
  EmbedOptions options;
  options.batch_size = 1;
  options.on_progress = [](int64_t, int64_t) { return false; };
  EXPECT_TRUE(embedder.run(texts_, options).cancelled);
}

TEST_F(Embeddings, AnAdapterChangesThem) {
  const auto model = load("dense");
  LoRAConfig config;
  Adapter adapter = Adapter::create(model->encoder().linears(), config, 1);
  std::vector<Tensor> parameters = adapter.parameters();
  for (size_t k = 1; k < parameters.size(); k += 2) {
    for (float& v : parameters[k].mutable_data<float>()) v = 0.05F;
  }
  adapter.set_parameters(parameters);
  const Tensor before = Embedder(model).run(texts_).embeddings, after = Embedder(model, adapter).run(texts_).embeddings;
  EXPECT_LT(cosine_similarity(before.data<float>().first(24), after.data<float>().first(24)), 0.9999);
}

TEST_F(Embeddings, WrongArgumentsAreNamed) {
  const auto model = load("dense");
  Embedder embedder(model);
  EmbedOptions options;
  options.prompt_name = "other";
  EXPECT_THAT(message_of<ValueError>([&] { embedder.run(texts_, options); }),
              AllOf(HasSubstr("'other'"), HasSubstr("document, passage, query")));
  options = {};
  options.batch_size = 0;
  EXPECT_THROW(embedder.run(texts_, options), ValueError);
  const EmbeddingTokens outside{{2, 500, 3}, 0};
  EXPECT_THAT(message_of<ValueError>([&] { embedder.run(std::span(&outside, 1)); }), HasSubstr("500"));
  load("prompts");
  const std::string path = folder_.path("promptsx");
  std::string tokens = "\"<new>\"";
  for (int k = 0; k < 18; ++k) tokens = "\"<" + std::to_string(k) + ">\", " + tokens;
  std::ofstream(path + "/tokenizer_config.json")
      << R"({"tokenizer_class": "PreTrainedTokenizerFast", "extra_special_tokens": [)" << tokens << "]}";
  Embedder more(EmbeddingModel::load(path));
  const std::vector<std::string> known = {"a cat <0>"}, unknown = {"a <new> cat"};
  EXPECT_NO_THROW(more.run(known));
  EXPECT_THAT(message_of<ValueError>([&] { more.run(unknown); }), AllOf(HasSubstr("'<new>'"), HasSubstr("vocabulary size")));
}

TEST_F(Embeddings, AModulesFolderIsNoModel) {
  load("dense");
  EXPECT_THAT(message_of<IoError>([&] { EmbeddingModel::load(folder_.path("densex/1_Pooling")); }),
              AllOf(HasSubstr("the module Pooling"), HasSubstr("one folder above")));
  std::filesystem::remove(folder_.path("densex/1_Pooling/config.json"));
  EXPECT_THAT(message_of<IoError>([&] { EmbeddingModel::load(folder_.path("densex")); }), HasSubstr("1_Pooling"));
}

TEST_F(Embeddings, FoldersThatAreNotAsTheyShouldBeAreNamed) {
  EXPECT_THAT(error("modules.json", "modules.dense.Dense", "modules.cnn.CNN"), AllOf(HasSubstr("modules.json"), HasSubstr("cnn.CNN")));
  EXPECT_THAT(error("modules.json", "sentence_transformers.base.modules.dense", "my.own"), HasSubstr("my.own.Dense"));
  EXPECT_THAT(error("modules.json", "\"2_Dense\"", "\"../2_Dense\""), HasSubstr("../2_Dense"));
  EXPECT_THAT(error("2_Dense/config.json", "\"in_features\": 32", "\"in_features\": 33"), HasSubstr("in_features"));
  EXPECT_THAT(error("2_Dense/config.json", "\"out_features\": 24", "\"out_features\": 25"), HasSubstr("linear.weight"));
  EXPECT_THAT(error("2_Dense/config.json", "activation.Tanh", "activation.Softplus"), HasSubstr("Softplus"));
  EXPECT_THAT(error("1_Pooling/config.json", "\"mean\"", "\"median\""), HasSubstr("median"));
  EXPECT_THAT(error("sentence_bert_config.json", "feature-extraction", "text-generation"), HasSubstr("transformer_task"));
  EXPECT_THAT(error("sentence_bert_config.json", "{", "{\"model_args\": {\"gamma\": 2}, "), HasSubstr("'gamma' is not supported"));
  EXPECT_THAT(error("sentence_bert_config.json", "{", "{\"max_seq_length\": 0, "), HasSubstr("max_seq_length"));
  EXPECT_THAT(
      error("3_Normalize/config.json", "\"module_input_name\": \"sentence_embedding\"", "\"module_input_name\": \"token_embeddings\""),
      HasSubstr("module_input_name"));
  EXPECT_THAT(error("config_sentence_transformers.json", "_name\": \"query\"", "_name\": \"question\""), HasSubstr("question"));
  EXPECT_THAT(error("config_sentence_transformers.json", "\"SentenceTransformer\"", "\"CrossEncoder\""), HasSubstr("CrossEncoder"));
}

TEST_F(Embeddings, ModulesStandInTheirPlacesInsideTheFolder) {
  const auto list = [&](const std::string& from, const std::string& to) { return error("modules.json", from, to); };
  EXPECT_THAT(list("transformer.Transformer", "pooling.Pooling"), HasSubstr("$[0].type: Transformer, Pooling and then Dense or Normalize"));
  EXPECT_THAT(list("pooling.Pooling", "dense.Dense"), HasSubstr("got Dense in place 1"));
  EXPECT_THAT(list("dense.Dense", "transformer.Transformer"), HasSubstr("got Transformer in place 2"));
  EXPECT_THAT(list("normalize.Normalize", "pooling.Pooling"), HasSubstr("got Pooling in place 3"));
  EXPECT_THAT(list("\"3_Normalize\"", "\"/3_Normalize\""), HasSubstr("$[3].path: a folder inside that of the model expected"));
  EXPECT_THAT(list("\"1_Pooling\"", "\"1_Pooling/../../x\""), HasSubstr("$[1].path: a folder inside that of the model expected"));
  const std::string path = folder_.path("edited");
  std::ofstream(path + "/modules.json") << R"([{"path": "", "type": "sentence_transformers.models.Transformer"}])";
  EXPECT_THAT(message_of<FormatError>([&] { EmbeddingModel::load(path); }), HasSubstr("a Transformer and a Pooling expected"));
  std::ofstream(path + "/modules.json") << "[]";
  EXPECT_THAT(message_of<FormatError>([&] { EmbeddingModel::load(path); }), HasSubstr("a Transformer and a Pooling expected"));
}

TEST_F(Embeddings, NumbersOfModulesHaveRanges) {
  EXPECT_THAT(error("2_Dense/config.json", "\"out_features\": 24", "\"out_features\": 0"),
              HasSubstr("$.out_features: a number from 1 to 16777216 expected, got 0"));
  EXPECT_THAT(error("2_Dense/config.json", "\"out_features\": 24", "\"out_features\": 16777217"), HasSubstr("got 16777217"));
  // What is at the limit is looked for in the weights.
  EXPECT_THAT(error("2_Dense/config.json", "\"out_features\": 24", "\"out_features\": 16777216"), HasSubstr("linear.weight"));
  EXPECT_THAT(error("config_sentence_transformers.json", "{", "{\"truncate_dim\": 0, "),
              HasSubstr("$.truncate_dim: a number from 1 on expected, got 0"));
  load("dense");
  const std::string path = folder_.path("densex");
  for (const auto& [dimensions, wanted] : {std::pair(1, 1), {24, 24}, {25, 24}, {1000, 24}}) {
    std::ofstream(path + "/config_sentence_transformers.json") << "{\"truncate_dim\": " << dimensions << "}";
    const auto model = EmbeddingModel::load(path);
    EXPECT_EQ(model->dimensions(), wanted);
    EXPECT_EQ(Embedder(model).run(texts_).embeddings.dim(1), wanted);
  }
}

TEST_F(Embeddings, OtherNamesOfInputsAndOutputsAreRefused) {
  for (const char* file : {"2_Dense/config.json", "3_Normalize/config.json"}) {
    for (const char* key : {"module_input_name", "module_output_name"}) {
      EXPECT_THAT(error(file, "\"" + std::string(key) + "\": \"sentence_embedding\"", "\"" + std::string(key) + "\": \"token_embeddings\""),
                  HasSubstr("$." + std::string(key) + ": sentence_embedding expected"))
          << file;
    }
  }
  EXPECT_THAT(error("2_Dense/config.json", "torch.nn.modules.activation.Tanh", "my.Tanh"),
              HasSubstr("torch.nn's Tanh, Identity, ReLU, GELU, SiLU or Sigmoid expected, got 'my.Tanh'"));
  EXPECT_THAT(error("1_Pooling/config.json", "\"embedding_dimension\": 32", "\"embedding_dimension\": 31"),
              HasSubstr("$.embedding_dimension: 32, the size of the states, expected, got 31"));
  EXPECT_THAT(error("1_Pooling/config.json", "\"mean\"", "[]"), HasSubstr("$.pooling_mode: at least one mode expected"));
}

TEST_F(Embeddings, EverySimilarityHasItsName) {
  load("dense");
  const std::string path = folder_.path("densex");
  for (const auto& [name, kind] : {std::pair("cosine", Similarity::cosine),
                                   {"dot", Similarity::dot},
                                   {"euclidean", Similarity::euclidean},
                                   {"manhattan", Similarity::manhattan},
                                   {"other", Similarity::cosine}}) {
    std::ofstream(path + "/config_sentence_transformers.json") << R"({"similarity_fn_name": ")" << name << "\"}";
    EXPECT_EQ(EmbeddingModel::load(path)->similarity(), kind) << name;
  }
}

}  // namespace
}  // namespace lazuli
