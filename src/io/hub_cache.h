// Declares the search for models in the cache of the Hugging Face hub, where other programs have downloaded them.
#pragma once

#include <string>
#include <string_view>

namespace lazuli {

/// The folder of a model's files: `model` itself if it exists, or else what the cache has of `owner/name` or `owner/name@revision`, the
/// revision `main` without one. Where neither is there, `model` again. Nothing is ever downloaded.
std::string find_model_folder(const std::string& model);

/// `owner/name` or one word, with a revision or without: what the hub calls a model.
bool is_hub_name(std::string_view model);

/// The folder of the cache: HF_HUB_CACHE, or HF_HOME/hub, or where these are without them.
std::string hub_cache();

/// Why the cache does not have a model of that name, for messages.
std::string why_not_cached(const std::string& model);

}  // namespace lazuli
