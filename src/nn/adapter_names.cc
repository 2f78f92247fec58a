// Implements the binding of an adapter's names by their ends.
#include "nn/adapter_names.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <set>

#include "lazuli/error.h"

namespace lazuli {

namespace {

/// Calls `one` with each part of a path; false ends the walk and is the result.
template <class Call>
bool each_part(std::string_view path, const Call& one) {
  while (!path.empty()) {
    const size_t dot = std::min(path.find('.'), path.size());
    if (!one(path.substr(0, dot))) return false;
    path.remove_prefix(std::min(dot + 1, path.size()));
  }
  return true;
}

/// What stands before the list of numbered blocks: "model." of "model.layers.0.mlp.up_proj".
std::optional<std::string_view> head_of(std::string_view path) {
  size_t at = 0, list = 0;
  const bool none = each_part(path, [&](std::string_view part) {
    if (at > 0 && !part.empty() && std::all_of(part.begin(), part.end(), [](char c) { return c >= '0' && c <= '9'; })) return false;
    list = at;
    at += part.size() + 1;
    return true;
  });
  if (none) return std::nullopt;
  return path.substr(0, list);
}

bool is_text_head(std::string_view head) {
  return each_part(head, [](std::string_view part) { return part == "model" || part == "language_model" || part == "text_model"; });
}

}  // namespace

bool is_outside_text(std::string_view path) {
  static constexpr std::array<std::string_view, 12> others = {
      "vision_tower", "vision_model", "vision_encoder", "visual",      "multi_modal_projector", "mm_projector",
      "audio_tower",  "audio_model",  "embed_vision",   "embed_audio", "vision_embed_tokens",   "image_newline"};
  return !each_part(path, [](std::string_view part) { return std::find(others.begin(), others.end(), part) == others.end(); });
}

bool is_inside_wrapper(std::string_view path) { return path.starts_with("model.language_model."); }

NamesInFile names_in_file(std::span<const LinearInfo> layers, const std::vector<std::string>& paths, const std::string& file) {
  NamesInFile names{{layers.begin(), layers.end()}, {}, {}};
  std::optional<std::string_view> own;
  for (const LinearInfo& layer : layers) {
    if (!own) own = head_of(layer.path);
  }
  if (!own || !is_text_head(*own)) return names;
  names.own_head = names.head = std::string(*own);
  std::set<std::string_view> heads;
  for (const std::string& path : paths) {
    if (const auto head = head_of(path); head && is_text_head(*head)) heads.insert(*head);
  }
  if (heads.empty() || heads.contains(*own)) return names;
  if (heads.size() > 1) {
    throw FormatError(fmt::format("{}: layers of one language model expected, whose names begin with '{}', got '{}layers' and '{}layers'",
                                  file, names.own_head, *heads.begin(), *std::next(heads.begin())));
  }
  names.head = std::string(*heads.begin());
  for (LinearInfo& layer : names.layers) {
    if (layer.path.starts_with(names.own_head)) layer.path = names.head + layer.path.substr(names.own_head.size());
  }
  return names;
}

}  // namespace lazuli
