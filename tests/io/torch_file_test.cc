// Checks files of torch.save: what torch wrote is read exactly, and nothing in a hostile file runs, crashes or takes memory.
#include "io/torch_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/file.h"
#include "base/json.h"
#include "io/pickled_tensors.h"
#include "io/torch_checkpoint.h"
#include "lazuli/adapter.h"
#include "lazuli/error.h"
#include "lazuli/model.h"
#include "lazuli/safetensors.h"
#include "models/fuse.h"
#include "support/source_folder.h"
#include "support/temp_folder.h"
#include "support/zip_writer.h"

namespace lazuli {
namespace {

using test::message_of;
using test::TempFolder;
using test::ZipWriter;
using testing::HasSubstr;

std::string torch_data(const std::string& name) { return source_folder() + "/tests/data/torch/" + name; }

std::vector<double> numbers_of(const TorchFile& file, const char* name) { return file.tensor(name).to(DType::f64).to_vector<double>(); }

TEST(TorchFiles, EveryDTypeAndViewIsRead) {
  const TorchFile file = TorchFile::open(torch_data("tensors.bin"));
  const std::vector<double> six = {0, 1, 2, 3, 4, 5};
  for (const char* name : {"float32", "float16", "bfloat16", "float64", "int64", "int32", "int8", "uint8"}) {
    EXPECT_EQ(file.info(name).shape, (Shape{2, 3})) << name;
    EXPECT_EQ(numbers_of(file, name), six) << name;
  }
  EXPECT_EQ(file.info("int16").dtype_name, "I16");
  EXPECT_THROW(file.tensor("int16"), DTypeError);
  EXPECT_EQ(file.tensor("bool").to(DType::i32).to_vector<int32_t>(), (std::vector<int32_t>{1, 0, 1}));
  EXPECT_EQ(numbers_of(file, "part"), (std::vector<double>{4, 5, 6, 7, 8, 9}));
  EXPECT_EQ(numbers_of(file, "rows"), (std::vector<double>{6, 8, 10, 12, 14, 16}));
  const std::vector<double> turned = numbers_of(file, "transposed");
  ASSERT_EQ(file.info("transposed").shape, (Shape{6, 4}));
  for (size_t k = 0; k < turned.size(); ++k) EXPECT_EQ(turned[k], static_cast<double>(k % 4 * 6 + k / 4));
  EXPECT_EQ(numbers_of(file, "parameter"), (std::vector<double>{1.5, -2.5}));
  EXPECT_EQ(numbers_of(file, "one"), std::vector<double>{7});
  EXPECT_EQ(file.info("one").shape, Shape{});
  EXPECT_EQ(file.tensor("empty").shape(), (Shape{0, 5}));
}

TEST(TorchFiles, RowMajorTensorsAreViewsOfTheFile) {
  const TorchFile file = TorchFile::open(torch_data("tensors.bin"));
  EXPECT_EQ(static_cast<float*>(file.tensor("part").raw()), static_cast<float*>(file.tensor("whole").raw()) + 4);
}

/// Compares a model's logits, with an adapter or without, with those of transformers and PEFT.
void expect_torch_logits(const std::string& folder, const char* key, bool adapted) {
  const JsonDocument expected = JsonDocument::read(torch_data("model/expected.json"));
  std::vector<int32_t> ids;
  for (const JsonValue& id : expected.root().get("ids").as_array()) ids.push_back(static_cast<int32_t>(id.as_int()));
  const auto model = load_model(folder);
  const Adapter adapter = adapted ? Adapter::load(torch_data("adapter"), model->linears()) : Adapter();
  const AdapterContext context_of_adapter = adapted ? AdapterContext(adapter) : AdapterContext();
  ForwardContext context;
  context.ids = LazyTensor::from_tensor(Tensor::from_vector(ids, {1, static_cast<int64_t>(ids.size())}));
  if (adapted) context.adapter = &context_of_adapter;
  const auto logits = model->forward(context).eval().to_vector<float>();
  size_t at = 0;
  for (const JsonValue& right : expected.root().get(key).as_array()) {
    EXPECT_NEAR(logits.at(at++), right.as_double(), 2e-5 * (1 + std::fabs(right.as_double())));
  }
  EXPECT_EQ(at, logits.size());
}

TEST(TorchFiles, ModelsOfSeveralFilesGiveTheLogitsOfTransformers) { expect_torch_logits(torch_data("model"), "logits", false); }

TEST(TorchFiles, PickledAdaptersGiveTheLogitsOfPeft) { expect_torch_logits(torch_data("model"), "adapted", true); }

TEST(TorchFiles, FusedModelsAreSafetensors) {
  const TempFolder folder;
  EXPECT_EQ(fuse_adapter(torch_data("model"), torch_data("adapter"), folder.path("fused"), {}).layers, 2);
  EXPECT_TRUE(std::filesystem::exists(folder.path("fused/model.safetensors")));
  EXPECT_FALSE(std::filesystem::exists(folder.path("fused/pytorch_model.bin.index.json")));
  expect_torch_logits(folder.path("fused"), "adapted", false);
}

TEST(TorchFiles, SafetensorsComeFirst) {
  const TempFolder folder;
  folder.write("pytorch_model.bin", "not read");
  save_safetensors(folder.path("model.safetensors"), {{"a", Tensor::zeros(DType::f32, {1})}});
  EXPECT_EQ(open_weights(folder.path())->names(), std::vector<std::string>{"a"});
  std::filesystem::remove(folder.path("model.safetensors"));
  EXPECT_THROW(open_weights(folder.path()), FormatError);
  std::filesystem::remove(folder.path("pytorch_model.bin"));
  EXPECT_THROW(open_weights(folder.path()), IoError);
}

TEST(TorchFiles, OtherFilesAreRefusedByName) {
  const auto message = [](const char* name) { return message_of<FormatError>([&] { TorchFile::open(torch_data(name)); }); };
  EXPECT_THAT(message("old.bin"), HasSubstr("the layout before PyTorch 1.6"));
  EXPECT_THAT(message("code.bin"), HasSubstr("'posix.system' is refused: a pickle of tensors alone expected, and nothing that runs code"));
  EXPECT_THAT(message("model/config.json"), HasSubstr("a zip archive expected"));
}

TEST(TorchFiles, CutOffFilesAreErrors) {
  const TempFolder folder;
  const std::string whole = read_file(torch_data("tensors.bin"), 1 << 20);
  for (size_t size = 0; size < whole.size(); size += size < 200 ? 1 : 97) {
    folder.write("cut.bin", whole.substr(0, size));
    EXPECT_THROW(TorchFile::open(folder.path("cut.bin")), FormatError) << size;
  }
}

TEST(TorchFiles, ChangedBytesAreReadOrAnError) {
  const TempFolder folder;
  const std::string whole = read_file(torch_data("tensors.bin"), 1 << 20);
  for (size_t place = 0; place < whole.size(); place += 7) {
    std::string changed = whole;
    changed[place] = static_cast<char>(changed[place] ^ (place % 2 == 0 ? 0xff : 0x11));
    folder.write("changed.bin", changed);
    try {
      const TorchFile file = TorchFile::open(folder.path("changed.bin"));
      for (const std::string& name : file.names()) {
        if (file.info(name).dtype) file.tensor(name);
      }
    } catch (const FormatError&) {
    }
  }
}

// Pickles in the words of the format.
std::string text(const std::string& s) {
  std::string length(4, '\0');
  for (size_t k = 0; k < 4; ++k) length[k] = static_cast<char>(s.size() >> (8 * k));
  return "X" + length + s;
}
std::string integer(int64_t n) {
  std::string bytes = "\x8a\x08";
  for (size_t k = 0; k < 8; ++k) bytes += static_cast<char>(static_cast<uint64_t>(n) >> (8 * k));
  return bytes;
}
std::string tuple(const std::vector<int64_t>& numbers) {
  std::string s = "(";
  for (const int64_t n : numbers) s += integer(n);
  return s + "t";
}
std::string tensor(const std::string& kind, int64_t count, int64_t offset, const std::vector<int64_t>& sizes,
                   const std::vector<int64_t>& strides) {
  return "ctorch._utils\n_rebuild_tensor_v2\n((" + text("storage") + "ctorch\n" + kind + "\n" + text("0") + text("cpu") + integer(count) +
         "tQ" + integer(offset) + tuple(sizes) + tuple(strides) + "\x89}tR";
}
std::string pickle(const std::string& items) { return "\x80\x02}(" + items + "u."; }

std::string archive(const std::string& items, const std::string& storage = std::string(24, '\1')) {
  return ZipWriter().add("m/data.pkl", pickle(items)).add("m/data/0", storage).text();
}

std::string torch_error(const std::string& bytes) {
  const TempFolder folder;
  folder.write("x.bin", bytes);
  return message_of<FormatError>([&] { TorchFile::open(folder.path("x.bin")); });
}

TEST(TorchFiles, TensorsOutsideTheirStorageAreErrors) {
  const auto says = [](int64_t count, int64_t offset, const std::vector<int64_t>& sizes, const std::vector<int64_t>& strides) {
    return torch_error(archive(text("w") + tensor("FloatStorage", count, offset, sizes, strides)));
  };
  constexpr int64_t kLarge = int64_t{1} << 62;
  EXPECT_THAT(says(6, 1, {6}, {1}), HasSubstr("tensor 'w': elements up to 6 of a storage that has 6"));
  EXPECT_THAT(says(6, 7, {0}, {1}), HasSubstr("of a storage that has 6"));
  EXPECT_THAT(says(7, 0, {6}, {1}), HasSubstr("a storage of 7 F32 expected, its file has 24 bytes"));
  EXPECT_THAT(says(kLarge, 0, {6}, {1}), HasSubstr("its file has 24 bytes"));
  EXPECT_THAT(says(6, 0, {2, 3}, {kLarge, kLarge}), HasSubstr("fit 64 bits"));
  EXPECT_THAT(says(6, kLarge, {2}, {kLarge}), HasSubstr("fit 64 bits"));
  EXPECT_THAT(says(6, 0, {kLarge}, {0}), HasSubstr("repeated ones are not supported"));
  EXPECT_THAT(says(6, 0, {7}, {0}), HasSubstr("7 elements of a storage that has 6"));
  EXPECT_THAT(says(6, 0, {0, kLarge, 4}, {0, 0, 0}), HasSubstr("fit 64 bits"));
  EXPECT_THAT(says(6, 0, {-1}, {1}), HasSubstr("sizes of at least 0 expected, got -1"));
  EXPECT_THAT(says(6, 0, {2}, {-1}), HasSubstr("strides of at least 0"));
  EXPECT_THAT(says(6, -1, {2}, {1}), HasSubstr("an offset of at least 0"));
  EXPECT_THAT(says(6, 0, {2, 3}, {1}), HasSubstr("2 strides expected"));
  EXPECT_THAT(says(6, 0, std::vector<int64_t>(9, 1), std::vector<int64_t>(9, 1)), HasSubstr("at most 8 dimensions"));
  EXPECT_THAT(torch_error(archive(text("w") + tensor("CharStorage", 24, 0, {2}, {1}) + text("w") + tensor("CharStorage", 24, 0, {2}, {1}))),
              HasSubstr("the name occurs twice"));
  EXPECT_THAT(torch_error(ZipWriter().add("m/data.pkl", pickle(text("w") + tensor("FloatStorage", 6, 0, {6}, {1}))).text()),
              HasSubstr("the file m/data/0 expected"));
}

TEST(TorchFiles, BytesThatAreNoBoolAreErrors) {
  const TempFolder folder;
  folder.write("x.bin", archive(text("w") + tensor("BoolStorage", 24, 0, {24}, {1}), std::string(23, '\1') + "\2"));
  const TorchFile file = TorchFile::open(folder.path("x.bin"));
  EXPECT_THAT(message_of<FormatError>([&] { file.tensor("w"); }), HasSubstr("0 or 1 expected for BOOL at element 23, got 2"));
}

TEST(TorchFiles, ArchivesAreCheckedInFull) {
  const std::string items = text("w") + tensor("FloatStorage", 6, 0, {6}, {1}), storage(24, '\1');
  const auto with = [&](const test::ZipChange& change) {
    return torch_error(ZipWriter().add("m/data.pkl", pickle(items)).add("m/data/0", storage, change).text());
  };
  EXPECT_THAT(with({.method = 8}), HasSubstr("file 'm/data/0': stored bytes expected, got the compression 8"));
  EXPECT_THAT(with({.flags = 1}), HasSubstr("it is encrypted"));
  EXPECT_THAT(with({.size = 1 << 20}), HasSubstr("overlap the directory"));
  EXPECT_THAT(with({.header = 0}), HasSubstr("another name stands in its header"));
  EXPECT_THAT(with({.header = 5}), HasSubstr("its header expected at 5"));
  EXPECT_THAT(with({.header = 0x7fffffff}), HasSubstr("the file ends at"));
  EXPECT_THAT(torch_error(ZipWriter().add("m/data.pkl", pickle(items)).add("m/data.pkl", storage).text()), HasSubstr("occurs twice"));
  EXPECT_THAT(torch_error(ZipWriter().add("m/data.pkl", pickle(items), {.size = 400}).add("m/data/0", std::string(900, '\1')).text()),
              HasSubstr("overlap"));
  EXPECT_THAT(torch_error(ZipWriter().add("m/data.pkl", pickle(items)).add("n/data.pkl", "").text()), HasSubstr("got two"));
  EXPECT_THAT(torch_error(ZipWriter().add("m/code.py", "").text()), HasSubstr("data.pkl expected in the archive"));
  EXPECT_THAT(torch_error(ZipWriter().add("m/data.pkl", pickle(items)).add("m/constants.pkl", "").text()), HasSubstr("TorchScript"));
  EXPECT_THAT(torch_error(ZipWriter().add("m/byteorder", "big").add("m/data.pkl", pickle(items)).text()), HasSubstr("little-endian"));
  const TempFolder folder;
  folder.write("x.bin", ZipWriter().add("m/data.pkl", pickle(items), {.large = true}).add("m/data/0", storage, {.large = true}).text(true));
  EXPECT_EQ(TorchFile::open(folder.path("x.bin")).tensor("w").shape(), Shape{6});
}

std::string pickle_error(const std::string& bytes) {
  return message_of<FormatError>([&] { read_pickled_tensors("x.pkl", bytes); });
}

TEST(Pickles, OnlyWhatTorchWritesIsCarriedOut) {
  EXPECT_THAT(pickle_error("\x80\x04."), HasSubstr("x.pkl: pickle: byte 0: protocol 2 expected, which torch writes, got 4"));
  for (const char* name :
       {"os\nsystem\n", "builtins\neval\n", "torch._utils\n_rebuild_tensor_v3\n", "numpy.core.multiarray\n_reconstruct\n"}) {
    EXPECT_THAT(pickle_error(std::string("\x80\x02") + "c" + name + ")R."), HasSubstr("is refused")) << name;
  }
  for (int code = 0; code < 256; ++code) {
    if (std::string_view("\x80"
                         "cqrhj()t\x85\x86\x87]}aesuXJKM\x8aG\x88\x89NQRb.")
            .find(static_cast<char>(code)) != std::string_view::npos)
      continue;
    EXPECT_THAT(pickle_error(std::string("\x80\x02") + static_cast<char>(code)), HasSubstr("is refused")) << code;
  }
  EXPECT_THAT(pickle_error("ctorch\nFloatStorage\n)R."), HasSubstr("a call of 'FloatStorage' is refused"));
  EXPECT_THAT(pickle_error("ccollections\nOrderedDict\n(K\x01tR."), HasSubstr("an empty OrderedDict expected"));
  EXPECT_THAT(pickle_error("c" + std::string(500, 'a') + "\n"), HasSubstr("a name of at most 256 bytes"));
  EXPECT_THAT(pickle_error(std::string("]K\1a.")), HasSubstr("a dict of tensors expected"));
  EXPECT_THAT(pickle_error(pickle(text("step") + "K\x05")), HasSubstr("tensor 'step': a tensor expected"));
  EXPECT_THAT(pickle_error(pickle(text("model") + "}")), HasSubstr("tensor 'model': a tensor expected, got a dict"));
  EXPECT_THAT(pickle_error(pickle("K\x05K\x05")), HasSubstr("texts as names"));
}

TEST(Pickles, StacksThatAreEmptyAreErrors) {
  for (const std::string bytes : {".",
                                  "t",
                                  "u",
                                  "e",
                                  "a",
                                  "s",
                                  "R",
                                  "b",
                                  "Q",
                                  "\x85",
                                  "\x86",
                                  "(\x85",
                                  "((u",
                                  "K\x01s",
                                  "K\x01"
                                  "a",
                                  "h\x01",
                                  "q\x01",
                                  "",
                                  "X\xff\xff\xff\xff",
                                  "\x8a\x09",
                                  "J\x01",
                                  "(K\x01.",
                                  "K\x01K\x02.",
                                  "N(R",
                                  "}(K\x01u"}) {
    EXPECT_THAT(pickle_error(bytes), HasSubstr("x.pkl: pickle: byte ")) << bytes;
  }
  EXPECT_THAT(pickle_error(std::string("K\1r\xff\xff\xff\x0f", 7)), HasSubstr("a memo of at most"));
  EXPECT_THAT(pickle_error(text("\xff")), HasSubstr("UTF-8"));
}

TEST(Pickles, RepeatedAndNestedValuesTakeNoMemory) {
  EXPECT_THAT(pickle_error(std::string(100000, '(')), HasSubstr("values nested at most 1000 deep"));
  EXPECT_THAT(pickle_error(std::string(1U << 22, ']')), HasSubstr("at most 1048576 values expected"));
  // Each list repeats the one before ten times; whole, the last would have 10^60 values.
  std::string bomb = "\x80\x02]q";
  bomb += '\0';
  for (int k = 0; k < 60; ++k) {
    bomb += "](";
    for (int n = 0; n < 10; ++n) bomb += std::string("h") + static_cast<char>(k);
    bomb += std::string("eq") + static_cast<char>(k + 1);
  }
  EXPECT_THAT(pickle_error(bomb + "."), HasSubstr("one value at the end expected"));
  // A list inside itself.
  EXPECT_THAT(pickle_error(std::string("]q\0h\0a.", 7)), HasSubstr("a dict of tensors expected"));
}

}  // namespace
}  // namespace lazuli
