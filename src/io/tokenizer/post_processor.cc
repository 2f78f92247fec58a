#include "io/tokenizer/post_processor.h"

namespace lazuli::tokenizer {

std::vector<std::int32_t> PostProcessor::apply(std::vector<std::int32_t> ids) const {
  for (const Template& items : templates_) {
    std::vector<std::int32_t> filled;
    filled.reserve(ids.size() + items.size());
    for (const std::int32_t item : items) {
      if (item == kText) {
        filled.insert(filled.end(), ids.begin(), ids.end());
      } else {
        filled.push_back(item);
      }
    }
    ids = std::move(filled);
  }
  return ids;
}

}  // namespace lazuli::tokenizer
