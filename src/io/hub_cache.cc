// Implements the search in the hub's cache: models--OWNER--NAME/refs/REVISION has the name of the folder in snapshots/.
#include "io/hub_cache.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <set>

#include "base/file.h"

namespace lazuli {

namespace fs = std::filesystem;

namespace {

struct HubName {
  std::string name;
  std::string revision = "main";
};

bool is_part(std::string_view part) {
  const auto is_right = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_' || c == '.'; };
  return !part.empty() && part.front() != '.' && std::all_of(part.begin(), part.end(), is_right);
}

/// Revisions may be branches with slashes, and none leads out of the folder.
bool is_revision(std::string_view revision) {
  while (true) {
    const size_t slash = revision.find('/');
    if (!is_part(revision.substr(0, slash))) return false;
    if (slash == std::string_view::npos) return true;
    revision.remove_prefix(slash + 1);
  }
}

std::optional<HubName> parse(std::string_view model) {
  HubName hub;
  if (const size_t at = model.find('@'); at != std::string_view::npos) {
    hub.revision = model.substr(at + 1);
    model = model.substr(0, at);
    if (!is_revision(hub.revision)) return std::nullopt;
  }
  const size_t slash = model.find('/');
  const bool whole = slash == std::string_view::npos ? is_part(model) : is_part(model.substr(0, slash)) && is_part(model.substr(slash + 1));
  if (!whole) return std::nullopt;
  hub.name = model;
  return hub;
}

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

/// With the home folder in place of a leading `~`.
fs::path expanded(const std::string& path) {
  if (path == "~" || path.starts_with("~/")) return fs::path(variable("HOME")) / fs::path(path.substr(std::min<size_t>(2, path.size())));
  return path;
}

fs::path folder_in_cache(const HubName& hub) {
  std::string name = hub.name;
  if (const size_t slash = name.find('/'); slash != std::string::npos) name.replace(slash, 1, "--");
  return fs::path(hub_cache()) / ("models--" + name);
}

bool is_cached_folder(const fs::path& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}

std::optional<fs::path> snapshot(const HubName& hub) {
  const fs::path folder = folder_in_cache(hub), ref = folder / "refs" / hub.revision;
  std::error_code ignored;
  std::string commit = fs::is_regular_file(ref, ignored) ? read_start(ref.string(), 64) : hub.revision;
  while (!commit.empty() && std::isspace(static_cast<unsigned char>(commit.back())) != 0) commit.pop_back();
  if (!is_part(commit) || !is_cached_folder(folder / "snapshots" / commit)) return std::nullopt;
  return folder / "snapshots" / commit;
}

std::set<std::string> names_below(const fs::path& folder) {
  std::set<std::string> names;
  std::error_code error;
  fs::directory_iterator it(folder, error);
  for (const fs::directory_iterator end; !error && it != end; it.increment(error)) names.insert(it->path().filename().string());
  return names;
}

}  // namespace

bool is_hub_name(std::string_view model) { return parse(model).has_value(); }

std::string hub_cache() {
  for (const char* name : {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"}) {
    if (const std::string cache = variable(name); !cache.empty()) return expanded(cache).string();
  }
  if (const std::string home = variable("HF_HOME"); !home.empty()) return (expanded(home) / "hub").string();
  const std::string cache = variable("XDG_CACHE_HOME");
  return (expanded(cache.empty() ? "~/.cache" : cache) / "huggingface" / "hub").string();
}

std::string find_model_folder(const std::string& model) {
  std::error_code ignored;
  if (model.empty() || fs::exists(fs::symlink_status(model, ignored))) return model;
  const auto hub = parse(model);
  if (!hub) return model;
  const auto found = snapshot(*hub);
  return found ? found->string() : model;
}

std::string why_not_cached(const std::string& model) {
  const auto hub = parse(model);
  if (!hub) return "";
  const fs::path folder = folder_in_cache(*hub);
  if (!is_cached_folder(folder)) return fmt::format("no {} in the hub's cache {}", folder.filename().string(), hub_cache());
  std::set<std::string> known = names_below(folder / "refs");
  if (known.empty()) known = names_below(folder / "snapshots");
  return fmt::format("no revision '{}' in {} of the hub's cache, {}", hub->revision, folder.string(),
                     known.empty() ? "whose download was not finished" : fmt::format("which has {}", fmt::join(known, ", ")));
}

}  // namespace lazuli
