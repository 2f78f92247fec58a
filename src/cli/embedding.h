// Declares what the commands that embed texts share.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cli/command.h"
#include "io/data_report.h"
#include "lazuli/embed.h"

namespace lazuli::cli {

/// The model of a folder, with an adapter where its path is not empty.
Embedder load_embedder(const std::string& model, const std::string& adapter_path, Quantization quantization, const Common& common);
/// The tokens of each text. Says what was read, how many tokens it has and how many texts are too long for the model; `data` gets that too.
std::vector<EmbeddingTokens> tokenize_texts(const EmbeddingModel& model, std::span<const std::string> texts, const EmbedOptions& options,
                                            const Common& common, DataReport& data);
/// The same, and then embeds with a progress bar. While the caller holds an InterruptGuard, Ctrl-C cancels between batches, which the
/// result says.
EmbedResult embed_texts(Embedder& embedder, std::span<const std::string> texts, EmbedOptions options, const Common& common,
                        DataReport& data);

}  // namespace lazuli::cli
