// Implements Generator.
#include <algorithm>
#include <chrono>
#include <utility>

#include "base/memory_usage.h"
#include "generate/slot_session.h"
#include "generate/speed.h"
#include "generate/text_rules.h"
#include "generate/text_stream.h"
#include "lazuli/error.h"
#include "lazuli/generate.h"
#include "tensor/buffer_pool.h"

namespace lazuli {

struct Generator::Impl {
  TextModel model;
  SlotSession session;

  /// The oldest token that was not read. Throws ValueError where its logits have NaN.
  int32_t next_token();
  FinishReason decode(const GenerateOptions& options, int32_t token, TextStream& stream, GenerateResult& result);
  /// Prefill and decoding of as many tokens as `options` asks for, all of which the context holds.
  void generate(std::span<const int32_t> prompt, const GenerateOptions& options, TextStream& stream, GenerateResult& result);
};

int32_t Generator::Impl::next_token() {
  const int32_t token = session.read().at(0).token;
  if (token < 0) throw ValueError("[generate] the logits have NaN");
  return token;
}

/// Where runs go on behind the host's back, a token is fed before it is read, so that the device always has the next run; what was fed too
/// much at the end is dropped. Never more than max_tokens are chosen.
FinishReason Generator::Impl::decode(const GenerateOptions& options, int32_t token, TextStream& stream, GenerateResult& result) {
  const bool ahead = session.runs_ahead();
  const auto step_ahead = [&](size_t unread) {
    const auto chosen = static_cast<int64_t>(result.tokens.size() + session.unread());
    if (ahead && session.unread() < unread && chosen < options.max_tokens) session.step();
  };
  while (true) {
    if (options.stop_at_eos && model.ends_text(token)) return FinishReason::eos;
    result.tokens.push_back(token);
    step_ahead(1);
    if (const auto reason = stream.feed(token)) return *reason;
    if (static_cast<int64_t>(result.tokens.size()) == options.max_tokens) return FinishReason::length;
    if (session.unread() == 0) session.step();
    step_ahead(2);
    token = next_token();
  }
}

Generator::Generator(TextModel model, std::optional<Adapter> adapter) {
  SlotSession session(model.model(), SlotAdapters::shared(std::move(adapter)), 1);
  impl_ = std::make_unique<Impl>(Impl{std::move(model), std::move(session)});
}
Generator::~Generator() = default;
Generator::Generator(Generator&&) noexcept = default;

size_t Generator::traces() const { return impl_->session.traces(); }

GenerateResult Generator::run(std::string_view prompt, const GenerateOptions& options, const TextCallback& on_text) {
  return run(impl_->model.tokenizer().encode(prompt), options, on_text);
}

void Generator::Impl::generate(std::span<const int32_t> prompt, const GenerateOptions& options, TextStream& stream,
                               GenerateResult& result) {
  session.reserve(result.prompt_tokens + options.max_tokens, result.prompt_tokens);
  const int64_t slot = session.add(options.sampler, result.prompt_tokens).value();
  auto start = std::chrono::steady_clock::now();
  session.prefill(slot, prompt, true);
  const int32_t first = next_token();
  result.prompt_tps = rate(result.prompt_tokens, seconds_since(start));
  start = std::chrono::steady_clock::now();
  result.finish = decode(options, first, stream, result);
  session.remove(slot);
  const double seconds = seconds_since(start);
  stream.end();
  if (stream.stopped()) result.finish = FinishReason::stop;
  result.generation_tokens = static_cast<int64_t>(result.tokens.size());
  result.generation_tps = rate(result.generation_tokens - 1, seconds);
}

GenerateResult Generator::run(std::span<const int32_t> prompt, const GenerateOptions& options, const TextCallback& on_text) {
  check_prompt(impl_->model, prompt, options, "the prompt");
  GenerateResult result;
  result.prompt_tokens = static_cast<int64_t>(prompt.size());
  GenerateOptions fitting = options;
  fitting.max_tokens = tokens_that_fit(impl_->model.info(), prompt, options);
  TextStream stream(impl_->model.tokenizer(), options.stop, on_text, result.text);
  if (fitting.max_tokens > 0) impl_->generate(prompt, fitting, stream, result);
  if (result.finish == FinishReason::length && fitting.max_tokens < options.max_tokens) result.finish = FinishReason::context;
  result.peak_memory_bytes = peak_memory_bytes();
  result.pool_peak_bytes = BufferPool::host().stats().peak_bytes;
  return result;
}

const char* name_of(FinishReason reason) {
  switch (reason) {
    case FinishReason::length:
      return "length";
    case FinishReason::eos:
      return "eos";
    case FinishReason::stop:
      return "stop";
    case FinishReason::cancelled:
      return "cancelled";
    case FinishReason::context:
      return "context";
    case FinishReason::nan:
      return "nan";
  }
  return "";
}

}  // namespace lazuli
