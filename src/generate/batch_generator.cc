// Implements BatchGenerator.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/memory_usage.h"
#include "generate/chunks.h"
#include "generate/slot_session.h"
#include "generate/speed.h"
#include "generate/text_rules.h"
#include "generate/text_stream.h"
#include "lazuli/error.h"
#include "lazuli/generate.h"
#include "tensor/buffer_pool.h"

namespace lazuli {

namespace {

using Clock = std::chrono::steady_clock;

std::string name_of(const BatchPrompt& prompt, size_t index) { return prompt.name.empty() ? fmt::format("prompt {}", index) : prompt.name; }

/// A prompt whose text goes on in a slot.
struct RunningText {
  RunningText(const Tokenizer& tokenizer, const BatchPrompt& prompt_, size_t index_, int64_t most_, GenerateResult& result_,
              TextCallback on_text_)
      : prompt(prompt_),
        index(index_),
        most(most_),
        result(result_),
        on_text(std::move(on_text_)),
        stream(tokenizer, prompt_.options.stop, on_text, result_.text),
        start(Clock::now()) {}
  const BatchPrompt& prompt;
  size_t index;
  int64_t most;  ///< tokens that it may get
  GenerateResult& result;
  TextCallback on_text;
  TextStream stream;
  size_t read = 0;  ///< tokens of the prompt
  Clock::time_point start, first;
};

/// One call of run: which texts are in which slots.
class BatchRun {
 public:
  BatchRun(const TextModel& model, SlotSession& session, std::span<const BatchPrompt> prompts, const BatchCallback& on_end,
           const BatchTextCallback& on_text)
      : model_(model), session_(session), prompts_(prompts), on_end_(on_end), on_text_(on_text), results_(prompts.size()) {
    texts_.resize(static_cast<size_t>(session.slots()));
  }

  std::vector<GenerateResult> run() {
    while (!cancelled_ && (next_ < prompts_.size() || busy())) {
      fill_slots();
      read_prompts();
      if (session_.changed()) take_runs(0);
      if (session_.can_step()) session_.step();
      // One run stays on its way where runs go on behind the host's back, unless slots are about to change.
      take_runs(session_.runs_ahead() && !waiting() ? 1 : 0);
    }
    finish_rest();
    return std::move(results_);
  }

 private:
  bool busy() const {
    return std::any_of(texts_.begin(), texts_.end(), [](const auto& text) { return text != nullptr; });
  }
  /// Whether a prompt is to be read, or there is room for one.
  bool waiting() const {
    return std::any_of(texts_.begin(), texts_.end(), [this](const auto& text) {
      return text == nullptr ? next_ < prompts_.size() : text->read < text->prompt.tokens.size();
    });
  }

  void fill_slots() {
    while (next_ < prompts_.size()) {
      const BatchPrompt& prompt = prompts_[next_];
      GenerateResult& result = results_[next_];
      result.prompt_tokens = static_cast<int64_t>(prompt.tokens.size());
      const int64_t most = tokens_that_fit(model_.info(), prompt.tokens, prompt.options);
      if (most < 1) {
        result.finish = FinishReason::context;
        tell(next_++);
        continue;
      }
      const auto slot = session_.add(prompt.options.sampler, result.prompt_tokens, prompt.adapter);
      if (!slot) return;
      texts_[static_cast<size_t>(*slot)] =
          std::make_unique<RunningText>(model_.tokenizer(), prompt, next_, most, result, text_callback(next_));
      ++next_;
    }
  }

  TextCallback text_callback(size_t index) const {
    if (!on_text_) return {};
    return [this, index](std::string_view piece) { return on_text_(index, piece); };
  }

  /// A part of each prompt that was not read whole.
  void read_prompts() {
    for (size_t slot = 0; slot < texts_.size(); ++slot) {
      RunningText* text = texts_[slot].get();
      if (text == nullptr || text->read == text->prompt.tokens.size()) continue;
      take_runs(0);
      const std::span<const int32_t> rest = std::span(text->prompt.tokens).subspan(text->read);
      const std::span<const int32_t> part = rest.first(std::min(rest.size(), static_cast<size_t>(kLongestChunk)));
      session_.prefill(static_cast<int64_t>(slot), part, part.size() == rest.size());
      text->read += part.size();
    }
  }

  /// Reads the tokens of all runs but the last `left`.
  void take_runs(size_t left) {
    while (session_.unread() > left) take(session_.read());
  }

  void take(const std::vector<SlotSession::Chosen>& tokens) {
    for (const auto& [slot, token] : tokens) {
      const auto reason = take(*texts_[static_cast<size_t>(slot)], token);
      if (reason) end(slot, *reason);
    }
  }

  std::optional<FinishReason> take(RunningText& text, int32_t token) {
    if (token < 0) return FinishReason::nan;  // of this text alone
    if (text.result.tokens.empty()) {
      text.first = Clock::now();
      text.result.prompt_tps = rate(text.result.prompt_tokens, seconds_since(text.start));
    }
    const GenerateOptions& options = text.prompt.options;
    if (options.stop_at_eos && model_.ends_text(token)) return FinishReason::eos;
    text.result.tokens.push_back(token);
    if (const auto reason = text.stream.feed(token)) return *reason;
    if (static_cast<int64_t>(text.result.tokens.size()) < text.most) return std::nullopt;
    return text.most < options.max_tokens ? FinishReason::context : FinishReason::length;
  }

  void end(int64_t slot, FinishReason reason) {
    const std::unique_ptr<RunningText> text = std::move(texts_[static_cast<size_t>(slot)]);
    session_.remove(slot);
    GenerateResult& result = text->result;
    text->stream.end();
    result.finish = text->stream.stopped() ? FinishReason::stop : reason;
    result.generation_tokens = static_cast<int64_t>(result.tokens.size());
    result.generation_tps = rate(result.generation_tokens - 1, seconds_since(text->first));
    result.peak_memory_bytes = peak_memory_bytes();
    result.pool_peak_bytes = BufferPool::host().stats().peak_bytes;
    tell(text->index);
  }

  void tell(size_t index) {
    if (on_end_ && !cancelled_ && !on_end_(index, results_[index])) cancelled_ = true;
  }

  /// What a cancelled run leaves.
  void finish_rest() {
    for (size_t slot = 0; slot < texts_.size(); ++slot) {
      if (texts_[slot] != nullptr) end(static_cast<int64_t>(slot), FinishReason::cancelled);
    }
    for (; next_ < prompts_.size(); ++next_) results_[next_].finish = FinishReason::cancelled;
  }

  const TextModel& model_;
  SlotSession& session_;
  std::span<const BatchPrompt> prompts_;
  const BatchCallback& on_end_;
  const BatchTextCallback& on_text_;
  std::vector<GenerateResult> results_;
  std::vector<std::unique_ptr<RunningText>> texts_;  ///< by slot
  size_t next_ = 0;                                  ///< prompt that waits for a slot
  bool cancelled_ = false;
};

}  // namespace

struct BatchGenerator::Impl {
  TextModel model;
  std::vector<Adapter> adapters;
  int64_t slots;
  MemoryNeed need = {};
};

BatchGenerator::BatchGenerator(TextModel model, std::vector<Adapter> adapters, int64_t slots) {
  if (slots < 1) throw ValueError(fmt::format("[generate] at least one slot is expected, got {}", slots));
  impl_ = std::make_unique<Impl>(Impl{std::move(model), std::move(adapters), slots});
}
BatchGenerator::~BatchGenerator() = default;
BatchGenerator::BatchGenerator(BatchGenerator&&) noexcept = default;

MemoryNeed BatchGenerator::planned_memory() const { return impl_->need; }

std::vector<GenerateResult> BatchGenerator::run(std::span<const BatchPrompt> prompts, const BatchCallback& on_end,
                                                const BatchTextCallback& on_text) {
  const ModelInfo& info = impl_->model.info();
  int64_t positions = 1, longest = 1;
  for (size_t k = 0; k < prompts.size(); ++k) {
    const BatchPrompt& prompt = prompts[k];
    check_prompt(impl_->model, prompt.tokens, prompt.options, name_of(prompt, k));
    if (prompt.adapter < -1 || prompt.adapter >= static_cast<int64_t>(impl_->adapters.size())) {
      throw ValueError(
          fmt::format("[generate] {}: adapter {} is not one of {}", name_of(prompt, k), prompt.adapter, impl_->adapters.size()));
    }
    const auto length = static_cast<int64_t>(prompt.tokens.size());
    longest = std::max(longest, length);
    positions = std::max(positions, length + std::max<int64_t>(tokens_that_fit(info, prompt.tokens, prompt.options), 0));
  }
  if (prompts.empty()) return {};
  const auto slots = std::min(impl_->slots, static_cast<int64_t>(prompts.size()));
  SlotSession session(impl_->model.model(), {impl_->adapters}, slots);
  session.reserve(positions, longest);
  impl_->need = session.need();
  return BatchRun(impl_->model, session, prompts, on_end, on_text).run();
}

}  // namespace lazuli
