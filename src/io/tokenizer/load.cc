#include <algorithm>
#include <limits>
#include <set>
#include <utility>

#include "io/tokenizer/load_parts.h"
#include "io/tokenizer/tables.h"
#include "io/tokenizer/unicode.h"

namespace lazuli {
namespace {

namespace fs = std::filesystem;
using tokenizer::AddedToken;
using tokenizer::JsonNode;

// A parsed file; nodes of it live as long.
class JsonFile {
 public:
  explicit JsonFile(const fs::path& path) : path_(path) {
    simdjson::padded_string text;
    if (simdjson::padded_string::load(path.string()).get(text) != simdjson::SUCCESS) {
      throw IoError(fmt::format("[tokenizer] {}: cannot be read", path.string()));
    }
    const auto error = parser_.parse(text).get(root_);
    if (error != simdjson::SUCCESS) {
      throw FormatError(fmt::format("[tokenizer] {}: not valid JSON: {}", path.string(), simdjson::error_message(error)));
    }
  }

  JsonNode root() const { return JsonNode(root_, path_.string() + ":"); }

 private:
  fs::path path_;
  simdjson::dom::parser parser_;
  simdjson::dom::element root_;
};

std::size_t count_of(const std::optional<JsonNode>& node) {
  if (!node) return 0;
  std::size_t count = 0;
  simdjson::dom::array array;
  simdjson::dom::object object;
  if (node->element().get(array) == simdjson::SUCCESS) {
    for ([[maybe_unused]] const auto item : array) ++count;
  } else if (node->element().get(object) == simdjson::SUCCESS) {
    for ([[maybe_unused]] const auto field : object) ++count;
  }
  return count;
}

// An added token is either the model's token of that id, or one that the model has neither the text nor the id of.
void check_added(const std::vector<AddedToken>& tokens, const tokenizer::Vocabulary& vocabulary, const JsonNode& root) {
  std::set<std::string_view> contents;
  std::set<std::int32_t> ids;
  for (const AddedToken& token : tokens) {
    if (!contents.insert(token.content).second) root.fail(fmt::format("added token \"{}\" occurs twice", token.content));
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

std::optional<JsonFile> open_beside(const fs::path& file, const char* name) {
  const fs::path path = file.parent_path() / name;
  std::error_code error;
  if (!fs::is_regular_file(path, error)) return std::nullopt;
  return std::optional<JsonFile>(std::in_place, path);
}

// The text of a token setting, which is a string or an object with its content.
std::optional<std::string> token_setting(const JsonNode& root, std::string_view key) {
  const auto node = root.find(key);
  if (!node) return std::nullopt;
  if (node->element().is_object()) return std::string(node->at("content").string());
  return std::string(node->string());
}

void add_eos(std::vector<std::int32_t>& ids, std::int32_t id) {
  if (std::find(ids.begin(), ids.end(), id) == ids.end()) ids.push_back(id);
}

// `eos_token_id` is one id or a list.
void read_eos_ids(const JsonNode& root, std::vector<std::int32_t>& ids) {
  const auto node = root.find("eos_token_id");
  if (!node) return;
  const auto add = [&](const JsonNode& item) {
    const std::int64_t id = item.integer();
    // -1 and the like are what files say for no token.
    if (id < 0 || id > std::numeric_limits<std::int32_t>::max()) return;
    add_eos(ids, static_cast<std::int32_t>(id));
  };
  node->element().is_array() ? node->each_item(add) : add(*node);
}

}  // namespace

Tokenizer Tokenizer::load(const fs::path& path) {
  std::error_code error;
  const fs::path file = fs::is_directory(path, error) ? path / "tokenizer.json" : path;
  const JsonFile json(file);
  const JsonNode root = json.root();
  const JsonNode model = root.at("model");
  const auto added_node = root.find("added_tokens");
  const std::size_t limit = tokenizer::id_limit(count_of(model.find("vocab")) + count_of(added_node));

  tokenizer::PreTokenizer pre_tokenizer = tokenizer::read_pre_tokenizer(root.find("pre_tokenizer"));
  auto tables = std::make_shared<Tables>(tokenizer::read_model(model, pre_tokenizer, limit));
  tables->pre_tokenizer = std::move(pre_tokenizer);
  tables->normalizer = tokenizer::read_normalizer(root.find("normalizer"));
  tables->post_processor = tokenizer::read_post_processor(root.find("post_processor"), limit);
  tables->decoder = tokenizer::read_decoder(root.find("decoder"));

  std::vector<AddedToken> added = tokenizer::read_added_tokens(added_node, limit);
  const tokenizer::Vocabulary& vocabulary =
      std::visit([](const auto& kind) -> const tokenizer::Vocabulary& { return kind.vocabulary(); }, tables->model);
  check_added(added, vocabulary, root);
  tables->vocab_size = vocabulary.size();
  for (const AddedToken& token : added) tables->vocab_size = std::max(tables->vocab_size, token.id + 1);
  tables->added = tokenizer::AddedTokens(std::move(added), tables->normalizer);

  if (const auto config = open_beside(file, "tokenizer_config.json")) {
    const auto id_of = [&](std::string_view key) -> std::optional<std::int32_t> {
      const auto token = token_setting(config->root(), key);
      return token ? tables->token_to_id(*token) : std::nullopt;
    };
    tables->bos = id_of("bos_token");
    tables->pad = id_of("pad_token");
    if (const auto eos = id_of("eos_token")) tables->eos.push_back(*eos);
  }
  for (const char* name : {"generation_config.json", "config.json"}) {
    if (const auto config = open_beside(file, name)) read_eos_ids(config->root(), tables->eos);
  }
  return Tokenizer(std::move(tables));
}

}  // namespace lazuli
