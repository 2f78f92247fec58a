#include "io/tokenizer/decoder.h"

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

void DecoderOutput::token(std::string_view token) {
  if (next_ == run_.steps_->size()) {
    text_.append(token);
    return;
  }
  DecoderMemory& memory = run_.memories_[next_];
  DecoderOutput after(run_, next_ + 1, text_);
  std::visit(
      [&](const auto& step) {
        if constexpr (TakesParts<std::decay_t<decltype(step)>>) {
          step.part(token, memory, after);
          step.end(memory, after);
        } else {
          step.token(token, memory, after);
        }
      },
      (*run_.steps_)[next_]);
}

void DecoderOutput::part(std::string_view part) {
  if (next_ == run_.steps_->size()) {
    text_.append(part);
    return;
  }
  DecoderMemory& memory = run_.memories_[next_];
  DecoderOutput after(run_, next_ + 1, text_);
  std::visit(
      [&](const auto& step) {
        if constexpr (TakesParts<std::decay_t<decltype(step)>>) {
          step.part(part, memory, after);
        } else {
          memory.token.append(part);
        }
      },
      (*run_.steps_)[next_]);
}

void DecoderOutput::end() {
  if (next_ == run_.steps_->size()) return;
  DecoderMemory& memory = run_.memories_[next_];
  DecoderOutput after(run_, next_ + 1, text_);
  std::visit(
      [&](const auto& step) {
        if constexpr (TakesParts<std::decay_t<decltype(step)>>) {
          step.end(memory, after);
        } else {
          step.token(memory.token, memory, after);
          memory.token.clear();
        }
      },
      (*run_.steps_)[next_]);
}

void DecoderOutput::finish() {
  if (next_ == run_.steps_->size()) return;
  DecoderMemory& memory = run_.memories_[next_];
  DecoderOutput after(run_, next_ + 1, text_);
  std::visit(
      [&](const auto& step) {
        if constexpr (Finishes<std::decay_t<decltype(step)>>) step.finish(memory, after);
      },
      (*run_.steps_)[next_]);
  memory = DecoderMemory();
  after.finish();
}

void DecoderRun::token(std::string_view token, std::string& text) { DecoderOutput(*this, 0, text).token(token); }

void DecoderRun::finish(std::string& text) { DecoderOutput(*this, 0, text).finish(); }

}  // namespace lazuli::tokenizer
