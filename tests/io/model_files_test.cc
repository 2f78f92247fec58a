// Tests that a missing file's error says what is there instead and what to do.
#include "io/model_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "lazuli/error.h"
#include "lazuli/safetensors.h"
#include "support/temp_folder.h"

namespace lazuli {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class ModelFiles : public testing::Test {
 protected:
  std::string error(const std::string& place, const std::string& name) const {
    return test::message_of<IoError>([&] { require_model_file(place, name); });
  }
  std::string error(const std::string& name) const { return error(folder_.path("m"), name); }
  std::string weights_error(const std::string& file) const {
    folder_.write("m/" + file, "x");
    return error("model.safetensors");
  }
  void write_model(const std::string& place) const { folder_.write(place + "/config.json", R"({"model_type": "llama"})"); }

  test::TempFolder folder_;
};

TEST_F(ModelFiles, GiveThePathOfAFileThatIsThere) {
  folder_.write("m/config.json", "{}");
  EXPECT_EQ(require_model_file(folder_.path("m"), "config.json"), folder_.path("m/config.json"));
}

TEST_F(ModelFiles, NamesOfTheHubAreNotDownloaded) {
  EXPECT_THAT(error("Qwen/Qwen2.5-0.5B", "config.json"),
              AllOf(HasSubstr("no such folder"), HasSubstr("hf download Qwen/Qwen2.5-0.5B --local-dir Qwen2.5-0.5B")));
  EXPECT_THAT(error("gpt2", "config.json"), HasSubstr("hf download gpt2"));
  EXPECT_THAT(error("owner/adapter", "adapter_config.json"), HasSubstr("hf download owner/adapter"));
  EXPECT_THAT(error("adapters", "adapter_config.json"), Not(HasSubstr("hf download")));
  EXPECT_THAT(error("/no/such/folder", "config.json"), AllOf(HasSubstr("no such folder"), Not(HasSubstr("hf download"))));
  EXPECT_THAT(error("./gpt2", "config.json"), Not(HasSubstr("hf download")));
  EXPECT_THAT(error("~/model", "config.json"), HasSubstr("quotes"));
}

TEST_F(ModelFiles, AFileIsNoFolder) {
  write_model("m");
  folder_.write("m/model.safetensors", "x");
  EXPECT_THAT(error(folder_.path("m/model.safetensors"), "config.json"), AllOf(HasSubstr("got a file"), HasSubstr(folder_.path("m"))));
  folder_.write("other/file", "x");
  EXPECT_THAT(error(folder_.path("other/file"), "config.json"), HasSubstr("a folder expected, got a file"));
  folder_.write("other/m.gguf", "x");
  EXPECT_THAT(error(folder_.path("other/m.gguf"), "config.json"), HasSubstr("GGUF, which is not read"));
  folder_.write("other/weights", "GGUF\x03");
  EXPECT_THAT(error(folder_.path("other/weights"), "config.json"), HasSubstr("GGUF, which is not read"));
}

TEST_F(ModelFiles, AnEmptyFolderIsCalledSo) {
  std::filesystem::create_directories(folder_.path("m"));
  EXPECT_THAT(error("tokenizer.json"), HasSubstr("the folder is empty"));
}

TEST_F(ModelFiles, AModelAboveOrBelowIsNamed) {
  write_model("m/sub/model");
  EXPECT_THAT(error("config.json"), HasSubstr(folder_.path("m/sub/model")));
  folder_.write("m/sub/model/1_Pooling/config.json", R"({"pooling_mode_mean_tokens": true})");
  EXPECT_THAT(error(folder_.path("m/sub/model/1_Pooling"), "tokenizer.json"),
              AllOf(HasSubstr("one folder above"), HasSubstr(folder_.path("m/sub/model"))));
}

TEST_F(ModelFiles, AFolderOfGgufIsCalledSoWhereverItLies) {
  write_model("m");
  folder_.write("m/gguf/model.gguf", "GGUF");
  EXPECT_THAT(error(folder_.path("m/gguf"), "tokenizer.json"), HasSubstr("model.gguf: GGUF, which is not read"));
}

TEST_F(ModelFiles, AdaptersAndModelsAreToldApart) {
  folder_.write("m/adapter_config.json", R"({"base_model_name_or_path": "owner/base"})");
  EXPECT_THAT(error("config.json"), AllOf(HasSubstr("--adapter-path"), HasSubstr("owner/base")));
  EXPECT_THAT(error("tokenizer.json"), HasSubstr("--adapter-path"));
  write_model("model");
  EXPECT_THAT(error(folder_.path("model"), "adapter_config.json"), AllOf(HasSubstr("holds a model"), HasSubstr("--model")));
  folder_.write("runs/last/adapter_config.json", "{}");
  EXPECT_THAT(error(folder_.path("runs"), "adapter_config.json"), HasSubstr(folder_.path("runs/last")));
}

TEST_F(ModelFiles, FoldersOfTheHubsCacheAreKnown) {
  folder_.write("m/refs/main", "abc123\n");
  folder_.write("m/snapshots/abc123/config.json", "{}");
  EXPECT_THAT(error("config.json"), HasSubstr(folder_.path("m/snapshots/abc123")));
  std::filesystem::remove_all(folder_.path("m/snapshots/abc123"));
  EXPECT_THAT(error("config.json"), HasSubstr("not finished"));
}

TEST_F(ModelFiles, UnfinishedDownloadsAreKnown) {
  write_model("m");
  std::filesystem::create_symlink("../blobs/none", folder_.path("m/model.safetensors"));
  EXPECT_THAT(error("model.safetensors"), HasSubstr("a link to a file that is not there"));
  std::filesystem::remove(folder_.path("m/model.safetensors"));
  folder_.write("m/.cache/huggingface/download/abc.incomplete", "x");
  EXPECT_THAT(error("model.safetensors"), HasSubstr("not finished"));
}

TEST_F(ModelFiles, WeightsOfOtherKindsAreNamed) {
  write_model("m");
  EXPECT_THAT(error("model.safetensors"), HasSubstr("no such file model.safetensors"));
  EXPECT_THAT(weights_error("weights.safetensors"), HasSubstr("weights.safetensors; the weights are expected under the name"));
  EXPECT_THAT(weights_error("model-00001-of-00002.safetensors"), HasSubstr("model.safetensors.index.json"));
  EXPECT_THAT(weights_error("flax_model.msgpack"), HasSubstr("Flax"));
  EXPECT_THAT(weights_error("tf_model.h5"), HasSubstr("TensorFlow"));
  EXPECT_THAT(weights_error("model.onnx"), HasSubstr("ONNX"));
  EXPECT_THAT(weights_error("model.gguf"), HasSubstr("GGUF"));
  EXPECT_THAT(weights_error("model.pt"), AllOf(HasSubstr("pickled weights"), HasSubstr("save_pretrained")));
}

TEST_F(ModelFiles, EveryOtherKindHasItsHint) {
  const auto hint = [&](const std::string& wanted, const std::string& file) {
    std::filesystem::remove_all(folder_.path("m"));
    folder_.write("m/" + file, "x");
    return error(wanted);
  };
  const auto expect = [&](const std::string& wanted, const std::string& file, const std::string& part) {
    EXPECT_THAT(hint(wanted, file), AllOf(HasSubstr("no " + wanted + ", but " + file + ": "), HasSubstr(part)));
  };
  for (const char* file : {"model.pt", "model.pth", "model.ckpt"}) {
    expect("model.safetensors", file, "pickled weights, which are not read");
  }
  expect("model.safetensors", "weights.bin", "expected under the name pytorch_model.bin");
  for (const char* wanted : {"config.json", "tokenizer.json", "model.safetensors"}) expect(wanted, "m.gguf", "GGUF, which is not read");
  EXPECT_THAT(hint("adapter_config.json", "m.gguf"), Not(HasSubstr("GGUF")));
  expect("model.safetensors", "consolidated.safetensors", "Mistral's own layout");
  expect("model.safetensors", "model.onnx", "ONNX");
  expect("model.safetensors", "openvino", "OpenVINO");
  for (const char* file : {"spiece.model", "tekken.json", "a.tiktoken"}) {
    expect("tokenizer.json", file, "a tokenizer that is not read");
  }
  expect("config.json", "params.json", "the layout of its authors");
  expect("config.json", "model_index.json", "a pipeline of diffusers");
  // What stands for another file says nothing about this one.
  EXPECT_THAT(hint("config.json", "vocab.txt"), testing::EndsWith("no such file config.json"));
  EXPECT_THAT(hint("tokenizer.json", "pytorch_model.bin"), Not(HasSubstr("pickled")));
}

TEST_F(ModelFiles, EveryUnfinishedDownloadIsKnown) {
  for (const char* end : {".incomplete", ".part", ".crdownload", ".aria2"}) {
    for (const char* place : {"m/x", "m/.cache/huggingface/download/x"}) {
      std::filesystem::remove_all(folder_.path("m"));
      write_model("m");
      folder_.write(std::string(place) + end, "x");
      EXPECT_THAT(error("model.safetensors"), HasSubstr("no model.safetensors, and a download that was not finished")) << place << end;
    }
  }
}

TEST_F(ModelFiles, NamesOfTheHubAreOneOrTwoWords) {
  for (const char* name : {"a", "a/b", "A-1_2.3/b.C", "a."}) EXPECT_THAT(error(name, "config.json"), HasSubstr("hf download")) << name;
  for (const char* name : {"a/b/c", "a/", "/a", ".a", "a b", "a:b", "a\\b", ""}) {
    EXPECT_THAT(error(name, "config.json"), Not(HasSubstr("hf download"))) << name;
  }
}

TEST_F(ModelFiles, NoMoreThanAFewFoldersBelowAreNamed) {
  std::filesystem::create_directories(folder_.path("m"));
  for (const char* name : {"a", "b", "c", "d"}) write_model(std::string("m/") + name);
  EXPECT_THAT(error("config.json"),
              AllOf(HasSubstr("a model is below, in " + folder_.path("m/a") + ", " + folder_.path("m/b") + ", " + folder_.path("m/c")),
                    Not(HasSubstr(folder_.path("m/d")))));
  // The last snapshot counts where the cache names none.
  std::filesystem::remove_all(folder_.path("m"));
  folder_.write("m/snapshots/a/config.json", "{}");
  folder_.write("m/snapshots/b/config.json", "{}");
  EXPECT_THAT(error("tokenizer.json"), HasSubstr("its files are in " + folder_.path("m/snapshots/b")));
}

TEST_F(ModelFiles, TokenizersOfOtherKindsAreNamed) {
  write_model("m");
  EXPECT_THAT(error("tokenizer.json"), HasSubstr("no such file tokenizer.json; the one of the model"));
  for (const char* name : {"spiece.model", "tekken.json"}) {
    folder_.write(std::string("m/") + name, "x");
    EXPECT_THAT(error("tokenizer.json"), AllOf(HasSubstr(name), HasSubstr("converts it to tokenizer.json")));
    std::filesystem::remove(folder_.path(std::string("m/") + name));
  }
}

TEST_F(ModelFiles, OtherFilesUnderTheNameOfSafetensorsAreNamed) {
  const auto says = [&](const std::string& bytes) {
    folder_.write("x.safetensors", bytes);
    return test::message_of<FormatError>([&] { SafetensorsFile::open(folder_.path("x.safetensors")); });
  };
  EXPECT_THAT(says("version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 123\n"), HasSubstr("git lfs pull"));
  EXPECT_THAT(says("<!DOCTYPE html><html>"), HasSubstr("HTML"));
  EXPECT_THAT(says(std::string("PK\x03\x04", 4) + "archive/data.pkl"), HasSubstr("pickled"));
  EXPECT_THAT(says("GGUF and more"), HasSubstr("GGUF"));
  EXPECT_THAT(says(""), HasSubstr("download it again"));
  const std::string header = R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";
  const std::string length(1, static_cast<char>(header.size()));
  EXPECT_THAT(says(length + std::string(7, '\0') + header + "1234"), HasSubstr("cut short"));
  EXPECT_THAT(says(length + std::string(7, '\0') + header.substr(0, 9)), HasSubstr("cut short"));
}

}  // namespace
}  // namespace lazuli
