// Checks truncated and rounded vectors against sentence-transformers' encode and quantize_embeddings.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "base/file.h"
#include "base/json.h"
#include "lazuli/embed.h"
#include "lazuli/error.h"
#include "support/temp_folder.h"
#include "support/tiny_sentences.h"

namespace lazuli {
namespace {

using test::message_of;
using testing::HasSubstr;

class VectorPrecisions : public testing::Test {
 protected:
  JsonValue expected() const { return document_.root(); }
  Tensor vectors() const {
    return Tensor::from_vector<float>(numbers<float>(expected().get("vectors")),
                                      {expected().get("rows").as_int(), expected().get("size").as_int()});
  }
  template <class T>
  static std::vector<T> numbers(const JsonValue& list) {
    std::vector<T> out;
    for (const JsonValue& v : list.as_array()) out.push_back(static_cast<T>(v.as_double()));
    return out;
  }

 private:
  JsonDocument document_ = JsonDocument::parse(read_file(test::data_folder("vector_precisions.json"), 1 << 20), "vector_precisions.json");
};

TEST_F(VectorPrecisions, EveryPrecisionIsTheJudges) {
  const auto check = [&](const char* name, auto zero) {
    using T = decltype(zero);
    const QuantizedVectors out = quantize_vectors(vectors(), parse_vector_precision(name));
    EXPECT_EQ(out.values.to_vector<T>(), numbers<T>(expected().get(name))) << name;
    EXPECT_EQ(out.ranges.defined(), std::string_view(name).ends_with("int8")) << name;
  };
  check("int8", int8_t{});
  check("uint8", uint8_t{});
  check("binary", int8_t{});
  check("ubinary", uint8_t{});
  EXPECT_EQ(quantize_vectors(vectors(), VectorPrecision::f32).values.to_vector<float>(), vectors().to_vector<float>());
}

TEST_F(VectorPrecisions, VectorsAreTruncatedAfterTheModelsOwnNormalisation) {
  const test::TempFolder folder;
  test::make_tiny_sentences(folder.path("model"), "dense");
  Embedder embedder(EmbeddingModel::load(folder.path("model")));
  std::vector<std::string> texts;
  for (const JsonValue& text : expected().get("texts").as_array()) texts.emplace_back(text.as_string());
  const Tensor whole = embedder.run(texts).embeddings;
  const int64_t size = expected().get("dimensions").as_int();
  for (const bool normalize : {false, true}) {
    std::vector<float> wanted;
    for (const JsonValue& row : expected().get(normalize ? "normalized" : "truncated").as_array()) {
      for (const float v : numbers<float>(row)) wanted.push_back(v);
    }
    EXPECT_THAT(truncate_vectors(whole, size, normalize).to_vector<float>(), testing::Pointwise(testing::FloatNear(2e-6F), wanted));
  }
}

TEST_F(VectorPrecisions, WhatHasNoMeaningIsRefused) {
  EXPECT_THAT(message_of<ValueError>([] { parse_vector_precision("int4"); }), HasSubstr("int4"));
  EXPECT_THAT(message_of<ValueError>([&] { truncate_vectors(vectors(), 20); }), HasSubstr("1 to 19 dimensions"));
  const Tensor one = Tensor::from_vector<float>({1, 2}, {1, 2});
  EXPECT_THAT(message_of<ValueError>([&] { quantize_vectors(one, VectorPrecision::int8); }), HasSubstr("at least two vectors"));
  const Tensor bad = Tensor::from_vector<float>({1, 2, 3, std::numeric_limits<float>::infinity()}, {2, 2});
  EXPECT_THAT(message_of<ValueError>([&] { quantize_vectors(bad, VectorPrecision::uint8); }), HasSubstr("in vector 1"));
  EXPECT_THROW(quantize_vectors(Tensor::zeros(DType::f32, {3}), VectorPrecision::binary), ShapeError);
  EXPECT_THROW(quantize_vectors(Tensor::zeros(DType::i32, {3, 3}), VectorPrecision::binary), DTypeError);
}

}  // namespace
}  // namespace lazuli
