// Implements StopTexts.
#include "generate/stop_texts.h"

#include <algorithm>
#include <utility>

#include "lazuli/error.h"

namespace lazuli {

StopTexts::StopTexts(std::vector<std::string> stops) : stops_(std::move(stops)) {
  for (const std::string& stop : stops_) {
    if (stop.empty()) throw ValueError("[generate] a stop text of at least one character is expected");
  }
}

/// How much of the held text no stop text can begin in.
size_t StopTexts::sure_length() const {
  size_t sure = held_.size();
  for (const std::string& stop : stops_) {
    const size_t longest = std::min(held_.size(), stop.size() - 1);
    for (size_t tail = longest; tail > 0; --tail) {
      if (held_.compare(held_.size() - tail, tail, stop, 0, tail) != 0) continue;
      sure = std::min(sure, held_.size() - tail);
      break;
    }
  }
  return sure;
}

std::string StopTexts::feed(std::string_view piece) {
  if (found_) return {};
  held_ += piece;
  size_t first = std::string::npos;
  for (const std::string& stop : stops_) first = std::min(first, held_.find(stop));
  found_ = first != std::string::npos;
  const size_t length = found_ ? first : sure_length();
  std::string out = held_.substr(0, length);
  held_.erase(0, length);
  return out;
}

std::string StopTexts::flush() { return found_ ? std::string() : std::exchange(held_, {}); }

}  // namespace lazuli
