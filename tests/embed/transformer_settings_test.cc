// Checks what sentence-transformers' settings of a transformer may say: what is read, and every refusal by its message.
#include "embed/transformer_settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "lazuli/error.h"
#include "support/temp_folder.h"

namespace lazuli {
namespace {

using test::message_of;
using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;

class SettingsOfTransformer : public testing::Test {
 protected:
  TransformerSettings read(const std::string& settings, int64_t context = 200) const {
    folder_.write("sentence_bert_config.json", settings);
    ModelFolder folder(folder_.path());
    return TransformerSettings::read(folder, context);
  }
  int64_t length(const std::string& settings) const { return read(settings).max_seq_length; }
  std::string error(const std::string& settings) const {
    return message_of<FormatError>([&] { read(settings); });
  }
  test::TempFolder folder_;
};

TEST_F(SettingsOfTransformer, OfAnotherTaskOrOutputAreRefused) {
  const auto refused = [&](const std::string& settings, const std::string& end) { EXPECT_THAT(error(settings), EndsWith(end)); };
  refused(R"({"transformer_task": "fill-mask"})", "$.transformer_task: 'feature-extraction' expected, got 'fill-mask'");
  refused(R"({"module_output_name": "logits"})", "$.module_output_name: 'token_embeddings' expected, got 'logits'");
  refused(R"({"modality_config": {"text": {"method": "encode"}}})", "$.modality_config.text.method: 'forward' expected, got 'encode'");
  refused(R"({"modality_config": {"text": {"method_output_name": "pooler_output"}}})",
          "$.modality_config.text.method_output_name: 'last_hidden_state' expected, got 'pooler_output'");
  refused(R"({"modality_config": {"text": {"method": "forward"}, "image": {}}})",
          "$.modality_config.image: the modality text expected, got 'image'");
  refused(R"({"modality_config": {"image": {}}})", "the modality text expected, got 'image'");
  refused(R"({"transformer_task": 3})", "$.transformer_task: a string expected, got an integer");
  EXPECT_EQ(length(R"({"transformer_task": "feature-extraction", "module_output_name": "token_embeddings", "max_seq_length": 5,
    "modality_config": {"text": {"method": "forward", "method_output_name": "last_hidden_state"}}})"),
            5);
  EXPECT_EQ(length(R"({"transformer_task": null, "module_output_name": null, "max_seq_length": 6, "modality_config": null})"), 6);
  EXPECT_EQ(length(R"({"max_seq_length": 7, "modality_config": {"text": {"method": null, "method_output_name": null}}})"), 7);
}

TEST_F(SettingsOfTransformer, ArgumentsThatNothingFollowsAreRefusedByName) {
  for (const char* group : {"processor_kwargs", "tokenizer_args", "model_kwargs", "model_args", "config_kwargs", "config_args"}) {
    const auto with = [&](const std::string& arguments) { return "{\"" + std::string(group) + "\": {" + arguments + "}}"; };
    EXPECT_THAT(error(with("\"first\": null, \"gamma\": 2")),
                EndsWith("$." + std::string(group) + ".gamma: 'gamma' is not supported here"));
    for (const char* value : {"true", "[0]", "{\"a\": null}", "\"\"", "0"}) {
      EXPECT_THAT(error(with("\"gamma\": " + std::string(value))), HasSubstr("'gamma' is not supported here")) << value;
    }
    for (const char* value : {"null", "false", "[]", "{}"}) {
      EXPECT_EQ(length(with("\"gamma\": " + std::string(value))), 200) << value;
    }
    EXPECT_THAT(error("{\"" + std::string(group) + "\": 3}"), EndsWith("an object expected, got an integer"));
  }
}

TEST_F(SettingsOfTransformer, ArgumentsWithoutAPartInTheResultAreTaken) {
  for (const char* group : {"processor_kwargs", "tokenizer_args"}) {
    EXPECT_EQ(length("{\"" + std::string(group) +
                     "\": {\"model_max_length\": 11, \"padding_side\": \"left\", \"trust_remote_code\": true, \"use_fast\": true}}"),
              11);
    EXPECT_THAT(error("{\"" + std::string(group) + "\": {\"torch_dtype\": \"auto\"}}"), HasSubstr("'torch_dtype' is not supported"));
  }
  for (const char* group : {"model_kwargs", "model_args", "config_kwargs", "config_args"}) {
    EXPECT_EQ(
        length("{\"max_seq_length\": 12, \"" + std::string(group) +
               "\": {\"attn_implementation\": \"sdpa\", \"torch_dtype\": \"float16\", \"dtype\": \"auto\", \"trust_remote_code\": true,"
               " \"use_safetensors\": true, \"low_cpu_mem_usage\": true, \"device_map\": \"cpu\"}}"),
        12);
    EXPECT_THAT(error("{\"" + std::string(group) + "\": {\"model_max_length\": 11}}"), HasSubstr("'model_max_length' is not supported"));
  }
  // A later group counts, too, where one before it says nothing.
  EXPECT_EQ(length(R"({"processor_kwargs": null, "tokenizer_args": {"model_max_length": 9}})"), 9);
  EXPECT_THAT(error(R"({"model_kwargs": null, "config_args": {"alpha": 1}})"), HasSubstr("'alpha' is not supported"));
}

TEST_F(SettingsOfTransformer, TextsAreProcessedInOneWay) {
  EXPECT_THAT(error(R"({"processing_kwargs": {"text": {"truncation": false}}})"),
              EndsWith("$.processing_kwargs.text.truncation: texts that are not cut are not supported"));
  EXPECT_THAT(error(R"({"processing_kwargs": {"text": {"stride": 4}}})"), HasSubstr("'stride' is not supported here"));
  EXPECT_THAT(error(R"({"processing_kwargs": {"common": {"stride": 4}}})"), HasSubstr("'common' is not supported here"));
  EXPECT_EQ(length(R"({"processing_kwargs": {"text": {"max_length": 6, "padding": "longest", "truncation": true}, "audio": {"a": 1},
    "image": {"a": 1}, "video": {"a": 1}}})"),
            6);
  EXPECT_EQ(length(R"({"max_seq_length": 8, "processing_kwargs": {"text": {"max_length": null, "truncation": null}}})"), 8);
  EXPECT_EQ(length(R"({"max_seq_length": 8, "processing_kwargs": {"text": null}})"), 8);
  EXPECT_EQ(length(R"({"max_seq_length": 8, "processing_kwargs": {"text": {"max_length": 9}}})"), 9);
  EXPECT_EQ(length(R"({"processing_kwargs": {"text": {"truncation": "longest_first"}}})"), 200);
}

TEST_F(SettingsOfTransformer, LengthsBeginAtOne) {
  EXPECT_EQ(length(R"({"max_seq_length": 1})"), 1);
  EXPECT_EQ(length(R"({"max_seq_length": 200})"), 200);
  EXPECT_EQ(length(R"({"max_seq_length": 201})"), 200);
  for (const char* settings : {R"({"max_seq_length": 0})", R"({"tokenizer_args": {"model_max_length": 0}})",
                               R"({"processing_kwargs": {"text": {"max_length": 0}}})"}) {
    EXPECT_THAT(error(settings), EndsWith("a number from 1 on expected, got 0")) << settings;
  }
  EXPECT_THAT(error(R"({"max_seq_length": "8"})"), HasSubstr("$.max_seq_length: an integer of 64 bits expected"));
  // A tokenizer's limit may be a number that stands for none; below 2^62 it has to be a whole one.
  EXPECT_EQ(length(R"({"tokenizer_args": {"model_max_length": 4611686018427387904.0}})"), 200);
  EXPECT_THAT(error(R"({"tokenizer_args": {"model_max_length": 512.0}})"), HasSubstr("an integer of 64 bits expected"));
  EXPECT_EQ(length(R"({"max_seq_length": 30, "tokenizer_args": {"model_max_length": null}})"), 200);
}

TEST_F(SettingsOfTransformer, TheFirstFileThatSaysSomethingCounts) {
  folder_.write("sentence_roberta_config.json", R"({"max_seq_length": 12, "do_lower_case": true})");
  folder_.write("sentence_xlnet_config.json", R"({"max_seq_length": 13})");
  folder_.write("tokenizer_config.json", R"({"model_max_length": 14, "max_len": 15})");
  EXPECT_EQ(length("{}"), 12);
  EXPECT_TRUE(read("{}").lower_case);
  EXPECT_EQ(length(R"({"max_seq_length": 11})"), 11);
  EXPECT_FALSE(read(R"({"max_seq_length": 11})").lower_case);
  EXPECT_EQ(length(R"({"do_lower_case": false})"), 14);
  folder_.write("tokenizer_config.json", R"({"max_len": 15})");
  EXPECT_EQ(length(R"({"do_lower_case": false})"), 15);
  folder_.write("tokenizer_config.json", R"({"model_max_length": 0})");
  EXPECT_THAT(error(R"({"do_lower_case": false})"), AllOf(HasSubstr("tokenizer_config.json"), HasSubstr("a number from 1 on expected")));
  EXPECT_EQ(length(R"({"max_seq_length": 11})"), 11);
}

}  // namespace
}  // namespace lazuli
