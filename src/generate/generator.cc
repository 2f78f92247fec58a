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
  /// Prefill and decoding of as many tokens as `options` asks for, all of which the context holds.
  void generate(std::span<const int32_t> prompt, const GenerateOptions& options, TextStream& stream, GenerateResult& result);
};

void Generator::Impl::check(std::span<const int32_t> prompt, const GenerateOptions& options) const {
  const ModelInfo& info = model->info();
  const auto count = static_cast<int64_t>(prompt.size());
  if (count == 0) throw ValueError("[generate] a prompt of at least one token is expected");
  if (options.max_tokens < 1) throw ValueError(fmt::format("[generate] max_tokens of at least 1 is expected, got {}", options.max_tokens));
  if (info.context > 0 && count > info.context) {
    throw ValueError(fmt::format("[generate] a prompt of {} tokens exceeds the model's context of {} tokens", count, info.context));
  }
  for (int32_t id : prompt) {
    if (id < 0 || id >= info.vocab_size) {
      throw ValueError(fmt::format("[generate] token '{}' of the prompt has id {}, which is not below the vocabulary size {} of the model",
                                   tokenizer.id_to_token(id).value_or(""), id, info.vocab_size));
    }
  }
}

// What the model's files say comes before what the tokenizer's say.
bool Generator::Impl::ends(int32_t token) const {
  const auto& models = model->info().eos_token_ids;
  if (!models.empty()) return std::find(models.begin(), models.end(), int64_t{token}) != models.end();
  const auto& own = tokenizer.eos_ids();
  return std::find(own.begin(), own.end(), token) != own.end();
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

void Generator::Impl::generate(std::span<const int32_t> prompt, const GenerateOptions& options, TextStream& stream,
                               GenerateResult& result) {
  session.require_memory(result.prompt_tokens, result.prompt_tokens + options.max_tokens);
  session.reset(result.prompt_tokens + options.max_tokens, options.sampler, result.prompt_tokens);
  auto start = std::chrono::steady_clock::now();
  session.feed(prompt);
  const int32_t first = session.next_token();
  result.prompt_tps = rate(result.prompt_tokens, seconds_since(start));
  start = std::chrono::steady_clock::now();
  result.finish = decode(options, first, stream, result);
  session.drop_unread();
  const double seconds = seconds_since(start);
  stream.end();
  if (stream.stopped()) result.finish = FinishReason::stop;
  result.generation_tokens = static_cast<int64_t>(result.tokens.size());
  result.generation_tps = rate(result.generation_tokens - 1, seconds);
}

GenerateResult Generator::run(std::span<const int32_t> prompt, const GenerateOptions& options, const TextCallback& on_text) {
  options.sampler.check();
  impl_->check(prompt, options);
  GenerateResult result;
  result.prompt_tokens = static_cast<int64_t>(prompt.size());
  const int64_t context = impl_->model->info().context;
  const int64_t room = context > 0 ? context - result.prompt_tokens : options.max_tokens;
  GenerateOptions fitting = options;
  fitting.max_tokens = std::min(options.max_tokens, room);
  TextStream stream(impl_->tokenizer, options.stop, on_text, result.text);
  if (room > 0) impl_->generate(prompt, fitting, stream, result);
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
  }
  return "";
}

}  // namespace lazuli
