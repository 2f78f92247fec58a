#include "text/tokenizer/decoder.h"

namespace lazuli::tokenizer {
namespace {

template <typename Step>
concept TakesParts = requires(const Step& step, DecoderMemory& memory, DecoderOutput& out) {
  step.part(std::string_view(), memory, out);
};

template <typename Step>
concept Finishes = requires(const Step& step, DecoderMemory& memory, DecoderOutput& out) {
  step.finish(memory, out);
};

}  // namespace

/// Calls `f` with the next step, its memory and where it puts its tokens; false when the text is what comes next.
template <typename F>
bool DecoderOutput::with_step(const F& f) {
  if (next_ == run_.steps_->size()) return false;
  DecoderMemory& memory = run_.memories_[next_];
  DecoderOutput after(run_, next_ + 1, text_);
  std::visit([&](const auto& step) { f(step, memory, after); }, (*run_.steps_)[next_]);
  return true;
}

void DecoderOutput::token(std::string_view token) {
  const bool taken = with_step([&](const auto& step, DecoderMemory& memory, DecoderOutput& after) {
    if constexpr (TakesParts<std::decay_t<decltype(step)>>) {
      step.part(token, memory, after);
      step.end(memory, after);
    } else {
      step.token(token, memory, after);
    }
  });
  if (!taken) text_.append(token);
}

void DecoderOutput::part(std::string_view part) {
  const bool taken = with_step([&](const auto& step, DecoderMemory& memory, DecoderOutput& after) {
    if constexpr (TakesParts<std::decay_t<decltype(step)>>) {
      step.part(part, memory, after);
    } else {
      memory.token.append(part);
    }
  });
  if (!taken) text_.append(part);
}

void DecoderOutput::end() {
  with_step([](const auto& step, DecoderMemory& memory, DecoderOutput& after) {
    if constexpr (TakesParts<std::decay_t<decltype(step)>>) {
      step.end(memory, after);
    } else {
      step.token(memory.token, memory, after);
      memory.token.clear();
    }
  });
}

void DecoderOutput::finish() {
  with_step([](const auto& step, DecoderMemory& memory, DecoderOutput& after) {
    if constexpr (Finishes<std::decay_t<decltype(step)>>) step.finish(memory, after);
    memory = DecoderMemory();
    after.finish();
  });
}

void DecoderRun::token(std::string_view token, std::string& text) { DecoderOutput(*this, 0, text).token(token); }

void DecoderRun::finish(std::string& text) { DecoderOutput(*this, 0, text).finish(); }

}  // namespace lazuli::tokenizer
