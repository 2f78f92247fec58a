// Implements TextPart.
#include "io/text_part.h"

#include <fmt/format.h>

#include <array>
#include <utility>

#include "lazuli/error.h"

namespace lazuli {

namespace {

constexpr std::string_view kModelNames = "model.";
constexpr std::string_view kHeadNames = "lm_head.";
constexpr std::array<std::string_view, 4> kPrefixes = {"model.language_model.", "language_model.model.", "language_model.", "model."};

std::string find_prefix(const WeightSource& whole) {
  std::string found;
  for (const std::string_view prefix : kPrefixes) {
    if (!whole.contains(fmt::format("{}embed_tokens.weight", prefix))) continue;
    if (!found.empty()) {
      throw FormatError(
          fmt::format("{}: one language model expected, got the embeddings of two, '{}embed_tokens.weight' and '{}embed_tokens.weight'",
                      whole.place(), found, prefix));
    }
    found = prefix;
  }
  if (!found.empty()) return found;
  throw FormatError(fmt::format("{}: the embeddings of a language model expected under one of the names '{}embed_tokens.weight'",
                                whole.place(), fmt::join(kPrefixes, "embed_tokens.weight', '")));
}

/// The parts of a wrapper that names tell of: `vision_tower` of `model.vision_tower.encoder.layers.0.norm1.weight`.
std::string part_of(std::string_view name) {
  if (name.starts_with(kModelNames)) name.remove_prefix(kModelNames.size());
  return std::string(name.substr(0, name.find('.')));
}

}  // namespace

TextPart::TextPart(std::shared_ptr<const WeightSource> whole) : whole_(std::move(whole)), prefix_(find_prefix(*whole_)), head_(kHeadNames) {
  for (std::string& name : whole_->names()) {
    std::string_view rest = name;
    if (rest.starts_with("language_model.lm_head.")) {
      rest.remove_prefix(std::string_view("language_model.lm_head.").size());
      head_ = "language_model.lm_head.";
      stored_.emplace(fmt::format("{}{}", kHeadNames, rest), std::move(name));
    } else if (rest.starts_with(kHeadNames)) {
      std::string own = name;
      stored_.emplace(std::move(own), std::move(name));
    } else if (rest.starts_with(prefix_)) {
      rest.remove_prefix(prefix_.size());
      // Where the language model has no level of its own, the other parts may stand beside its layers.
      if (prefix_ == kModelNames && !rest.starts_with("layers.") && !rest.starts_with("embed_tokens.") && !rest.starts_with("norm.")) {
        ++others_[part_of(name)];
      } else {
        stored_.emplace(fmt::format("{}{}", kModelNames, rest), std::move(name));
      }
    } else {
      ++others_[part_of(name)];
    }
  }
}

std::vector<std::string> TextPart::names() const {
  std::vector<std::string> names;
  for (const auto& [name, stored] : stored_) names.push_back(name);
  return names;
}

std::string TextPart::stored_name(std::string_view name) const {
  if (const auto found = stored_.find(name); found != stored_.end()) return found->second;
  if (name.starts_with(kModelNames)) return prefix_ + std::string(name.substr(kModelNames.size()));
  if (name.starts_with(kHeadNames)) return head_ + std::string(name.substr(kHeadNames.size()));
  return std::string(name);
}

std::string TextPart::others_text() const {
  std::string parts;
  size_t count = 0;
  for (const auto& [part, tensors] : others_) {
    parts += fmt::format("{}'{}' ({})", parts.empty() ? "" : ", ", part, tensors);
    count += tensors;
  }
  return count == 0 ? "" : fmt::format("{} tensor{} of {}", count, count == 1 ? "" : "s", parts);
}

}  // namespace lazuli
