// Search by meaning: embeds the lines of a file with an encoder and prints those closest to a query, by the cosine between their vectors.
// Usage: embedding_search MODEL FILE QUERY...    MODEL is a folder of sentence-transformers, such as all-MiniLM-L6-v2.
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "lazuli/embed.h"
#include "lazuli/error.h"

using namespace lazuli;

namespace {

/// Vectors of texts that are searched many times: they are made once.
class Index {
 public:
  Index(Embedder embedder, std::vector<std::string> texts) : embedder_(std::move(embedder)), texts_(std::move(texts)) {
    vectors_ = embedder_.run(texts_).embeddings;
  }

  /// The best `count` texts with their cosines, the closest first.
  std::vector<std::pair<double, std::string>> nearest(const std::string& query, size_t count) {
    const Tensor wanted = embedder_.run(std::span(&query, 1)).embeddings;  // (1, dimensions)
    const auto q = wanted.data<float>(), all = vectors_.data<float>();
    std::vector<std::pair<double, std::string>> hits;
    for (size_t k = 0; k < texts_.size(); ++k) hits.emplace_back(cosine_similarity(q, all.subspan(k * q.size(), q.size())), texts_[k]);
    count = std::min(count, hits.size());
    std::partial_sort(hits.begin(), hits.begin() + static_cast<std::ptrdiff_t>(count), hits.end(), std::greater<>());
    hits.resize(count);
    return hits;
  }

 private:
  Embedder embedder_;
  std::vector<std::string> texts_;
  Tensor vectors_;  ///< (texts, dimensions)
};

}  // namespace

int main(int argc, char** argv) try {
  if (argc < 4) {
    std::fprintf(stderr, "usage: embedding_search MODEL FILE QUERY...\n");
    return 2;
  }
  std::vector<std::string> lines;
  std::ifstream file(argv[2]);
  for (std::string line; std::getline(file, line);) lines.push_back(line);

  Index index(Embedder(EmbeddingModel::load(argv[1])), lines);
  for (int k = 3; k < argc; ++k) {
    std::printf("%s\n", argv[k]);
    for (const auto& [cosine, text] : index.nearest(argv[k], 3)) std::printf("  %.4f  %s\n", cosine, text.c_str());
  }
} catch (const Error& error) {
  std::fprintf(stderr, "embedding_search: %s\n", error.what());
  return 1;
}
