// Implements Generator.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/memory_usage.h"
#include "generate/decode_session.h"
#include "generate/text_stream.h"
#include "lazuli/error.h"
#include "lazuli/generate.h"
#include "tensor/buffer_pool.h"

namespace lazuli {

namespace {

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double rate(int64_t count, double seconds) { return count > 0 && seconds > 0 ? static_cast<double>(count) / seconds : 0; }

}  // namespace

struct Generator::Impl {
  std::shared_ptr<const LanguageModel> model;
  Tokenizer tokenizer;
  DecodeSession session;

  void check(std::span<const int32_t> prompt, const GenerateOptions& options) const;
  bool ends(int32_t token) const;
  FinishReason decode(const GenerateOptions& options, int32_t token, TextStream& stream, GenerateResult& result);
};

void Generator::Impl::check(std::span<const int32_t> prompt, const GenerateOptions& options) const {
  const ModelInfo& info = model->info();
  const auto count = static_cast<int64_t>(prompt.size());
  if (count == 0) throw ValueError("[generate] a prompt of at least one token is expected");
  if (options.max_tokens < 1) throw ValueError(fmt::format("[generate] max_tokens of at least 1 is expected, got {}", options.max_tokens));
  if (options.max_tokens > info.context - count) {
    throw ValueError(fmt::format("[generate] {} prompt tokens and {} new ones exceed the model's context of {} tokens", count,
                                 options.max_tokens, info.context));
  }
  for (int32_t id : prompt) {
    if (id < 0 || id >= info.vocab_size) {
      throw ValueError(fmt::format("[generate] token {} of the prompt is not below the vocabulary size {}", id, info.vocab_size));
    }
  }
}

bool Generator::Impl::ends(int32_t token) const {
  const auto& own = tokenizer.eos_ids();
  const auto& models = model->info().eos_token_ids;
  return std::find(own.begin(), own.end(), token) != own.end() || std::find(models.begin(), models.end(), int64_t{token}) != models.end();
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
    if (options.stop_at_eos && ends(token)) return FinishReason::eos;
    result.tokens.push_back(token);
    step_ahead(1);
    if (const auto reason = stream.feed(token)) return *reason;
    if (static_cast<int64_t>(result.tokens.size()) == options.max_tokens) return FinishReason::length;
    if (session.unread() == 0) session.step();
    step_ahead(2);
    token = session.next_token();
  }
}

Generator::Generator(std::shared_ptr<const LanguageModel> model, Tokenizer tokenizer, std::optional<Adapter> adapter) {
  DecodeSession session(model, std::move(adapter));
  impl_ = std::make_unique<Impl>(Impl{std::move(model), std::move(tokenizer), std::move(session)});
}
Generator::~Generator() = default;
Generator::Generator(Generator&&) noexcept = default;

size_t Generator::traces() const { return impl_->session.traces(); }

GenerateResult Generator::run(std::string_view prompt, const GenerateOptions& options, const TextCallback& on_text) {
  return run(impl_->tokenizer.encode(prompt), options, on_text);
}

GenerateResult Generator::run(std::span<const int32_t> prompt, const GenerateOptions& options, const TextCallback& on_text) {
  options.sampler.check();
  impl_->check(prompt, options);
  GenerateResult result;
  TextStream stream(impl_->tokenizer, options.stop, on_text, result.text);
  result.prompt_tokens = static_cast<int64_t>(prompt.size());
  impl_->session.require_memory(result.prompt_tokens, result.prompt_tokens + options.max_tokens);
  impl_->session.reset(result.prompt_tokens + options.max_tokens, options.sampler, result.prompt_tokens);
  auto start = std::chrono::steady_clock::now();
  impl_->session.feed(prompt);
  const int32_t first = impl_->session.next_token();
  result.prompt_tps = rate(result.prompt_tokens, seconds_since(start));
  start = std::chrono::steady_clock::now();
  result.finish = impl_->decode(options, first, stream, result);
  impl_->session.drop_unread();
  const double seconds = seconds_since(start);
  stream.end();
  if (stream.stopped()) result.finish = FinishReason::stop;
  result.generation_tokens = static_cast<int64_t>(result.tokens.size());
  result.generation_tps = rate(result.generation_tokens - 1, seconds);
  result.peak_memory_bytes = peak_memory_bytes();
  result.pool_peak_bytes = BufferPool::host().stats().peak_bytes;
  return result;
}

}  // namespace lazuli
