// Defines TextStream, the text of a generation on its way from tokens to the caller.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "generate/stop_texts.h"
#include "lazuli/generate.h"
#include "lazuli/tokenizer.h"

namespace lazuli {

/// Decodes tokens as they come, holds back what may become a stop text, and passes the rest to the caller and to a text. The tokenizer, the
/// callback and the text must outlive it.
class TextStream {
 public:
  /// Throws ValueError for an empty stop text.
  TextStream(const Tokenizer& tokenizer, const std::vector<std::string>& stop, const TextCallback& on_text, std::string& text)
      : decoder_(tokenizer), stops_(stop), on_text_(on_text), text_(text) {}
  /// Why the generation ends here, if it does.
  std::optional<FinishReason> feed(int32_t token);
  /// Passes on what was held back, when no more tokens come.
  void end();
  /// A stop text was met.
  bool stopped() const { return stops_.found(); }

 private:
  Tokenizer::StreamDecoder decoder_;
  StopTexts stops_;
  const TextCallback& on_text_;
  std::string& text_;
};

}  // namespace lazuli
