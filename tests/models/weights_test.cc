// Checks tensors of a model whose dtype is none that it can compute with: refused by their names where they are needed, told where not.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>

#include "base/file.h"
#include "lazuli/error.h"
#include "lazuli/model.h"
#include "lazuli/safetensors.h"
#include "support/notices.h"
#include "support/temp_folder.h"
#include "support/tiny_llama.h"

namespace lazuli {
namespace {

using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;

class DtypesOfWeights : public testing::Test {
 protected:
  /// The model whose tensor `name` is said to be of another dtype with as many bits.
  void write(const std::string& name, const std::string& dtype) const {
    auto weights = test::tiny_llama_weights();
    weights["vision.weight"] = Tensor::zeros(DType::f32, {2, 2});
    folder_.write("config.json", test::kTinyLlamaConfig);
    const std::string path = folder_.path("model.safetensors");
    save_safetensors(path, weights);
    std::string bytes = read_file(path, 1 << 24);
    const std::string before = "\"" + name + "\":{\"dtype\":\"F32\"", after = "\"" + name + "\":{\"dtype\":\"" + dtype + "\"";
    const size_t at = bytes.find(before);
    ASSERT_NE(at, std::string::npos) << name;
    bytes.replace(at, before.size(), after);
    folder_.write("model.safetensors", bytes);
  }
  test::TempFolder folder_;
};

TEST_F(DtypesOfWeights, OtherThanFloatsAreRefusedByName) {
  for (const char* dtype : {"U32", "I32"}) {
    for (const char* name : {"model.norm.weight", "model.embed_tokens.weight", "lm_head.weight", "model.layers.1.mlp.up_proj.weight",
                             "model.layers.0.self_attn.q_proj.bias"}) {
      write(name, dtype);
      for (const Quantization quantization : {Quantization::none, Quantization::int8}) {
        EXPECT_THAT(test::message_of<FormatError>([&] { load_model(folder_.path(), DType::bf16, quantization); }),
                    EndsWith("model.safetensors: tensor '" + std::string(name) + "': a float dtype expected, got " + dtype));
      }
    }
  }
}

TEST_F(DtypesOfWeights, OfTensorsThatNothingNeedsDoNotMatter) {
  for (const char* dtype : {"U32", "I32", "F32"}) {
    write("vision.weight", dtype);
    const test::Notices notices;
    EXPECT_NO_THROW(load_model(folder_.path(), DType::bf16));
    EXPECT_THAT(notices.told(), ElementsAre(HasSubstr("left out: 1 tensor that no part of the model needs ('vision.weight')")));
  }
}

TEST_F(DtypesOfWeights, AModelIsComputedInFloatsAlone) {
  write("vision.weight", "F32");
  EXPECT_THAT(test::message_of<ValueError>([&] { load_model(folder_.path(), DType::i32); }),
              HasSubstr("[load_model] a float dtype is expected, got i32"));
}

}  // namespace
}  // namespace lazuli
