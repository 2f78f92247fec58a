// Defines what config.json of a wrapper says of its text part: a wrapper is a model of images or sound and text around a language model.
#pragma once

#include <memory>
#include <string_view>

#include "base/json.h"

namespace lazuli {

/// How one kind of wrapper describes its text part, as its class in transformers reads the file.
struct WrapperRules {
  std::string_view text_type;  ///< `model_type` of the text part where the file does not say
  bool only_type = false;      ///< it is that whatever the file says
  bool ties = false;           ///< the value of a missing `tie_word_embeddings` of the wrapper, which is the one that counts
  bool text_ties = false;      ///< a true one in `text_config` counts too
  bool flat = false;           ///< without `text_config` its keys are those of the wrapper
};

/// What a config.json of the text part alone would be. Ids that end a text, the dtype of the weights and the tying of tables stand in
/// either object; where both have them the wrapper's count. Throws FormatError.
std::shared_ptr<const JsonDocument> text_config(const JsonDocument& wrapper, const WrapperRules& rules);

}  // namespace lazuli
