// Implements the RerankModel of a decoder that is asked whether a text fits a query (Zhang et al. 2025, Qwen3-Reranker).
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "embed/rerank_model.h"
#include "embed/transformer_settings.h"
#include "lazuli/error.h"
#include "lazuli/ops.h"
#include "models/registry.h"
#include "text/tokenizer/load.h"

namespace lazuli {

namespace {

// The texts of Qwen3-Reranker's card, by which the model was trained.
constexpr std::string_view kBefore =
    "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and the Instruct provided. Note that the "
    "answer can only be \"yes\" or \"no\".<|im_end|>\n<|im_start|>user\n";
constexpr std::string_view kAfter = "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n";
constexpr std::string_view kInstruction = "Given a web search query, retrieve relevant passages that answer the query";

class Judge : public PairModel {
 public:
  Judge(CrossEncoderSettings settings, Tokenizer own, int64_t max_length, std::shared_ptr<const LanguageModel> model, bool chats)
      : PairModel(std::move(settings), std::move(own), max_length), model_(std::move(model)), chats_(chats) {
    if (!chats_) return;
    before_ = tokenizer().encode(kBefore, true, false);
    after_ = tokenizer().encode(kAfter, true, false);
    if (static_cast<size_t>(max_length) <= before_.size() + after_.size()) {
      throw FormatError(fmt::format("{}: a maximum length above the {} tokens of the question itself expected, got {}", info().path,
                                    before_.size() + after_.size(), max_length));
    }
  }

  const ModelInfo& info() const override { return model_->info(); }
  std::span<const LinearInfo> linears() const override { return model_->linears(); }
  int64_t labels() const override { return 1; }

  PairTokens tokenize(std::string_view query, std::string_view text, const std::string& prompt, int64_t most) const override {
    PairTokens out;
    if (chats_) {
      const std::string question =
          fmt::format("<Instruct>: {}\n<Query>: {}\n<Document>: {}", prompt.empty() ? kInstruction : std::string_view(prompt), query, text);
      if (static_cast<size_t>(at_most(most)) <= words_of_question()) {
        throw ValueError(
            fmt::format("[rerank] a length above the {} tokens of the question itself is expected, got {}", words_of_question(), most));
      }
      EncodeOptions options;
      options.max_length = static_cast<size_t>(at_most(most)) - words_of_question();
      const std::vector<int32_t> ids = tokenizer().encode(question, options).ids;
      if (ids.size() >= options.max_length) out.cut = static_cast<int64_t>(tokenizer().encode(question).size() - ids.size());
      out.ids = before_;
      out.ids.insert(out.ids.end(), ids.begin(), ids.end());
      out.ids.insert(out.ids.end(), after_.begin(), after_.end());
    } else {
      out = join(prompt + std::string(query), text, at_most(most));
    }
    out.types.assign(out.ids.size(), 0);
    return out;
  }

  LazyTensor logits(const PairInputs& inputs) const override {
    ForwardContext context;
    context.ids = inputs.ids;
    context.adapter = inputs.adapter;
    const LazyTensor states = reshape(model_->hidden(context), {-1, info().hidden_size});
    const LazyTensor all = model_->logits(gather(states, inputs.last));
    const auto of = [&all](int64_t id) { return cast(slice(all, 1, id, id + 1), DType::f32); };
    const LazyTensor yes = of(settings().true_id);
    return settings().false_id ? sub(yes, of(*settings().false_id)) : yes;
  }

  PairTokens tokenize_text(std::string_view, int64_t) const override {
    throw ValueError(fmt::format("{}: an encoder with a head is expected for texts alone; this model judges pairs", info().path));
  }

 private:
  size_t words_of_question() const { return before_.size() + after_.size(); }

  std::shared_ptr<const LanguageModel> model_;
  bool chats_;  ///< whether a pair is put into the words of the question; else its texts follow each other
  std::vector<int32_t> before_, after_;
};

bool has_chat_template(ModelFolder& folder) {
  if (folder.has("chat_template.jinja") || folder.has("chat_template.json")) return true;
  const auto config = folder.find("tokenizer_config.json");
  return config && config->root().find_set("chat_template");
}

int32_t answer_id(const Tokenizer& tokenizer, const ModelFolder& folder, std::string_view answer) {
  if (const auto id = tokenizer.token_to_id(answer)) return *id;
  throw FormatError(fmt::format("{}: a tokenizer with the token '{}' expected, whose logit is a part of the score", folder.path(), answer));
}

void check_id(int32_t id, const LanguageModel& model) {
  if (id < model.info().vocab_size) return;
  throw FormatError(
      fmt::format("{}: an answer's token below the vocabulary size {} expected, got {}", model.info().path, model.info().vocab_size, id));
}

}  // namespace

std::shared_ptr<const RerankModel> load_judge(ModelFolder& folder, CrossEncoderSettings settings, DType dtype, Quantization quantization,
                                              const NewHead& /*head*/) {
  std::shared_ptr<const LanguageModel> model = load_language_model(folder, dtype, quantization).model;
  const bool chats = has_chat_template(folder);
  if (chats && model->info().architecture != "qwen3") {
    throw FormatError(fmt::format("{}: a qwen3 model expected, whose question of yes or no is known, got {} with a chat template",
                                  folder.path(), model->info().architecture));
  }
  const int64_t context = model->info().context > 0 ? model->info().context : int64_t{1} << 30;
  const TransformerSettings own = TransformerSettings::read(folder, context, TransformerTask::generation);
  Tokenizer tokenizer = load_tokenizer(folder, {.lower_case = own.lower_case});
  if (settings.true_id < 0) {
    settings.true_id = answer_id(tokenizer, folder, "yes");
    settings.false_id = answer_id(tokenizer, folder, "no");
  }
  check_id(settings.true_id, *model);
  if (settings.false_id) check_id(*settings.false_id, *model);
  return std::make_shared<Judge>(std::move(settings), std::move(tokenizer), own.max_seq_length, std::move(model), chats);
}

}  // namespace lazuli
