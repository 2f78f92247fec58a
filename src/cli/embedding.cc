#include "cli/embedding.h"

#include <fmt/format.h>

#include "base/interrupt.h"
#include "base/progress.h"
#include "cli/data_line.h"

namespace lazuli::cli {

Embedder load_embedder(const std::string& model, const std::string& adapter_path, Quantization quantization, const Common& common) {
  const auto loaded = EmbeddingModel::load(model, common.dtype, quantization);
  return Embedder(loaded, load_adapter(adapter_path, loaded->encoder().linears()));
}

std::vector<EmbeddingTokens> tokenize_texts(const EmbeddingModel& model, std::span<const std::string> texts, const EmbedOptions& options,
                                            const Common& common, DataReport& data) {
  const std::string& prompt = options.prompt ? *options.prompt : model.prompt(options.prompt_name);
  std::vector<EmbeddingTokens> tokens;
  tokens.reserve(texts.size());
  int64_t cut = 0;
  for (const std::string& text : texts) {
    tokens.push_back(model.tokenize(text, prompt));
    data.tokens += static_cast<int64_t>(tokens.back().ids.size());
    cut += tokens.back().cut > 0 ? 1 : 0;
  }
  if (cut > 0) data.leave_out(fmt::format("ends of texts of over {} tokens", model.max_seq_length()), "", cut);
  say_data(common, data);
  return tokens;
}

EmbedResult embed_texts(Embedder& embedder, std::span<const std::string> texts, EmbedOptions options, const Common& common,
                        DataReport& data) {
  const std::vector<EmbeddingTokens> tokens = tokenize_texts(embedder.model(), texts, options, common, data);
  Progress progress(0, static_cast<int64_t>(texts.size()), common.quiet);
  options.on_progress = [&progress](int64_t done, int64_t) {
    progress.update(done, "texts");
    return !interrupted();
  };
  EmbedResult result = embedder.run(tokens, options);
  progress.clear();
  return result;
}

}  // namespace lazuli::cli
