// Defines TinyReranker, a folder with one of the cross-encoders of tests/data/rerankers and its tokenizer.
#pragma once

#include <string>
#include <vector>

#include "support/family_model.h"
#include "support/json_tree.h"
#include "support/tiny_sentences.h"

namespace lazuli::test {

class TinyReranker : public FamilyModel {
 public:
  explicit TinyReranker(const std::string& name) : FamilyModel(name, "rerankers") {
    const JsonTree post = JsonTree::parse(expected().get("post_processor").as_string());
    JsonTree tokenizer = JsonTree::read(data_folder(post.is_null() ? "rerankers/qwen-tokenizer.json" : "tiny-sentences/tokenizer.json"));
    if (!post.is_null()) tokenizer["post_processor"] = post;
    write("tokenizer.json", tokenizer.dump());
    JsonTree settings = JsonTree::object();
    settings["model_max_length"] = expected().get("max_length").as_int();
    settings["tokenizer_class"] = "PreTrainedTokenizerFast";  // which takes tokenizer.json as it is
    JsonTree inputs = JsonTree::array();
    for (const JsonValue& input : expected().get("inputs").as_array()) inputs.push_back(std::string(input.as_string()));
    settings["model_input_names"] = inputs;
    write("tokenizer_config.json", settings.dump());
  }
  void write(const std::string& name, const std::string& bytes) const {
    std::filesystem::create_directories(std::filesystem::path(folder() + "/" + name).parent_path());
    std::ofstream(folder() + "/" + name, std::ios::binary) << bytes;
  }
  std::string query() const { return std::string(expected().get("query").as_string()); }
  std::vector<std::string> texts() const {
    std::vector<std::string> out;
    for (const JsonValue& text : expected().get("texts").as_array()) out.emplace_back(text.as_string());
    return out;
  }
  /// config.json with this member set.
  void set(const std::string& key, const JsonTree& value) const {
    JsonTree config = JsonTree::read(folder() + "/config.json");
    config[key] = value;
    write("config.json", config.dump());
  }
};

}  // namespace lazuli::test
