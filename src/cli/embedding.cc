#include "cli/embedding.h"

#include "base/interrupt.h"
#include "base/progress.h"

namespace lazuli::cli {

Embedder load_embedder(const std::string& model, const std::string& adapter_path, Quantization quantization, const Common& common) {
  const auto loaded = EmbeddingModel::load(model, common.dtype, quantization);
  return Embedder(loaded, load_adapter(adapter_path, loaded->encoder().linears()));
}

EmbedResult embed_texts(Embedder& embedder, std::span<const std::string> texts, EmbedOptions options, const Common& common) {
  Progress progress(0, static_cast<int64_t>(texts.size()), common.quiet);
  options.on_progress = [&progress](int64_t done, int64_t) {
    progress.update(done, "texts");
    return !interrupted();
  };
  EmbedResult result = embedder.run(texts, options);
  progress.clear();
  return result;
}

}  // namespace lazuli::cli
