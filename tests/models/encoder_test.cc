// Checks the encoders against numbers of transformers: small random models, texts alone and in one batch, and errors that name the cause.
#include "lazuli/encoder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "base/file.h"
#include "base/json.h"
#include "embed/pooling.h"
#include "lazuli/error.h"
#include "lazuli/ops.h"
#include "lazuli/safetensors.h"
#include "support/notices.h"
#include "support/source_folder.h"
#include "support/temp_folder.h"

namespace lazuli {
namespace {

using test::message_of;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

std::string tiny(const std::string& name) { return source_folder() + "/tests/data/tiny-" + name; }

struct Expected {
  std::vector<int32_t> ids;
  std::map<std::string, std::vector<float>> pooled;
};

std::vector<Expected> read_expected(const std::string& name) {
  const JsonDocument document = JsonDocument::read(tiny(name) + "/expected.json");
  std::vector<Expected> rows;
  for (const JsonValue& value : document.root().get("texts").as_array()) {
    Expected row;
    for (const JsonMember& m : value.as_object()) {
      for (const JsonValue& number : m.value.as_array()) {
        if (m.key == "ids") {
          row.ids.push_back(static_cast<int32_t>(number.as_int()));
        } else {
          row.pooled[std::string(m.key)].push_back(static_cast<float>(number.as_double()));
        }
      }
    }
    rows.push_back(row);
  }
  return rows;
}

/// ids and mask of texts, padded to `length` with `filler`.
std::pair<LazyTensor, LazyTensor> batch_of(const std::vector<Expected>& texts, int64_t length, int32_t filler) {
  const Shape shape{static_cast<int64_t>(texts.size()), length};
  Tensor ids = Tensor::empty(DType::i32, shape), mask = Tensor::zeros(DType::boolean, shape);
  auto id = ids.mutable_data<int32_t>();
  auto used = mask.mutable_data<bool>();
  std::fill(id.begin(), id.end(), filler);
  for (size_t row = 0; row < texts.size(); ++row) {
    for (size_t k = 0; k < texts[row].ids.size(); ++k) {
      id[row * static_cast<size_t>(length) + k] = texts[row].ids[k];
      used[row * static_cast<size_t>(length) + k] = true;
    }
  }
  return {LazyTensor::from_tensor(ids), LazyTensor::from_tensor(mask)};
}

/// The largest difference between what the encoder gives for `texts` in one batch and what transformers gives for each alone.
double largest_difference(const Encoder& encoder, const std::vector<Expected>& texts, int64_t length, int32_t filler) {
  const auto [ids, mask] = batch_of(texts, length, filler);
  const LazyTensor states = encoder.hidden({ids, mask, nullptr});
  const std::pair<const char*, PoolingMode> modes[] = {{"mean", PoolingMode::mean},
                                                       {"first", PoolingMode::cls},
                                                       {"last", PoolingMode::lasttoken},
                                                       {"max", PoolingMode::max},
                                                       {"weightedmean", PoolingMode::weightedmean}};
  double largest = 0;
  for (const auto& [name, mode] : modes) {
    const std::vector<float> got = Pooling{{mode}, true}.forward(states, mask).eval().to_vector<float>();
    for (size_t k = 0; k < got.size(); ++k) {
      const float wanted = texts[k / 32].pooled.at(name)[k % 32];
      largest = std::max(largest, static_cast<double>(std::fabs(got[k] - wanted)));
    }
  }
  return largest;
}

class EncoderOf : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(All, EncoderOf, testing::Values("bert", "mpnet"), [](const auto& c) { return std::string(c.param); });

TEST_P(EncoderOf, TextsAloneMatchTransformers) {
  const auto encoder = load_encoder(tiny(GetParam()));
  for (const Expected& text : read_expected(GetParam())) {
    EXPECT_LT(largest_difference(*encoder, {text}, static_cast<int64_t>(text.ids.size()), 0), 2e-5) << text.ids.size();
  }
}

TEST_P(EncoderOf, TextsOfABatchDoNotChangeEachOther) {
  const auto encoder = load_encoder(tiny(GetParam()));
  for (int32_t filler : {0, 1, 77}) EXPECT_LT(largest_difference(*encoder, read_expected(GetParam()), 184, filler), 2e-5) << filler;
}

TEST(PackedEncoder, MatchesTransformers) {
  const auto encoder = load_encoder(tiny("bert"));
  ASSERT_TRUE(encoder->packs());
  const std::vector<Expected> texts = read_expected("bert");
  std::vector<int32_t> ids, positions, starts = {0};
  for (const Expected& text : texts) {
    for (size_t k = 0; k < text.ids.size(); ++k) positions.push_back(static_cast<int32_t>(k));
    ids.insert(ids.end(), text.ids.begin(), text.ids.end());
    starts.push_back(static_cast<int32_t>(ids.size()));
  }
  ids.resize(ids.size() + 5, 7);
  positions.resize(ids.size(), 0);
  const auto count = static_cast<int64_t>(ids.size()), rows = static_cast<int64_t>(texts.size());
  const auto leaf = [](const std::vector<int32_t>& v) {
    return LazyTensor::from_tensor(Tensor::from_vector(v, {static_cast<int64_t>(v.size())}));
  };
  Tensor taken = Tensor::zeros(DType::boolean, {rows, count});
  for (size_t row = 0; row < texts.size(); ++row) {
    for (int32_t k = starts[row]; k < starts[row + 1]; ++k) {
      taken.mutable_data<bool>()[row * static_cast<size_t>(count) + static_cast<size_t>(k)] = true;
    }
  }
  const LazyTensor states = encoder->hidden_packed({leaf(ids), leaf(positions), leaf(starts), nullptr});
  const std::vector<float> got =
      Pooling{}.forward_packed(states, LazyTensor::from_tensor(taken), leaf(positions)).eval().to_vector<float>();
  for (size_t k = 0; k < got.size(); ++k) EXPECT_NEAR(got[k], texts[k / 32].pooled.at("mean")[k % 32], 2e-5F) << k;
  EXPECT_THROW(encoder->hidden_packed({leaf(ids), leaf(starts), leaf(starts), nullptr}), ShapeError);
}

TEST(PackedEncoder, AnArchitectureWithABiasByDistanceHasNone) {
  const auto encoder = load_encoder(tiny("mpnet"));
  EXPECT_FALSE(encoder->packs());
  const LazyTensor ids = LazyTensor::zeros({3}, DType::i32), starts = LazyTensor::zeros({2}, DType::i32);
  EXPECT_THAT(message_of<ValueError>([&] { encoder->hidden_packed({ids, ids, starts, nullptr}); }), HasSubstr("mpnet"));
}

TEST_P(EncoderOf, NamesOfAModelWithAHeadAreReadToo) {
  const test::TempFolder folder;
  std::filesystem::copy(tiny(GetParam()) + "/config.json", folder.path("config.json"));
  const SafetensorsFile file = SafetensorsFile::open(tiny(GetParam()) + "/model.safetensors");
  std::map<std::string, Tensor> weights = {{"cls.predictions.bias", Tensor::zeros(DType::f32, {120})}};
  for (const std::string& name : file.names()) {
    std::string old = name;
    if (const size_t at = old.find("LayerNorm.weight"); at != std::string::npos) old.replace(at + 10, 6, "gamma");
    if (const size_t at = old.find("LayerNorm.bias"); at != std::string::npos) old.replace(at + 10, 4, "beta");
    weights[std::string(GetParam()) + "." + old] = file.tensor(name);
  }
  save_safetensors(folder.path("model.safetensors"), weights);
  const test::Notices notices;
  const auto encoder = load_encoder(folder.path());
  EXPECT_THAT(notices.told(), ElementsAre(AllOf(HasSubstr("1 tensor that no part"), HasSubstr("cls.predictions.bias"))));
  EXPECT_EQ(encoder->linears()[0].path.find("encoder.layer.0."), 0U);
  EXPECT_EQ(encoder->linears()[0].weight.find(std::string(GetParam()) + ".encoder.layer.0."), 0U);
  const auto expected = read_expected(GetParam());
  EXPECT_LT(largest_difference(*encoder, {expected[1]}, 8, 0), 2e-5);
}

TEST_P(EncoderOf, AnAdapterChangesItsStates) {
  const auto encoder = load_encoder(tiny(GetParam()));
  EXPECT_EQ(encoder->linears().size(), 13U);  // with the pooler, which no adapter of ours changes
  LoRAConfig config;
  Adapter adapter = Adapter::create(encoder->linears(), config, 1);
  const auto [ids, mask] = batch_of({read_expected(GetParam())[2]}, 16, 0);
  const auto before = encoder->hidden({ids, mask, nullptr}).eval().to_vector<float>();
  std::vector<Tensor> parameters = adapter.parameters();
  for (size_t k = 1; k < parameters.size(); k += 2) {
    for (float& v : parameters[k].mutable_data<float>()) v = 0.02F;
  }
  adapter.set_parameters(parameters);
  const AdapterContext context(adapter);
  const auto after = encoder->hidden({ids, mask, &context}).eval().to_vector<float>();
  EXPECT_GT(std::fabs(after[0] - before[0]), 1e-3F);
}

TEST_P(EncoderOf, MoreTokensThanPositionsAreRefused) {
  const auto encoder = load_encoder(tiny(GetParam()));
  EXPECT_EQ(encoder->info().context, 200);
  const LazyTensor ids = LazyTensor::zeros({1, 201}, DType::i32), mask = LazyTensor::ones({1, 201}, DType::boolean);
  EXPECT_THAT(message_of<ShapeError>([&] { encoder->hidden({ids, mask, nullptr}); }), AllOf(HasSubstr("200"), HasSubstr("201")));
  EXPECT_THROW(encoder->hidden({ids, LazyTensor::ones({1, 3}, DType::boolean), nullptr}), ShapeError);
  EXPECT_THROW(encoder->hidden({slice(ids, 1, 0, 3), LazyTensor::ones({1, 3}), nullptr}), DTypeError);
}

class LoadEncoder : public testing::Test {
 protected:
  void write(const std::string& name, const std::string& from, const std::string& to) const {
    std::string config = read_file(tiny(name) + "/config.json", 1 << 20);
    const size_t at = config.find(from);
    EXPECT_NE(at, std::string::npos);
    config.replace(at, from.size(), to);
    folder_.write("config.json", config);
    std::filesystem::copy(tiny(name) + "/model.safetensors", folder_.path("model.safetensors"),
                          std::filesystem::copy_options::overwrite_existing);
  }
  std::string error(const std::string& name, const std::string& from, const std::string& to) const {
    write(name, from, to);
    return message_of<FormatError>([&] { load_encoder(folder_.path()); });
  }
  /// Loads the weights with tensors of these names added.
  void load_with(const std::string& name, std::initializer_list<const char*> more) const {
    write(name, "{", "{");
    const SafetensorsFile file = SafetensorsFile::open(tiny(name) + "/model.safetensors");
    std::map<std::string, Tensor> weights;
    for (const std::string& own : file.names()) weights[own] = file.tensor(own);
    for (const char* added : more) weights[added] = Tensor::zeros(DType::f32, {2});
    save_safetensors(folder_.path("model.safetensors"), weights);
    load_encoder(folder_.path());
  }
  test::TempFolder folder_;
};

TEST_F(LoadEncoder, PositionsOfMpnetAreCountedFromAfterIdOneWhateverThePaddingIs) {
  for (const char* id : {"0", "-1", "null", "500"}) {
    write("mpnet", "\"pad_token_id\": 1", std::string("\"pad_token_id\": ") + id);
    EXPECT_LT(largest_difference(*load_encoder(folder_.path()), {read_expected("mpnet")[1]}, 8, 0), 2e-5) << id;
  }
}

TEST_F(LoadEncoder, LayersBeyondTheModelsAreCountedAndTold) {
  write("bert", "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 1");
  const test::Notices notices;
  load_encoder(folder_.path());
  EXPECT_THAT(notices.told(), ElementsAre(AllOf(HasSubstr("num_hidden_layers = 1"), HasSubstr("encoder.layer.1."))));
}

TEST_F(LoadEncoder, TablesOfOldFilesAndThePoolerSayNothing) {
  const test::Notices notices;
  load_with("bert", {"embeddings.position_ids", "embeddings.token_type_ids", "pooler.dense.weight", "pooler.dense.bias"});
  EXPECT_THAT(notices.told(), testing::IsEmpty());
}

TEST_F(LoadEncoder, HeadsAreToldAndUnknownPartsOfLayersRefused) {
  const test::Notices notices;
  load_with("bert", {"classifier.weight", "classifier.bias", "qa_outputs.weight", "cls.predictions.bias"});
  EXPECT_THAT(notices.told(), ElementsAre(AllOf(HasSubstr("4 tensors"), HasSubstr("'classifier.bias'"), HasSubstr("and 1 more"))));
  for (const char* name : {"encoder.layer.0.crossattention.self.query.weight", "embeddings.LayerNorm.gamma", "encoder.norm.weight"}) {
    EXPECT_THAT(message_of<FormatError>([&] { load_with("bert", {name}); }), HasSubstr(name)) << name;
  }
}

TEST_F(LoadEncoder, HyperParametersThatDoNotFitAreNamed) {
  EXPECT_THAT(error("bert", "\"type_vocab_size\": 2", "\"type_vocab_size\": 3"),
              AllOf(HasSubstr("token_type_embeddings"), HasSubstr("type_vocab_size"), HasSubstr("(2, 32)")));
  EXPECT_THAT(error("bert", "\"intermediate_size\": 48", "\"intermediate_size\": 40"), HasSubstr("intermediate.dense.weight"));
  EXPECT_THAT(error("bert", "\"gelu\"", "\"relu6\""), AllOf(HasSubstr("hidden_act"), HasSubstr("relu6")));
  EXPECT_THAT(error("mpnet", "\"relative_attention_num_buckets\": 32", "\"relative_attention_num_buckets\": 16"),
              HasSubstr("relative_attention_num_buckets"));
  EXPECT_THAT(error("bert", "\"vocab_size\": 120", "\"vocab_size\": 120, \"position_embedding_type\": \"relative_key\""),
              AllOf(HasSubstr("position_embedding_type"), HasSubstr("relative_key")));
}

TEST_F(LoadEncoder, ArchitecturesAreListedAndEncodersCalledOnes) {
  EXPECT_THAT(error("bert", "\"bert\"", "\"gpt9\""),
              AllOf(HasSubstr("'gpt9'"), HasSubstr("bert, camembert, distilbert"), HasSubstr("llama")));
  EXPECT_THAT(message_of<FormatError>([] { load_model(tiny("bert")); }), AllOf(HasSubstr("'bert'"), HasSubstr("encoder")));
}

}  // namespace
}  // namespace lazuli
