// Implements TextStream.
#include "generate/text_stream.h"

namespace lazuli {

std::optional<FinishReason> TextStream::feed(int32_t token) {
  const std::string piece = stops_.feed(decoder_.feed(token));
  text_ += piece;
  const bool go_on = !on_text_ || on_text_(piece);
  if (stops_.found()) return FinishReason::stop;
  if (!go_on) return FinishReason::cancelled;
  return std::nullopt;
}

void TextStream::end() {
  // One after the other: the rest of a character comes after the held text, and may be part of a stop text.
  std::string piece = stops_.feed(decoder_.flush());
  piece += stops_.flush();
  text_ += piece;
  if (on_text_ && !piece.empty()) on_text_(piece);
}

}  // namespace lazuli
