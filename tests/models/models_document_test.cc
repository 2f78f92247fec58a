// Checks that docs/models.md is what the registry and the tests say: which architecture can do what, and which test proves it.
// `LAZULI_WRITE_GOLDENS=1 build/release/bin/lazuli_tests --gtest_filter='ModelsDocument*'` writes the document again.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/json.h"
#include "lazuli/encoder.h"
#include "lazuli/model.h"
#include "models/registry.h"
#include "support/source_folder.h"

namespace lazuli {
namespace {

namespace fs = std::filesystem;

/// A test whose parameter names a fixture of a folder of tests/data.
struct Proof {
  std::string test;  ///< SUITE.TEST, without what instantiates the suite
  std::string folder;
};

/// What a model can do, and the tests that prove it.
struct Ability {
  std::string name;
  std::vector<Proof> proofs;
  bool on_card = false;  ///< proved by these tests on a card alone
};
const std::vector<Ability> kAbilities = {{"generate",
                                          {{"Families.GreedyTokensAreThoseOfTransformers", "families"},
                                           {"WholeGreedyTokens.AreThoseOfTransformers", "whole-models"},
                                           {"WholeGreedyTokensOfOddSizes.AreThoseOfTransformers", "whole-models"},
                                           {"Wrappers.LogitsOfTextsAreThoseOfTransformersInEveryLayout", "wrappers"}}},
                                         {"finetune",
                                          {{"Families.TenStepsOfLoRAAreThoseOfPeft", "families"},
                                           {"WholeTraining.TenStepsAreNoFurtherOffThanThoseOfPeft", "whole-models"},
                                           {"EncoderFamilies.LayersAreNamedAsInPeftAndStepsOfLoRAAreItsSteps", "encoders"},
                                           {"EncoderOf.AnAdapterChangesItsStates", "tiny"}}},
                                         {"embed",
                                          {{"EncoderFamilies.StatesAreThoseOfTransformers", "encoders"},
                                           {"DecoderEmbeddings.VectorsAreThoseOfSentenceTransformers", "decoder-embeddings"},
                                           {"WholeVectors.AreNoFurtherOffThanThoseOfPyTorch", "whole-models"},
                                           {"EncoderOf.TextsAloneMatchTransformers", "tiny"}}},
                                         {"rerank", {{"CrossEncoders.ScorePairsAsTheJudgeDoes", "rerankers"}}},
                                         {"int8, int4",
                                          {{"Families.RoundedWeightsGiveLogitsNearby", "families"},
                                           {"WholeLogitsOfRoundedWeights.AreNoFurtherOffThanThoseOfPyTorch", "whole-models"}}},
                                         {"CUDA",
                                          {{"Families.LogitsAreThoseOfTransformers", "families"},
                                           {"WholeLogits.AreNoFurtherOffThanThoseOfPyTorch", "whole-models"},
                                           {"EncoderFamilies.StatesAreThoseOfTransformers", "encoders"},
                                           {"WholeVectors.AreNoFurtherOffThanThoseOfPyTorch", "whole-models"}},
                                          true}};

/// A test with its parameter: `mistral_cpu` of `All/Families.GreedyTokensAreThoseOfTransformers/mistral_cpu`.
struct Instance {
  std::string test, parameter;
  bool on_card = false;
};

std::vector<Instance> instances() {
  std::vector<Instance> all;
  const auto& unit = *testing::UnitTest::GetInstance();
  for (int s = 0; s < unit.total_test_suite_count(); ++s) {
    const testing::TestSuite& suite = *unit.GetTestSuite(s);
    const std::string whole = suite.name();
    const std::string name = whole.substr(whole.find('/') + 1);
    for (int t = 0; t < suite.total_test_count(); ++t) {
      const std::string test = suite.GetTestInfo(t)->name();
      const size_t slash = test.find('/');
      if (slash == std::string::npos) continue;
      const std::string parameter = test.substr(slash + 1);
      all.push_back({name + "." + test.substr(0, slash), parameter, whole.starts_with("Cuda/") || parameter.ends_with("_cuda")});
    }
  }
  return all;
}

std::string config_text(const fs::path& fixture) {
  const JsonDocument document = JsonDocument::read(fixture.string());
  if (const auto config = document.root().find("config"); config && config->is_string()) return std::string(config->as_string());
  if (const auto files = document.root().find("files")) {
    if (const auto config = files->find("config.json")) return std::string(config->as_string());
  }
  const std::string beside = fixture.parent_path() / (fixture.stem().string() + ".config.json");
  return fs::exists(beside) ? read_file(beside, 1 << 20) : "";
}

/// The fixtures of each folder by their names, and the types of each: those in their files, and those of their text parts.
using Fixtures = std::map<std::string, std::map<std::string, std::set<std::string>>>;

Fixtures fixtures() {
  Fixtures all;
  const fs::path data = fs::path(source_folder()) / "tests" / "data";
  for (const char* folder : {"families", "encoders", "decoder-embeddings", "rerankers", "wrappers", "whole-models"}) {
    for (const auto& entry : fs::directory_iterator(data / folder)) {
      const std::string file = entry.path().filename().string();
      if (!file.ends_with(".json") || file.ends_with(".config.json")) continue;
      const std::string text = config_text(entry.path());
      if (text.empty()) continue;
      const JsonDocument config = JsonDocument::parse(text, file);
      all[folder][entry.path().stem().string()] = {model_type_of(config), computed_model_type(config)};
    }
  }
  for (const auto& entry : fs::directory_iterator(data)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with("tiny-") || !fs::exists(entry.path() / "config.json")) continue;
    all["tiny"][name.substr(5)] = {model_type_of(JsonDocument::read((entry.path() / "config.json").string()))};
  }
  return all;
}

/// A parameter names its fixture first, with underscores for what names of tests do not have. The longest that fits is meant.
std::string fixture_of(const std::string& parameter, const std::map<std::string, std::set<std::string>>& all) {
  std::string longest;
  for (const auto& [name, types] : all) {
    std::string written = name;
    std::replace(written.begin(), written.end(), '-', '_');
    if ((parameter == written || parameter.starts_with(written + "_")) && name.size() > longest.size()) longest = name;
  }
  return longest;
}

class Document {
 public:
  std::string text() {
    std::string out =
        "# Models, and what can be done with them\n"
        "`tests/models/models_document_test.cc` makes this table from the registry of architectures and from the tests that compare each "
        "of them with\n"
        "transformers, PEFT or PyTorch. A cell names the small models that these tests use; `-` says that no test proves it. The CUDA "
        "column needs a card.\n";
    out += table("Language models", architectures());
    out += table("Encoders", encoder_architectures());
    out += table("Models of images or sound and text, of which the text part is loaded", wrapper_architectures());
    out += "\n## The tests\nThe tests of each column, each with the name of a small model as its parameter:\n\n";
    for (const Ability& ability : kAbilities) {
      std::set<std::string> there;
      for (const Instance& i : instances_) {
        for (const Proof& proof : ability.proofs) {
          if (proof.test == i.test) there.insert(i.test);
        }
      }
      out += fmt::format("- {}: {}\n", ability.name, there.empty() ? "none yet" : fmt::format("`{}`", fmt::join(there, "`, `")));
    }
    return out;
  }
  const std::vector<std::string>& unproved() const { return unproved_; }

 private:
  std::string table(const std::string& title, const std::vector<std::string>& types) {
    std::string out = fmt::format("\n## {}\n| `model_type` |", title), line = "\n| --- |";
    for (const Ability& ability : kAbilities) {
      out += fmt::format(" {} |", ability.name);
      line += " --- |";
    }
    out += line + "\n";
    for (const std::string& type : types) {
      out += fmt::format("| `{}` |", type);
      bool any = false;
      for (const Ability& ability : kAbilities) {
        const std::set<std::string> proofs = proofs_of(type, ability);
        any |= !proofs.empty();
        out += proofs.empty() ? " - |" : fmt::format(" {} |", fmt::join(proofs, ", "));
      }
      out += "\n";
      if (!any) unproved_.push_back(type);
    }
    return out;
  }
  std::set<std::string> proofs_of(const std::string& type, const Ability& ability) const {
    std::set<std::string> proofs;
    for (const Instance& i : instances_) {
      for (const Proof& proof : ability.proofs) {
        if (proof.test != i.test || i.on_card != ability.on_card) continue;
        const auto folder = fixtures_.find(proof.folder);
        if (folder == fixtures_.end()) continue;
        const std::string fixture = fixture_of(i.parameter, folder->second);
        if (!fixture.empty() && folder->second.at(fixture).contains(type)) proofs.insert(fixture);
      }
    }
    return proofs;
  }

  std::vector<Instance> instances_ = instances();
  Fixtures fixtures_ = fixtures();
  std::vector<std::string> unproved_;
};

TEST(ModelsDocument, IsWhatTheRegistryAndTheTestsSay) {
  Document document;
  const std::string text = document.text();
  const std::string path = source_folder() + "/docs/models.md";
  if (std::getenv("LAZULI_WRITE_GOLDENS") != nullptr) {
    std::ofstream file(path);
    file << text;
    ASSERT_TRUE(file.flush().good()) << path;
    GTEST_SKIP() << path << " is written";
  }
  EXPECT_TRUE(read_file(path, 1 << 20) == text) << path << " is another; with LAZULI_WRITE_GOLDENS=1 this test writes it again";
  EXPECT_EQ(document.unproved(), std::vector<std::string>()) << "architectures that no test compares with transformers";
}

}  // namespace
}  // namespace lazuli
