// Checks what generation_config.json asks for.
#include "io/generation_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "lazuli/error.h"
#include "support/temp_folder.h"

namespace lazuli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class Settings : public testing::Test {
 protected:
  GenerationConfig read(const std::string& text) const {
    folder_.write("generation_config.json", text);
    return read();
  }
  GenerationConfig read() const {
    ModelFolder folder(folder_.path());
    return read_generation_config(folder, 100);
  }
  test::TempFolder folder_;
};

TEST_F(Settings, OfTheEndOfTextAreNothingWithoutTheFileOrTheKey) {
  EXPECT_FALSE(read().eos_token_ids);
  EXPECT_FALSE(read(R"({"do_sample": true})").eos_token_ids);
  EXPECT_FALSE(read(R"({"eos_token_id": null})").eos_token_ids);
  EXPECT_THAT(read(R"({"eos_token_id": [7, 9]})").eos_token_ids.value(), ElementsAre(7, 9));
  EXPECT_THAT(read(R"({"eos_token_id": 3})").eos_token_ids.value(), ElementsAre(3));
}

TEST_F(Settings, OfDrawsAreOptions) {
  const GenerationConfig s = read(R"({"do_sample": true, "temperature": 0.7, "top_p": 0.8, "top_k": 20, "repetition_penalty": 1.05})");
  EXPECT_EQ(s.sampling, "--temp 0.7 --top-k 20 --top-p 0.8");
  EXPECT_EQ(s.repetition, "--repetition-penalty 1.05");
  EXPECT_EQ(read(R"({"do_sample": true})").sampling, "--temp 1 --top-k 50");
  EXPECT_EQ(read(R"({"do_sample": true, "top_k": 0, "min_p": 0.1})").sampling, "--temp 1 --min-p 0.1");
}

TEST_F(Settings, OfDrawsAreNoneWithoutDraws) {
  EXPECT_EQ(read(R"({"temperature": 0.7, "top_p": 0.8, "top_k": 20})").sampling, "");
  EXPECT_EQ(read(R"({"do_sample": false, "temperature": 0.7})").sampling, "");
  EXPECT_EQ(read(R"({"do_sample": null, "repetition_penalty": 1.0})").repetition, "");
}

TEST_F(Settings, WithoutAnOptionAreNamed) {
  const GenerationConfig s = read(R"({"suppress_tokens": [1], "no_repeat_ngram_size": 3, "min_new_tokens": 2, "num_beams": 4,
    "forced_eos_token_id": 2, "bad_words_ids": [[3]], "sequence_bias": [[[1], 2.0]], "stop_strings": ["END"]})");
  EXPECT_THAT(s.others, ElementsAre("no_repeat_ngram_size", "min_new_tokens", "num_beams", "forced_eos_token_id", "bad_words_ids",
                                    "sequence_bias", "suppress_tokens"));
  EXPECT_THAT(s.stop, ElementsAre("END"));
}

TEST_F(Settings, ThatChangeNothingAreNotNamed) {
  const GenerationConfig s = read(R"({"no_repeat_ngram_size": 0, "num_beams": 1, "guidance_scale": 1.0, "suppress_tokens": [],
    "max_length": 4096, "max_new_tokens": 100, "use_cache": true, "pad_token_id": 0, "eos_token_id": 2, "bad_words_ids": null,
    "token_healing": false, "stop_strings": null, "transformers_version": "5.0"})");
  EXPECT_THAT(s.others, IsEmpty());
  EXPECT_THAT(s.stop, IsEmpty());
}

TEST_F(Settings, WithoutAnOptionAreNamedUnlessTheyMeanNone) {
  const std::pair<const char*, const char*> none[] = {{"no_repeat_ngram_size", "0"},
                                                      {"min_length", "0"},
                                                      {"min_new_tokens", "0"},
                                                      {"num_beams", "1"},
                                                      {"guidance_scale", "1"},
                                                      {"typical_p", "1"},
                                                      {"epsilon_cutoff", "0"},
                                                      {"eta_cutoff", "0"},
                                                      {"top_h", "1"},
                                                      {"penalty_alpha", "0"},
                                                      {"max_time", "-1"},
                                                      {"forced_bos_token_id", "-1"},
                                                      {"forced_eos_token_id", "-1"},
                                                      {"bad_words_ids", "[]"},
                                                      {"sequence_bias", "{}"},
                                                      {"suppress_tokens", "[]"},
                                                      {"begin_suppress_tokens", "[]"},
                                                      {"exponential_decay_length_penalty", "[]"},
                                                      {"force_words_ids", "[]"},
                                                      {"constraints", "[]"},
                                                      {"dola_layers", "0"},
                                                      {"watermarking_config", "{}"},
                                                      {"token_healing", "false"}};
  for (const auto& [key, value] : none) {
    const auto others = [&, name = std::string(key)](const std::string& text) { return read("{\"" + name + "\": " + text + "}").others; };
    EXPECT_THAT(others(value), IsEmpty()) << key;
    EXPECT_THAT(others("null"), IsEmpty()) << key;
    for (const char* other : {"0.25", "7", "true", "[1]", "{\"a\": 1}", "\"low\""}) EXPECT_THAT(others(other), ElementsAre(key)) << other;
  }
  EXPECT_THAT(read(R"({"stop_strings": "A"})").stop, ElementsAre("A"));
  EXPECT_THAT(read(R"({"stop_strings": ["A", "B"]})").stop, ElementsAre("A", "B"));
}

TEST_F(Settings, OfDrawsAreSaidWhereTheyAreNotTheDefaults) {
  EXPECT_EQ(read(R"({"do_sample": true, "top_k": 1, "top_p": 1, "min_p": 0})").sampling, "--temp 1 --top-k 1");
  EXPECT_EQ(read(R"({"do_sample": true, "top_k": -1, "top_p": 0.5, "temperature": null})").sampling, "--temp 1 --top-p 0.5");
}

TEST_F(Settings, AreNoneWithoutTheFile) {
  EXPECT_EQ(read().sampling, "");
  EXPECT_THAT(test::message_of<FormatError>([&] { read(R"({"do_sample": 3})"); }), HasSubstr("$.do_sample"));
}

}  // namespace
}  // namespace lazuli
