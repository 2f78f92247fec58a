// Implements the reading of the files beside tokenizer.json.
#include "text/tokenizer/settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <unordered_map>
#include <unordered_set>

#include "lazuli/error.h"

namespace lazuli::tokenizer {
namespace {

// Lists of tokens, which may be long.
constexpr std::size_t kListBytes = JsonDocument::kDefaultBytes;

bool is_own_name(std::string_view key) { return std::find(std::begin(kTokenNames), std::end(kTokenNames), key) == std::end(kTokenNames); }

/// The tokens of the files while they are put together.
class TokenReader {
 public:
  explicit TokenReader(Settings& s) : s_(s) {}

  void read(const JsonDocument* config, ModelFolder& folder, const JsonValue& root) {
    if (config) read_config(config->root());
    if (config && config->root().find("added_tokens_decoder")) {
      for (const JsonMember& m : config->root().get("added_tokens_decoder").as_object()) {
        s_.decoder.insert_or_assign(index_of(m), read_token(m.value, false));
      }
    } else {
      if (const auto map = folder.find("special_tokens_map.json", kListBytes)) read_map(map->root());
      if (const auto added = folder.find("added_tokens.json", kListBytes)) read_added(added->root());
      if (const auto tokens = root.find_set("added_tokens")) {
        for (const JsonValue& item : tokens->as_array()) {
          s_.decoder.insert_or_assign(item.get("id").as_int(), read_token(item, false));
        }
      }
    }
  }

  /// Names as they count in the end.
  void finish(const JsonValue& root, const VocabularyTokens* tokens) {
    s_.listed = s_.extra;
    if (tokens != nullptr) take(*tokens);
    if (older_set_ && !extra_set_) s_.extra = std::move(older_);
    set_defaults(root);
    for (std::size_t i = 0; i < std::size(kTokenNames); ++i) {
      if (!tokens_[i]) continue;
      for (const auto& [index, token] : s_.decoder) {
        if (token.content == tokens_[i]->content && given_[i]) tokens_[i] = token;
      }
      name(kTokenNames[i], *tokens_[i]);
    }
    for (auto& [key, token] : plain_names_) name(key, std::move(token));
    for (auto& [key, token] : own_names_) name(key, std::move(token));
  }

 private:
  /// What the vocabulary names takes the place of the older list, and of names that no file gives.
  void take(const VocabularyTokens& tokens) {
    if (tokens.listed) {
      older_ = *tokens.listed;
      older_set_ = true;
    }
    const auto offer = [&](std::size_t place, const std::optional<std::string>& content) {
      if (!content || given_[place]) return;
      tokens_[place].emplace();
      tokens_[place]->content = *content;
      tokens_[place]->special = true;
      given_[place] = true;
    };
    offer(0, tokens.bos);
    offer(1, tokens.eos);
    offer(2, tokens.unknown);
  }

  /// The last token of a name counts, in the first one's place.
  void name(std::string_view key, AddedToken token) {
    const auto [place, added] = places_.emplace(key, s_.named.size());
    if (added) {
      s_.named.emplace_back(key, std::move(token));
    } else {
      s_.named[place->second].second = std::move(token);
    }
  }

  static std::int64_t index_of(const JsonMember& m) {
    std::int64_t index = 0;
    for (const char c : m.key) {
      if (c < '0' || c > '9' || index > (std::int64_t{1} << 31)) m.value.fail(fmt::format("a number as key expected, got '{}'", m.key));
      index = index * 10 + (c - '0');
    }
    return index;
  }

  AddedToken named_token(const JsonValue& value) const {
    AddedToken token = read_token(value, true);
    // MPNet's class has flags of its own for names without any.
    if (s_.kind == TokenizerClass::mpnet && value.is_string()) token.normalized = true;
    return token;
  }

  void set(std::string_view key, const JsonValue& value) {
    const auto place = static_cast<std::size_t>(std::find(std::begin(kTokenNames), std::end(kTokenNames), key) - std::begin(kTokenNames));
    given_[place] = true;
    tokens_[place] = value.is_null() ? std::nullopt : std::optional(named_token(value));
    if (tokens_[place] && s_.kind == TokenizerClass::mpnet && key == "mask_token" && value.is_string()) tokens_[place]->lstrip = true;
  }

  void add_names(const JsonValue& object) {
    for (const JsonMember& m : object.as_object()) own_names_.emplace_back(m.key, read_token(m.value, true));
  }
  void add_list(const JsonValue& list) {
    for (const JsonValue& item : list.as_array()) {
      AddedToken token = read_token(item, true);
      if (extra_contents_.insert(token.content).second) s_.extra.push_back(std::move(token));
    }
  }
  /// A list takes the place of the one before; an object gives names, and then there is no list.
  void set_extra(const JsonValue& extra) {
    s_.extra.clear();
    extra_contents_.clear();
    extra_set_ = !extra.is_object();
    if (extra.is_object()) return add_names(extra);
    if (!extra.is_null()) add_list(extra);
  }
  /// The older name, which counts where there is no list in the end. An object gives names here too.
  void set_older(const JsonValue& older) {
    older_.clear();
    older_set_ = true;
    if (older.is_object()) return add_names(older);
    if (older.is_null()) return;
    for (const JsonValue& item : older.as_array()) older_.push_back(read_token(item, true));
  }
  static bool is_empty(const JsonValue& v) {
    return v.is_null() || (v.is_array() && v.as_array().size() == 0) || (v.is_object() && v.as_object().size() == 0);
  }

  void read_config(const JsonValue& config) {
    for (const JsonMember& m : config.as_object()) {
      if (!is_own_name(m.key)) {
        set(m.key, m.value);
      } else if (m.key.ends_with("_token") && (m.value.is_string() || (m.value.is_object() && m.value.find("__type")))) {
        (m.value.is_string() ? own_names_ : plain_names_).emplace_back(m.key, read_token(m.value, true));
      }
    }
    const auto extra = config.find("extra_special_tokens"), older = config.find("additional_special_tokens");
    const bool takes_place = older && (!extra || is_empty(*extra));
    if (older && !takes_place) set_older(*older);
    if (extra || older) set_extra(takes_place ? *older : *extra);
  }

  void read_map(const JsonValue& map) {
    for (const JsonMember& m : map.as_object()) {
      if (m.key == "extra_special_tokens") {
        if (m.value.is_array()) {
          extra_set_ = true;
          add_list(m.value);
        } else {
          set_extra(m.value);
        }
      } else if (m.key == "additional_special_tokens") {
        set_older(m.value);
      } else if (!is_own_name(m.key)) {
        set(m.key, m.value);
        if (m.value.is_object()) tokens_of(m.key)->special = true;
      } else if (m.key.ends_with("_token") && !m.value.is_null() && !m.value.is_bool()) {
        plain_names_.emplace_back(m.key, read_token(m.value, true));
      }
    }
  }
  std::optional<AddedToken>& tokens_of(std::string_view key) {
    return tokens_[static_cast<std::size_t>(std::find(std::begin(kTokenNames), std::end(kTokenNames), key) - std::begin(kTokenNames))];
  }

  /// {"<|im_end|>": 32001}
  void read_added(const JsonValue& added) {
    for (const JsonMember& m : added.as_object()) {
      AddedToken token;
      token.content = std::string(m.key);
      const auto is_it = [&](const AddedToken& t) { return t.content == token.content; };
      token.special = extra_contents_.contains(token.content) ||
                      std::any_of(tokens_.begin(), tokens_.end(), [&](const auto& t) { return t && is_it(*t); });
      token.normalized = !token.special;
      s_.decoder.insert_or_assign(m.value.as_int(), std::move(token));
    }
  }

  /// What a class calls its tokens where no file says, and the padding's token of tokenizer.json.
  void set_defaults(const JsonValue& root) {
    using Names = std::array<std::string_view, std::size(kTokenNames)>;  // bos, eos, unk, sep, pad, cls, mask
    constexpr std::string_view end = "<|endoftext|>";
    Names names{};
    switch (s_.kind) {
      case TokenizerClass::as_file:
        break;
      case TokenizerClass::bert:
        names = {"", "", "[UNK]", "[SEP]", "[PAD]", "[CLS]", "[MASK]"};
        break;
      case TokenizerClass::mpnet:
        names = {"<s>", "</s>", "[UNK]", "</s>", "<pad>", "<s>", "<mask>"};
        break;
      case TokenizerClass::roberta:
      case TokenizerClass::xlm_roberta:
        names = {"<s>", "</s>", "<unk>", "</s>", "<pad>", "<s>", "<mask>"};
        break;
      case TokenizerClass::gpt2:
        names = {end, end, end, "", "", "", ""};
        break;
      case TokenizerClass::gpt_neox:
        names = {end, end, end, "", "<|padding|>", "", ""};
        break;
      case TokenizerClass::qwen2:
      case TokenizerClass::qwen3_5:
        names = {"", end, end, "", end, "", ""};
        break;
      case TokenizerClass::llama:
        names = {"<s>", "</s>", "<unk>", "", "", "", ""};
        break;
      case TokenizerClass::gemma:
        names = {"<bos>", "<eos>", "<unk>", "", "<pad>", "", "<mask>"};
        break;
    }
    const bool mpnet = s_.kind == TokenizerClass::mpnet;
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (given_[i] || names[i].empty()) continue;
      tokens_[i].emplace();
      tokens_[i]->content = std::string(names[i]);
      tokens_[i]->special = true;
      tokens_[i]->normalized = mpnet;
      tokens_[i]->lstrip = mpnet && kTokenNames[i] == "mask_token";
    }
    const bool asks = s_.kind == TokenizerClass::as_file || s_.kind == TokenizerClass::llama;
    const auto padding = root.find_set("padding");
    if (!asks || !padding || !padding->is_object()) return;
    constexpr std::size_t pad = 4;
    if (const auto token = padding->find_set("pad_token"); token && !given_[pad]) tokens_[pad] = read_token(*token, true);
  }

  Settings& s_;
  std::array<std::optional<AddedToken>, std::size(kTokenNames)> tokens_;
  std::array<bool, std::size(kTokenNames)> given_{};
  std::vector<std::pair<std::string, AddedToken>> plain_names_, own_names_;  // the former count first
  std::unordered_set<std::string> extra_contents_;
  std::vector<AddedToken> older_;                        // additional_special_tokens beside extra_special_tokens
  std::unordered_map<std::string, std::size_t> places_;  // in Settings::named
  bool extra_set_ = false, older_set_ = false;
};

/// right or left; the file's truncation is what counts where the configuration says nothing.
bool cuts_left(const JsonDocument* config, const JsonValue& root) {
  if (const auto side = config ? config->root().find("truncation_side") : std::nullopt) {
    const std::string_view text = side->as_string();
    if (text != "left" && text != "right") side->fail(fmt::format("left or right expected, got '{}'", text));
    return text == "left";
  }
  const auto truncation = root.find_set("truncation");
  const auto direction = truncation && truncation->is_object() ? truncation->find_set("direction") : std::nullopt;
  return direction && direction->as_string() == "Left";
}

}  // namespace

const AddedToken* Settings::find(std::string_view name) const {
  for (const auto& [known, token] : named) {
    if (known == name) return &token;
  }
  return nullptr;
}

AddedToken read_token(const JsonValue& value, bool special) {
  AddedToken token;
  token.special = special;
  if (value.is_object()) {
    token.content = std::string(value.get("content").as_string());
    token.single_word = value.bool_or("single_word", false);
    token.lstrip = value.bool_or("lstrip", false);
    token.rstrip = value.bool_or("rstrip", false);
    token.special = value.bool_or("special", special);
    token.normalized = value.bool_or("normalized", !token.special);
  } else {
    token.content = std::string(value.as_string());
  }
  if (token.content.size() > AddedTokens::kMaxBytes) {
    value.fail(fmt::format("content of {} bytes, at most {} are supported", token.content.size(), AddedTokens::kMaxBytes));
  }
  return token;
}

Settings read_settings(ModelFolder& folder, const JsonValue& root, const VocabularyTokens* tokens) {
  Settings s;
  const auto config = folder.find("tokenizer_config.json", kListBytes);
  choose_class(s, config.get(), folder.find("config.json").get(), root, tokens == nullptr);
  TokenReader reader(s);
  reader.read(config.get(), folder, root);
  reader.finish(root, tokens);
  if (tokens != nullptr) s.ends.emplace();
  s.cut_left = cuts_left(config.get(), root);
  if (!config) return s;
  const JsonValue c = config->root();
  s.do_lower_case = c.bool_or("do_lower_case", true);
  s.tokenize_chinese_chars = c.bool_or("tokenize_chinese_chars", true);
  if (const auto v = c.find_set("strip_accents")) s.strip_accents = v->as_bool();
  if (const auto v = c.find_set("add_prefix_space")) s.add_prefix_space = v->as_bool();
  s.legacy = c.bool_or("legacy", false);
  s.split_special = c.bool_or("split_special_tokens", false);
  if (s.ends) s.ends = Ends{c.bool_or("add_bos_token", false), c.bool_or("add_eos_token", false)};
  s.says_ends = c.find("add_bos_token") || c.find("add_eos_token");
  return s;
}

}  // namespace lazuli::tokenizer
