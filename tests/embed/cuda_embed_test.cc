// Checks that vectors of texts are the same on a CUDA device.
#include <gtest/gtest.h>

#include "lazuli/embed.h"
#include "support/cuda_device.h"
#include "support/temp_folder.h"
#include "support/tiny_sentences.h"

namespace lazuli {
namespace {

TEST(CudaEmbed, VectorsAreThoseOfTheCpu) {
  LAZULI_NEEDS_CUDA();
  const test::TempFolder folder;
  test::make_tiny_sentences(folder.path("model"), "");
  const std::vector<std::string> texts = {"a cat sits on the mat", "two dogs", "", "the weather is fine today, is it not?"};
  const auto vectors = [&] { return Embedder(EmbeddingModel::load(folder.path("model"))).run(texts, {}).embeddings.to_vector<float>(); };
  const std::vector<float> expected = vectors();
  const test::OnCuda device;
  const std::vector<float> got = vectors();
  ASSERT_EQ(got.size(), expected.size());
  for (size_t k = 0; k < got.size(); ++k) EXPECT_NEAR(got[k], expected[k], 2e-5f) << k;
}

}  // namespace
}  // namespace lazuli
