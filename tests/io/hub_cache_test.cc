// Checks that models are found in the cache of the Hugging Face hub as other programs leave it there.
#include "io/hub_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <optional>

#include "io/model_files.h"
#include "io/model_folder.h"
#include "lazuli/error.h"
#include "lazuli/model.h"
#include "support/temp_folder.h"
#include "support/tiny_llama.h"

namespace lazuli {
namespace {

using testing::AllOf;
using testing::HasSubstr;

using Values = std::map<std::string, std::string>;

/// Sets variables, and gives them their values back.
class Variables {
 public:
  explicit Variables(const Values& set) {
    for (const std::string name : {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME", "HOME"}) {
      const char* value = std::getenv(name.c_str());
      before_[name] = value == nullptr ? std::nullopt : std::optional<std::string>(value);
      const auto found = set.find(name);
      found == set.end() ? unsetenv(name.c_str()) : setenv(name.c_str(), found->second.c_str(), 1);
    }
  }
  Variables(const Variables&) = delete;
  Variables& operator=(const Variables&) = delete;
  ~Variables() {
    for (const auto& [name, value] : before_) value ? setenv(name.c_str(), value->c_str(), 1) : unsetenv(name.c_str());
  }

 private:
  std::map<std::string, std::optional<std::string>> before_;
};

class HubCache : public testing::Test {
 protected:
  /// Files of a model as the hub's library leaves them: links into a folder of blobs.
  void write_model(const std::string& folder, const std::string& commit) const {
    const std::string snapshot = "hub/" + folder + "/snapshots/" + commit;
    std::filesystem::create_directories(cache_.path(snapshot));
    cache_.write("hub/" + folder + "/blobs/config", test::kTinyLlamaConfig);
    std::map<std::string, Tensor> shards[2];
    std::string index;
    for (const auto& [name, tensor] : test::tiny_llama_weights()) {
      const size_t shard = name.find("layers.1") != std::string::npos ? 1 : 0;
      shards[shard].emplace(name, tensor);
      index += (index.empty() ? "\"" : ", \"") + name + "\": \"part-" + std::to_string(shard) + ".safetensors\"";
    }
    for (size_t k = 0; k < 2; ++k) {
      const std::string blob = "blob" + std::to_string(k);
      save_safetensors(cache_.path("hub/" + folder + "/blobs/" + blob), shards[k]);
      link(snapshot + "/part-" + std::to_string(k) + ".safetensors", blob);
    }
    cache_.write("hub/" + folder + "/blobs/index", "{\"weight_map\": {" + index + "}}");
    link(snapshot + "/config.json", "config");
    link(snapshot + "/model.safetensors.index.json", "index");
  }
  void link(const std::string& name, const std::string& blob) const {
    std::filesystem::remove(cache_.path(name));
    std::filesystem::create_symlink("../../blobs/" + blob, cache_.path(name));
  }
  std::string snapshot(const std::string& folder, const std::string& commit) const {
    return cache_.path("hub/" + folder + "/snapshots/" + commit);
  }

  test::TempFolder cache_;
};

TEST_F(HubCache, ModelsAreOpenedByTheirNames) {
  const Variables set(Values{{"HF_HOME", cache_.path()}});
  write_model("models--owner--tiny.model", "abc123");
  cache_.write("hub/models--owner--tiny.model/refs/main", "abc123\n");
  EXPECT_EQ(find_model_folder("owner/tiny.model"), snapshot("models--owner--tiny.model", "abc123"));
  EXPECT_EQ(load_model("owner/tiny.model")->info().path, snapshot("models--owner--tiny.model", "abc123"));
}

TEST_F(HubCache, ARevisionIsABranchOrACommit) {
  const Variables set(Values{{"HF_HUB_CACHE", cache_.path("hub")}, {"HF_HOME", "/elsewhere"}});
  write_model("models--tiny", "abc");
  write_model("models--tiny", "def");
  cache_.write("hub/models--tiny/refs/main", "abc");
  cache_.write("hub/models--tiny/refs/refs/pr/1", "def");
  EXPECT_EQ(find_model_folder("tiny"), snapshot("models--tiny", "abc"));
  EXPECT_EQ(find_model_folder("tiny@def"), snapshot("models--tiny", "def"));
  EXPECT_EQ(find_model_folder("tiny@refs/pr/1"), snapshot("models--tiny", "def"));
  EXPECT_EQ(find_model_folder("tiny@none"), "tiny@none");
  EXPECT_EQ(find_model_folder("tiny@../../x"), "tiny@../../x");
}

TEST_F(HubCache, AFolderOfThatNameComesFirst) {
  const Variables set(Values{{"HF_HOME", cache_.path()}});
  write_model("models--tests", "abc");
  cache_.write("hub/models--tests/refs/main", "abc");
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(cache_.path());
  EXPECT_EQ(find_model_folder("tests"), snapshot("models--tests", "abc"));
  std::filesystem::create_directories(cache_.path("tests"));
  EXPECT_EQ(find_model_folder("tests"), "tests");
  std::filesystem::current_path(before);
}

TEST_F(HubCache, TheCacheIsWhereItsLibraryLooks) {
  {
    const Variables set(Values{{"HF_HUB_CACHE", "/a"}, {"HUGGINGFACE_HUB_CACHE", "/b"}});
    EXPECT_EQ(hub_cache(), "/a");
  }
  {
    const Variables set(Values{{"HUGGINGFACE_HUB_CACHE", "/b"}, {"HF_HOME", "/c"}});
    EXPECT_EQ(hub_cache(), "/b");
  }
  {
    const Variables set(Values{{"HF_HOME", "~/c"}, {"HOME", "/home/x"}});
    EXPECT_EQ(hub_cache(), "/home/x/c/hub");
  }
  {
    const Variables set(Values{{"XDG_CACHE_HOME", "/d"}, {"HOME", "/home/x"}});
    EXPECT_EQ(hub_cache(), "/d/huggingface/hub");
  }
  const Variables set(Values{{"HOME", "/home/x"}});
  EXPECT_EQ(hub_cache(), "/home/x/.cache/huggingface/hub");
}

TEST_F(HubCache, ErrorsSayWhereItWasLookedAndThatNothingIsDownloaded) {
  const Variables set(Values{{"HF_HOME", cache_.path()}});
  const auto error = [](const std::string& model) { return test::message_of<IoError>([&] { ModelFolder(model).require("config.json"); }); };
  EXPECT_THAT(error("owner/none"), AllOf(HasSubstr("no models--owner--none in the hub's cache " + cache_.path("hub")),
                                         HasSubstr("models are not downloaded"), HasSubstr("'hf download owner/none'")));
  write_model("models--owner--m", "abc");
  EXPECT_THAT(error("owner/m"),
              HasSubstr("no revision 'main' in " + cache_.path("hub/models--owner--m") + " of the hub's cache, which has abc"));
  cache_.write("hub/models--owner--m/refs/v1", "abc");
  EXPECT_THAT(error("owner/m"), HasSubstr("which has v1"));
  EXPECT_THAT(error("owner/m@v2"), HasSubstr("no revision 'v2'"));
  cache_.write("hub/models--owner--m/refs/main", "gone");
  EXPECT_THAT(error("owner/m"), HasSubstr("no revision 'main'"));
}

}  // namespace
}  // namespace lazuli
