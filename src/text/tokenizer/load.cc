#include "text/tokenizer/load.h"

#include <algorithm>
#include <limits>
#include <set>
#include <utility>

#include "io/model_files.h"
#include "text/tokenizer/classes.h"
#include "text/tokenizer/convert.h"
#include "text/tokenizer/load_parts.h"
#include "text/tokenizer/settings.h"
#include "text/tokenizer/tables.h"
#include "text/tokenizer/token_adder.h"
#include "text/tokenizer/unicode.h"

namespace lazuli {
namespace {

namespace fs = std::filesystem;
using tokenizer::AddedToken;

std::size_t count_of(const std::optional<JsonValue>& node) {
  if (!node) return 0;
  if (node->is_array()) return node->as_array().size();
  return node->is_object() ? node->as_object().size() : 0;
}

// An added token is either the model's token of that id, or one that the model has neither the text nor the id of.
void check_added(const std::vector<AddedToken>& tokens, const tokenizer::Vocabulary& vocabulary, const JsonValue& root) {
  std::set<std::string_view> contents;
  std::set<std::int32_t> ids;
  for (const AddedToken& token : tokens) {
    // A token that comes again changes flags and keeps its id, whatever it says of it.
    if (!contents.insert(token.content).second) continue;
    if (!ids.insert(token.id).second) root.fail(fmt::format("id {} is that of two added tokens", token.id));
    const auto known_id = vocabulary.find(token.content);
    if (known_id && *known_id != token.id) {
      root.fail(fmt::format("added token \"{}\" has id {}, but {} in the vocabulary", token.content, token.id, *known_id));
    }
    const auto known_token = vocabulary.token(token.id);
    if (known_token && *known_token != token.content) {
      root.fail(fmt::format("id {} of added token \"{}\" is that of \"{}\" in the vocabulary", token.id, token.content, *known_token));
    }
  }
}

void add_eos(std::vector<std::int32_t>& ids, std::int32_t id) {
  if (std::find(ids.begin(), ids.end(), id) == ids.end()) ids.push_back(id);
}

// `eos_token_id` is one id or a list.
void read_eos_ids(const JsonValue& root, std::vector<std::int32_t>& ids) {
  const auto node = root.find_set("eos_token_id");
  if (!node) return;
  const auto add = [&](const JsonValue& item) {
    const std::int64_t id = item.as_int();
    // -1 and the like are what files say for no token.
    if (id < 0 || id > std::numeric_limits<std::int32_t>::max()) return;
    add_eos(ids, static_cast<std::int32_t>(id));
  };
  if (!node->is_array()) return add(*node);
  for (const JsonValue& item : node->as_array()) add(item);
}

/// The tokens of tokenizer.json, where it counts, and what the files beside it add, in transformers' order.
std::vector<AddedToken> add_tokens(const tokenizer::Settings& settings, std::vector<AddedToken> in_file, tokenizer::TokenAdder adder) {
  if (settings.kind == tokenizer::TokenizerClass::as_file) {
    for (AddedToken& token : in_file) adder.add(std::move(token));
  }
  std::set<std::string_view> names;
  for (const auto& [name, token] : settings.named) names.insert(token.content);
  std::vector<AddedToken> more;
  std::set<std::string_view> contents;
  for (const auto& [index, token] : settings.decoder) {
    more.push_back(token);
    contents.insert(token.content);
  }
  const auto add_new = [&](const AddedToken& token) {
    if (!adder.has(token.content) && contents.insert(token.content).second) more.push_back(token);
  };
  for (const auto& [name, token] : settings.named) add_new(token);
  for (const AddedToken& token : settings.extra) add_new(token);
  for (AddedToken& token : more) {
    // The same token once more changes nothing, so that its flags stay those of the file.
    if (!adder.has_same(token)) {
      token.special = token.special || names.contains(token.content);
      adder.add(std::move(token));
    }
  }
  if (settings.kind == tokenizer::TokenizerClass::qwen2) {
    const auto plain = [&](const AddedToken& token) {
      AddedToken special;
      special.content = token.content;
      special.special = true;
      adder.add(std::move(special));
    };
    for (const auto& [name, token] : settings.named) plain(token);
    for (const AddedToken& token : settings.extra) plain(token);
  }
  return adder.take();
}

/// tokenizer.json of a folder, or that file, or one of another name that lies alone.
fs::path file_of(const fs::path& path) {
  std::error_code error;
  const bool alone = path.extension() == ".json" && !fs::exists(path.parent_path() / "tokenizer.json", error);
  if (fs::is_regular_file(path, error) && (alone || path.filename() == "tokenizer.json")) return path;
  const fs::path folder = path.filename() == "tokenizer.json" && !fs::is_directory(path, error) ? path.parent_path() : path;
  return fs::path(folder) / "tokenizer.json";
}

/// One of the files that take tokenizer.json's place, where that is not there.
bool is_vocabulary_file(const fs::path& path) {
  std::error_code error;
  const std::string name = path.filename().string();
  return (name.ends_with(".model") || name == "vocab.txt" || name == "vocab.json") && fs::is_regular_file(path, error) &&
         !fs::exists(path.parent_path() / "tokenizer.json", error);
}

/// tokenizer.json, or what stands in its place.
tokenizer::Conversion read_source(ModelFolder& folder, const std::string& name) {
  if (!folder.has(name) && tokenizer::has_vocabulary_file(folder)) return tokenizer::convert_vocabulary(folder);
  // Nobody else asks for this file, and its text is far larger than what is made of it.
  JsonDocument json = JsonDocument::read(require_model_file(folder.path(), name));
  tokenizer::Settings settings = tokenizer::read_settings(folder, json.root());
  return {std::move(settings), std::move(json), std::nullopt};
}

}  // namespace

Tokenizer Tokenizer::load(const fs::path& path, const TokenizerOptions& options) {
  const fs::path file = is_vocabulary_file(path) ? path.parent_path() / "tokenizer.json" : file_of(path);
  ModelFolder folder(file.parent_path().string());
  return load_tokenizer(folder, options, file.filename().string());
}

bool has_tokenizer(const ModelFolder& folder) { return folder.has("tokenizer.json") || tokenizer::has_vocabulary_file(folder); }

Tokenizer load_tokenizer(ModelFolder& folder, const TokenizerOptions& options, const std::string& name) {
  const tokenizer::Conversion source = read_source(folder, name);
  const tokenizer::Settings& settings = source.settings;
  const std::vector<tokenizer::IdMerge>* merges = source.merges ? &*source.merges : nullptr;
  const JsonValue root = source.document.root();
  const JsonValue model = root.get("model");
  const auto added_node = root.find_set("added_tokens");
  const std::size_t count = count_of(model.find_set("vocab"));
  const std::size_t limit = tokenizer::id_limit(count + count_of(added_node));
  const bool as_file = settings.kind == tokenizer::TokenizerClass::as_file;

  tokenizer::PreTokenizer pre_tokenizer =
      as_file ? tokenizer::read_pre_tokenizer(root.find_set("pre_tokenizer")) : tokenizer::class_pre_tokenizer(settings);
  auto tables = std::make_shared<Tokenizer::Tables>(as_file ? tokenizer::read_model(model, pre_tokenizer, limit, merges)
                                                            : tokenizer::class_model(settings, model, pre_tokenizer, limit, merges));
  tables->pre_tokenizer = std::move(pre_tokenizer);
  tables->normalizer = as_file ? tokenizer::read_normalizer(root.find_set("normalizer")) : tokenizer::class_normalizer(settings, root);
  if (options.lower_case) tables->normalizer.lower_first();
  tables->decoder = as_file ? tokenizer::read_decoder(root.find_set("decoder")) : tokenizer::class_decoder(settings);
  tables->cut_left = settings.cut_left;
  tables->split_special = settings.split_special;

  std::vector<AddedToken> added = tokenizer::read_added_tokens(added_node, limit);
  const tokenizer::Vocabulary& vocabulary =
      std::visit([](const auto& kind) -> const tokenizer::Vocabulary& { return kind.vocabulary(); }, tables->model);
  check_added(added, vocabulary, root);
  added = add_tokens(settings, std::move(added), tokenizer::TokenAdder(vocabulary, count));
  tables->vocab_size = vocabulary.size();
  for (const AddedToken& token : added) tables->vocab_size = std::max(tables->vocab_size, token.id + 1);
  tables->added = tokenizer::AddedTokens(std::move(added), tables->normalizer);

  const auto id_of = [&](std::string_view token) { return tables->token_to_id(token).value_or(-1); };
  auto own = tokenizer::class_post_processor(settings, id_of, root);
  tables->post_processor = own ? *std::move(own) : tokenizer::read_post_processor(root.find_set("post_processor"), limit);
  const auto id_named = [&](std::string_view key) -> std::optional<std::int32_t> {
    const AddedToken* token = settings.find(key);
    return token == nullptr ? std::nullopt : tables->token_to_id(token->content);
  };
  tables->bos = id_named("bos_token");
  tables->pad = id_named("pad_token");
  if (const auto eos = id_named("eos_token")) tables->eos.push_back(*eos);
  for (const char* beside : {"generation_config.json", "config.json"}) {
    if (const auto config = folder.find(beside)) read_eos_ids(config->root(), tables->eos);
  }
  return Tokenizer(std::move(tables));
}

}  // namespace lazuli
