// Checks the text parts of models of images and text against transformers, in every layout of names, and adapters between them and models
// alone.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "base/json_copy.h"
#include "io/text_part.h"
#include "lazuli/error.h"
#include "lazuli/model.h"
#include "lazuli/safetensors.h"
#include "lazuli/text_model.h"
#include "models/fuse.h"
#include "models/registry.h"
#include "support/family_model.h"
#include "support/notices.h"
#include "support/source_folder.h"

namespace lazuli {
namespace {

using test::message_of;
using testing::HasSubstr;

std::string replaced(std::string name, const std::vector<std::pair<std::string, std::string>>& starts) {
  for (const auto& [start, other] : starts) {
    if (name.starts_with(start)) return other + name.substr(start.size());
  }
  return name;
}

/// Layouts of names: those of transformers' modules, of the files of Gemma 3, Mistral 3 and LLaVA, of those of Qwen2-VL, and of a model
/// without its head.
const std::map<std::string, std::vector<std::pair<std::string, std::string>>> kLayouts = {
    {"modules", {}},
    {"outer_head", {{"model.language_model.", "language_model.model."}, {"lm_head.", "language_model.lm_head."}, {"model.", ""}}},
    {"beside", {{"model.language_model.", "model."}, {"model.", ""}}},
    {"inner", {{"model.", ""}}}};

class Wrappers : public testing::TestWithParam<const char*> {
 protected:
  void write(const std::string& layout) {
    const SafetensorsFile file = SafetensorsFile::open(model_.folder() + "/model.safetensors");
    std::map<std::string, Tensor> tensors;
    for (const std::string& name : file.names()) tensors[replaced(name, kLayouts.at(layout))] = file.tensor(name);
    save_safetensors(folder_.path("model.safetensors"), tensors);
    folder_.write("config.json", std::string(model_.expected().get("config").as_string()));
  }
  double distance() const {
    const std::vector<int32_t> prompt = model_.ids("prompt");
    ForwardContext context;
    context.ids = LazyTensor::from_tensor(Tensor::from_vector(prompt, {1, static_cast<int64_t>(prompt.size())}));
    const auto logits = load_model(folder_.path())->forward(context).eval().to_vector<float>();
    const std::vector<double> right = model_.numbers("logits");
    constexpr size_t kVocabulary = 64;
    EXPECT_EQ(right.size(), (prompt.size() + 2) / 3 * kVocabulary);
    double largest = 0, off = 0;
    for (size_t k = 0; k < right.size(); ++k) {
      const size_t at = k / kVocabulary * 3 * kVocabulary + k % kVocabulary;
      largest = std::max(largest, std::fabs(right[k]));
      off = std::max(off, std::fabs(right[k] - static_cast<double>(logits.at(at))));
    }
    return off / largest;
  }

  test::FamilyModel model_{GetParam(), "wrappers"};
  test::TempFolder folder_;
};

TEST_P(Wrappers, LogitsOfTextsAreThoseOfTransformersInEveryLayout) {
  for (const auto& [layout, starts] : kLayouts) {
    const test::Notices notices;
    write(layout);
    EXPECT_LE(distance(), 1e-5) << layout;
    ASSERT_FALSE(notices.told().empty()) << layout;
    EXPECT_THAT(notices.told()[0], HasSubstr("the text part is loaded, without images or sound; left out: 3 tensors of '")) << layout;
  }
}

TEST_P(Wrappers, LayersAreNamedAsPeftNamesThem) {
  const test::Notices notices;
  write("outer_head");
  const auto model = load_model(folder_.path());
  ASSERT_EQ(model->linears().size(), GetParam() == std::string("qwen3_5") ? 15U : GetParam() == std::string("qwen3_5_moe") ? 17U : 14U);
  EXPECT_EQ(model->linears()[0].path, "model.language_model.layers.0.self_attn.q_proj");
  EXPECT_EQ(model->linears()[0].weight, "language_model.model.layers.0.self_attn.q_proj.weight");
  EXPECT_THAT(model->info().media_tokens, testing::Contains(9));
}

INSTANTIATE_TEST_SUITE_P(All, Wrappers,
                         testing::Values("gemma3", "mistral3", "qwen2_vl", "qwen2_5_vl", "qwen3_vl", "qwen3_5", "qwen3_5_moe", "llava",
                                         "llava_next", "llava_onevision", "vipllava", "internvl"),
                         [](const auto& c) { return std::string(c.param); });

/// The configuration with the keys of the text part in the outer object, as the first files of Qwen2-VL had them.
std::string flattened(const JsonValue& root) {
  JsonWriter w;
  w.begin_object();
  const auto copy = [&w](const JsonValue& object) {
    for (const JsonMember& m : object.as_object()) {
      if (m.key == "text_config" || m.key == "model_type" || m.key == "tie_word_embeddings") continue;
      w.key(m.key == "rope_parameters" ? "rope_scaling" : m.key);
      write_json(w, m.value);
    }
  };
  copy(root.get("text_config"));
  copy(root);
  w.field("model_type", "qwen2_vl").field("tie_word_embeddings", false).end_object();
  return w.text();
}

TEST(WrapperConfigs, OldFilesOfQwen2VlAreFlat) {
  const test::Notices notices;
  const test::FamilyModel model("qwen2_vl", "wrappers");
  const JsonDocument config = JsonDocument::parse(model.expected().get("config").as_string(), "config.json");
  const ModelConfig right = read_model_config(model.folder());
  test::TempFolder folder;
  folder.write("config.json", flattened(config.root()));
  const ModelConfig flat = read_model_config(folder.path());
  EXPECT_EQ(flat.model_type, "qwen2_vl_text");
  EXPECT_EQ(flat.hidden_size, right.hidden_size);
  EXPECT_EQ(flat.rope.theta, right.rope.theta);
  EXPECT_EQ(flat.eos_token_ids, right.eos_token_ids);
}

ModelConfig config_of(const std::string& text) {
  test::TempFolder folder;
  folder.write("config.json", text);
  return read_model_config(folder.path());
}

TEST(WrapperConfigs, EachKeyIsReadFromItsLevel) {
  const ModelConfig outer = config_of(R"({"model_type": "gemma3", "eos_token_id": [1, 106], "torch_dtype": "bfloat16",
      "text_config": {"model_type": "gemma3_text", "eos_token_id": 2, "dtype": "float32", "hidden_size": 64, "tie_word_embeddings": false}})");
  EXPECT_THAT(outer.eos_token_ids, testing::ElementsAre(1, 106));
  EXPECT_EQ(outer.dtype, DType::bf16);
  EXPECT_TRUE(outer.tie_word_embeddings) << "of Gemma 3 only the wrapper's value counts, and without one tables are tied";
  EXPECT_EQ(outer.hidden_size, 64);
  EXPECT_EQ(outer.vocab_size, 262208);
  const ModelConfig inner = config_of(R"({"model_type": "llava", "text_config": {"eos_token_id": 2, "torch_dtype": "float16",
      "tie_word_embeddings": true}})");
  EXPECT_EQ(inner.model_type, "llama");
  EXPECT_THAT(inner.eos_token_ids, testing::ElementsAre(2));
  EXPECT_EQ(inner.dtype, DType::f16);
  EXPECT_TRUE(inner.tie_word_embeddings);
}

TEST(WrapperConfigs, WhatCannotBeReadIsNamed) {
  EXPECT_THAT(message_of<FormatError>([] { config_of(R"({"model_type": "gemma3"})"); }),
              HasSubstr("config.json: $: key 'text_config' expected"));
  EXPECT_THAT(message_of<FormatError>([] { config_of(R"({"model_type": "llava", "text_config": {"model_type": "opt"}})"); }),
              HasSubstr("config.json: text_config: $.model_type: one of "));
  EXPECT_THAT(message_of<FormatError>([] { config_of(R"({"model_type": "llava", "text_config": {"hidden_size": "x"}})"); }),
              HasSubstr("config.json: text_config: $.hidden_size"));
  EXPECT_THAT(message_of<FormatError>([] { config_of(R"({"model_type": "llava", "quantization_config": {"a": 1}, "text_config": {}})"); }),
              HasSubstr("quantization_config"));
}

TEST(WrapperWeights, OneLanguageModelIsExpected) {
  test::TempFolder folder;
  const Tensor one = Tensor::zeros(DType::f32, {2, 2});
  save_safetensors(folder.path("model.safetensors"), {{"visual.a", one}});
  const auto open = [&] { TextPart(std::make_shared<const Checkpoint>(Checkpoint::open(folder.path()))); };
  EXPECT_THAT(message_of<FormatError>(open), HasSubstr("'language_model.model.embed_tokens.weight'"));
  save_safetensors(folder.path("model.safetensors"), {{"model.embed_tokens.weight", one}, {"language_model.embed_tokens.weight", one}});
  EXPECT_THAT(message_of<FormatError>(open), HasSubstr("got the embeddings of two"));
}

/// A wrapper, and its text part as a model alone.
struct Both {
  test::FamilyModel wrapper{"mistral3", "wrappers"};
  test::TempFolder alone;

  Both() {
    const SafetensorsFile file = SafetensorsFile::open(wrapper.folder() + "/model.safetensors");
    std::map<std::string, Tensor> tensors;
    for (const std::string& name : file.names()) {
      const std::string own = replaced(name, {{"model.language_model.", "model."}});
      if (own != name || name.starts_with("lm_head.")) tensors[own] = file.tensor(name);
    }
    save_safetensors(alone.path("model.safetensors"), tensors);
    const JsonDocument config = JsonDocument::parse(wrapper.expected().get("config").as_string(), "config.json");
    JsonWriter w;
    write_json(w, config.root().get("text_config"));
    alone.write("config.json", w.text());
  }
};

/// An adapter of random factors that PEFT could have saved for the model.
void save_adapter(const std::string& model, const std::string& folder) {
  const auto loaded = load_model(model);
  const auto layers = loaded->linears();
  LoRAConfig config;
  config.rank = 2;
  Adapter adapter = Adapter::create(layers, config, 1);
  std::vector<Tensor> factors;
  for (size_t k = 0; const Tensor& t : adapter.parameters()) {
    Tensor own = Tensor::empty(DType::f32, t.shape());
    for (float& v : own.mutable_data<float>()) v = static_cast<float>(++k % 13) * 0.01F;
    factors.push_back(own);
  }
  adapter.set_parameters(factors);
  adapter.save(folder);
}

std::vector<float> logits_with(const std::string& model_folder, const std::string& adapter_folder) {
  const auto model = load_model(model_folder);
  const Adapter adapter = Adapter::load(adapter_folder, model->linears());
  const AdapterContext adapted(adapter);
  ForwardContext context;
  context.ids = LazyTensor::from_tensor(Tensor::from_vector(std::vector<int32_t>{20, 31, 42, 17}, {1, 4}));
  context.adapter = &adapted;
  return model->forward(context).eval().to_vector<float>();
}

TEST(WrapperAdapters, BindByTheEndsOfNamesInBothDirections) {
  const Both both;
  for (const bool of_wrapper : {true, false}) {
    test::Notices notices;
    test::TempFolder adapter;
    const std::string trained = of_wrapper ? both.wrapper.folder() : both.alone.path();
    const std::string used = of_wrapper ? both.alone.path() : both.wrapper.folder();
    save_adapter(trained, adapter.path());
    EXPECT_EQ(logits_with(used, adapter.path()), logits_with(trained, adapter.path()));
    EXPECT_THAT(notices.told(), testing::Contains(HasSubstr("14 of 14 layers bound by the ends of their names")));
  }
}

TEST(WrapperAdapters, SavedNamesChooseNoLayerOfThePartForImages) {
  const test::Notices notices;
  const Both both;
  test::TempFolder adapter;
  save_adapter(both.wrapper.folder(), adapter.path());
  const Adapter loaded = Adapter::load(adapter.path(), load_model(both.wrapper.folder())->linears());
  for (const std::string& name : loaded.config().target_modules) EXPECT_THAT(name, testing::StartsWith("model.language_model.layers."));
}

/// Renames and adds tensors of a saved adapter.
void edit_adapter(const test::TempFolder& folder, const std::string& from, const std::string& to, const std::string& also = "") {
  std::map<std::string, Tensor> tensors;
  const SafetensorsFile file = SafetensorsFile::open(folder.path("adapter_model.safetensors"));
  for (const std::string& name : file.names()) tensors[replaced(name, {{from, to}})] = file.tensor(name);
  if (!also.empty()) tensors[also] = Tensor::zeros(DType::f32, {2, 2});
  save_safetensors(folder.path("adapter_model.safetensors"), tensors);
}

TEST(WrapperAdapters, WhatDoesNotBindIsNamed) {
  test::Notices notices;
  const Both both;
  test::TempFolder adapter;
  save_adapter(both.wrapper.folder(), adapter.path());
  const auto alone = load_model(both.alone.path());
  const auto layers = alone->linears();
  edit_adapter(adapter, "base_model.model.model.language_model.layers.1.", "base_model.model.model.language_model.layers.2.");
  EXPECT_THAT(message_of<FormatError>([&] { Adapter::load(adapter.path(), layers); }),
              HasSubstr("'base_model.model.model.language_model.layers.1."));
  edit_adapter(adapter, "base_model.model.model.language_model.layers.2.", "base_model.model.model.text_model.layers.1.");
  EXPECT_THAT(message_of<FormatError>([&] { Adapter::load(adapter.path(), layers); }),
              HasSubstr("layers of one language model expected, whose names begin with 'model.', got 'model.language_model.layers' and "
                        "'model.text_model.layers'"));
}

TEST(WrapperAdapters, PartsForImagesAreToldAndNeverFused) {
  test::Notices notices;
  const Both both;
  test::TempFolder adapter;
  save_adapter(both.wrapper.folder(), adapter.path());
  edit_adapter(adapter, "-", "-", "base_model.model.model.vision_tower.encoder.layers.0.self_attn.q_proj.lora_A.weight");
  EXPECT_EQ(Adapter::load(adapter.path(), load_model(both.wrapper.folder())->linears()).left_out(), 1U);
  EXPECT_THAT(notices.told(), testing::Contains(HasSubstr("left out: 1 tensors for parts that read images or sound")));
  test::TempFolder out;
  EXPECT_THAT(message_of<FormatError>([&] { fuse_adapter(both.wrapper.folder(), adapter.path(), out.path("fused"), {}); }),
              HasSubstr("an adapter of the language model alone expected"));
}

TEST(WrapperAdapters, FusedWrappersKeepTheirNamesAndOtherParts) {
  const test::Notices notices;
  const Both both;
  test::TempFolder adapter, out;
  save_adapter(both.alone.path(), adapter.path());
  EXPECT_EQ(fuse_adapter(both.wrapper.folder(), adapter.path(), out.path("fused"), {}).layers, 14);
  const SafetensorsFile before = SafetensorsFile::open(both.wrapper.folder() + "/model.safetensors");
  const SafetensorsFile after = SafetensorsFile::open(out.path("fused") + "/model.safetensors");
  EXPECT_EQ(after.names(), before.names());
}

}  // namespace
}  // namespace lazuli
