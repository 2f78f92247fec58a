// Defines the reading of an index that says which of several files has each tensor of a model.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "lazuli/error.h"

namespace lazuli {

/// Shards lie in the folder of their index. The links inside the folder are the user's own (model caches consist of them)
/// and may lead anywhere; the text of the index may not.
inline bool is_inside_folder(std::string_view name) {
  if (name.empty() || name.find('\0') != std::string_view::npos) return false;
  const std::filesystem::path path(name);
  return path.is_relative() && std::find(path.begin(), path.end(), "..") == path.end();
}

/// Opens the files that the `weight_map` of `index` names, each once, and enters the file of every tensor. Throws IoError for a file that
/// is not there, FormatError for one outside the folder and for tensors that are not where the index says.
template <class File>
void open_shards(const std::string& folder, const std::string& index, std::vector<File>& files,
                 std::map<std::string, size_t, std::less<>>& file_with) {
  const JsonDocument document = JsonDocument::read(index);
  std::map<std::string, size_t, std::less<>> opened;
  for (const JsonMember& entry : document.root().get("weight_map").as_object()) {
    const std::string_view shard = entry.value.as_string();
    if (!is_inside_folder(shard)) entry.value.fail(fmt::format("a file inside the folder expected, got '{}'", shard));
    auto place = opened.find(shard);
    if (place == opened.end()) {
      const std::string path = (std::filesystem::path(folder) / shard).string();
      std::error_code ignored;
      if (!std::filesystem::exists(path, ignored)) {
        throw IoError(fmt::format("{}: {}: the file {} is listed and not there", index, entry.value.place(), shard));
      }
      files.push_back(File::open(path));
      place = opened.emplace(shard, files.size() - 1).first;
    }
    if (!files[place->second].contains(entry.key)) {
      entry.value.fail(fmt::format("tensor '{}' expected in {}, which has none of that name", entry.key, shard));
    }
    if (!file_with.emplace(entry.key, place->second).second) entry.value.fail(fmt::format("tensor '{}' occurs twice", entry.key));
  }
  // What the index does not list is in the model, too.
  for (size_t file = 0; file < files.size(); ++file) {
    for (std::string& name : files[file].names()) file_with.emplace(std::move(name), file);
  }
}

}  // namespace lazuli
