#include "text/tokenizer/post_processor.h"

#include <algorithm>

namespace lazuli::tokenizer {

std::size_t PostProcessor::added(bool pair) const {
  const Template& items = pair ? pair_ : single_;
  return static_cast<std::size_t>(std::count_if(items.begin(), items.end(), [](TemplateItem item) { return item.id >= 0; }));
}

TokenizedText PostProcessor::apply(std::vector<std::int32_t> first, const std::vector<std::int32_t>* second,
                                   bool add_special_tokens) const {
  const Template& items = second != nullptr ? pair_ : single_;
  TokenizedText out;
  const std::size_t count = first.size() + (second != nullptr ? second->size() : 0) + items.size();
  out.ids.reserve(count);
  out.type_ids.reserve(count);
  for (const TemplateItem item : items) {
    if (item.id == TemplateItem::kFirst) {
      out.ids.insert(out.ids.end(), first.begin(), first.end());
    } else if (item.id == TemplateItem::kSecond) {
      if (second != nullptr) out.ids.insert(out.ids.end(), second->begin(), second->end());
    } else if (add_special_tokens) {
      out.ids.push_back(item.id);
    }
    out.type_ids.resize(out.ids.size(), item.type);
  }
  return out;
}

}  // namespace lazuli::tokenizer
