// Tests of safetensors files: round trips, views, checkpoints and files made to deceive the reader.
#include "lazuli/safetensors.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>

#include "base/file.h"
#include "support/source_folder.h"

namespace lazuli {
namespace {

namespace fs = std::filesystem;

class SafetensorsTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("lazuli_safetensors_" + std::to_string(getpid()));
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }
  std::string path(const std::string& name = "x.safetensors") const { return (folder_ / name).string(); }

  /// Writes a file with this header and as many zero bytes of data.
  std::string write_raw(const std::string& header, size_t data_bytes, const std::string& name = "x.safetensors") const {
    const uint64_t length = header.size();
    std::string content(sizeof(length), '\0');
    std::memcpy(content.data(), &length, sizeof(length));
    write_file(path(name), content + header + std::string(data_bytes, '\0'));
    return path(name);
  }
  /// The message of the FormatError of opening that file.
  std::string refusal(const std::string& header, size_t data_bytes) const {
    const std::string file = write_raw(header, data_bytes);
    try {
      SafetensorsFile::open(file);
    } catch (const FormatError& e) {
      const std::string message = e.what();
      return message.rfind(file + ": ", 0) == 0 ? message.substr(file.size() + 2) : "no file name in: " + message;
    }
    return "no error";
  }
  fs::path folder_;
};

TEST_F(SafetensorsTest, EveryDTypeSurvivesTheRoundTrip) {
  std::map<std::string, Tensor> tensors;
  for (int i = 0; i < kDTypeCount; ++i) {
    const auto d = static_cast<DType>(i);
    tensors["t." + std::string(name_of(d))] = Tensor::from_vector<int32_t>({0, 1, 1, 0, 1, 0}, {2, 3}).to(d);
  }
  tensors["empty"] = Tensor::zeros(DType::f32, {0, 4});
  tensors["scalar \"\xc3\xa9\""] = Tensor::from_vector<float>({2.5F}, Shape{});
  save_safetensors(path(), tensors, {{"format", "pt"}, {"note", "line\n"}});

  const SafetensorsFile file = SafetensorsFile::open(path());
  EXPECT_EQ(file.metadata(), (std::map<std::string, std::string>{{"format", "pt"}, {"note", "line\n"}}));
  ASSERT_EQ(file.names().size(), tensors.size());
  for (const auto& [name, tensor] : tensors) {
    const Tensor read = file.tensor(name);
    EXPECT_EQ(read.dtype(), tensor.dtype()) << name;
    EXPECT_EQ(read.shape(), tensor.shape()) << name;
    EXPECT_EQ(read.to_vector<double>(), tensor.to_vector<double>()) << name;
    EXPECT_EQ(file.info(name).nbytes, tensor.nbytes());
  }
}

TEST_F(SafetensorsTest, WritesTheBytesOfTheReferenceImplementation) {
  const std::string original = source_folder() + "/tests/data/pycoder-16m/lora_after_40_steps/adapter_model.safetensors";
  const SafetensorsFile file = SafetensorsFile::open(original);
  std::map<std::string, Tensor> tensors;
  for (const std::string& name : file.names()) tensors[name] = file.tensor(name);
  save_safetensors(path(), tensors, file.metadata());
  EXPECT_TRUE(read_file(path(), size_t{1} << 30) == read_file(original, size_t{1} << 30));
}

TEST_F(SafetensorsTest, StridedTensorsAreWrittenInRowMajorOrder) {
  const Tensor t = Tensor::from_vector<float>({1, 2, 3, 4, 5, 6}, {2, 3});
  save_safetensors(path(), {{"t", Tensor(DType::f32, {3, 2}, {1, 3}, t.buffer(), 0)}});
  EXPECT_EQ(SafetensorsFile::open(path()).tensor("t").to_vector<float>(), (std::vector<float>{1, 4, 2, 5, 3, 6}));
}

TEST_F(SafetensorsTest, AlignedTensorsAreViewsThatOutliveTheFile) {
  save_safetensors(path(), {{"a", Tensor::from_vector<float>({1, 2}, {2})}, {"b", Tensor::from_vector<float>({3, 4}, {2})}});
  Tensor a;
  {
    const SafetensorsFile file = SafetensorsFile::open(path());
    a = file.tensor("a");
    EXPECT_EQ(a.buffer().get(), file.tensor("b").buffer().get());
  }
  EXPECT_EQ(a.to_vector<float>(), (std::vector<float>{1, 2}));
  a.mutable_data<float>()[0] = 9;
  EXPECT_EQ(SafetensorsFile::open(path()).tensor("a").to_vector<float>(), (std::vector<float>{1, 2}));
}

TEST_F(SafetensorsTest, UnalignedTensorsAreCopied) {
  const SafetensorsFile file = SafetensorsFile::open(write_raw(R"({"t":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 4));
  ASSERT_NE(file.info("t").offset % 4, 0U);
  EXPECT_EQ(file.tensor("t").to_vector<float>(), std::vector<float>{0});
}

TEST_F(SafetensorsTest, UnsupportedDTypesAreListedAndRefusedByNameWhenRead) {
  for (const char* dtype : {"I16", "U16", "F8_E4M3", "F8_E5M2", "U32", "U64", "C64"}) {
    const std::string bits = dtype;
    const size_t bytes = bits.find("16") != std::string::npos ? 2 : bits.find("64") != std::string::npos ? 8 : bits == "U32" ? 4 : 1;
    const SafetensorsFile file = SafetensorsFile::open(
        write_raw(R"({"t":{"dtype":")" + bits + R"(","shape":[3],"data_offsets":[0,)" + std::to_string(3 * bytes) + "]}}", 3 * bytes));
    EXPECT_EQ(file.info("t").dtype_name, dtype);
    EXPECT_FALSE(file.info("t").dtype);
    try {
      file.tensor("t");
      ADD_FAILURE() << dtype;
    } catch (const DTypeError& e) {
      EXPECT_EQ(std::string(e.what()), path() + ": tensor 't': dtype " + dtype + " is not supported");
    }
  }
}

TEST_F(SafetensorsTest, EveryDTypeOfTheFormatHasItsSize) {
  const std::pair<const char*, size_t> bits[] = {{"BOOL", 8}, {"F4", 4},      {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"U8", 8},
                                                 {"I8", 8},   {"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"I16", 16},
                                                 {"U16", 16}, {"F16", 16},    {"BF16", 16},   {"I32", 32},    {"U32", 32},
                                                 {"F32", 32}, {"C64", 64},    {"F64", 64},    {"I64", 64},    {"U64", 64}};
  for (const auto& [dtype, size] : bits) {
    const auto header = [&, name = std::string(dtype)](size_t bytes) {
      return R"({"t":{"dtype":")" + name + R"(","shape":[8],"data_offsets":[0,)" + std::to_string(bytes) + "]}}";
    };
    EXPECT_EQ(SafetensorsFile::open(write_raw(header(size), size)).info("t").nbytes, size) << dtype;
    EXPECT_EQ(refusal(header(size + 1), size + 1), "tensor 't': " + std::string(dtype) + " (8) needs " + std::to_string(size) +
                                                       " bytes, data_offsets [0, " + std::to_string(size + 1) + "] hold " +
                                                       std::to_string(size + 1));
  }
}

TEST_F(SafetensorsTest, AcceptsWhatTheFormatAllows) {
  EXPECT_TRUE(SafetensorsFile::open(write_raw("{}", 0)).names().empty());
  EXPECT_TRUE(SafetensorsFile::open(write_raw("{}      ", 0)).names().empty());
  EXPECT_EQ(SafetensorsFile::open(write_raw(R"({"e":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},
      "t":{"dtype":"U8","shape":[],"data_offsets":[0,1],"extra":{"x":1}},"f":{"dtype":"F32","shape":[2,0],"data_offsets":[1,1]}})",
                                            1))
                .names(),
            (std::vector<std::string>{"e", "f", "t"}));
  EXPECT_EQ(SafetensorsFile::open(write_raw(R"({"t":{"dtype":"F4","shape":[2],"data_offsets":[0,1]}})", 1)).info("t").nbytes, 1U);
}

TEST_F(SafetensorsTest, LengthsThatLookLikeOtherFilesAreLengths) {
  // Pickles of protocol 2 begin with 80 02.
  for (const size_t length : {size_t{0x280}, size_t{0x10280}}) {
    EXPECT_TRUE(SafetensorsFile::open(write_raw("{}" + std::string(length - 2, ' '), 0)).names().empty()) << length;
  }
  write_file(path(), std::string("\x80\x02}q\x00.", 6));
  EXPECT_THROW(SafetensorsFile::open(path()), FormatError);
}

TEST_F(SafetensorsTest, RefusesFilesWithoutAWholeHeader) {
  const auto error = [&](const std::string& content) -> std::string {
    write_file(path(), content);
    try {
      SafetensorsFile::open(path());
    } catch (const FormatError& e) {
      return std::string(e.what()).substr(path().size() + 2);
    }
    return "no error";
  };
  const auto length = [](uint64_t n) {
    std::string s(8, '\0');
    std::memcpy(s.data(), &n, 8);
    return s;
  };
  EXPECT_EQ(error(""), "a header length of 8 bytes expected, the file has 0; download it again");
  EXPECT_EQ(error("1234567"), "a header length of 8 bytes expected, the file has 7; download it again");
  EXPECT_EQ(error(length(3) + "{}"), "the header of 3 bytes leaves the file of 10 bytes, which is cut short or no safetensors file");
  EXPECT_EQ(error(length(100000000) + "{}"),
            "the header of 100000000 bytes leaves the file of 10 bytes, which is cut short or no safetensors file");
  const std::string other = ": the file is damaged or no safetensors file";
  EXPECT_EQ(error(length(100000001) + "{}"), "a header of at most 100000000 bytes expected, its length is 100000001" + other);
  EXPECT_EQ(error(length(~uint64_t{0}) + "{}"), "a header of at most 100000000 bytes expected, its length is 18446744073709551615" + other);
  EXPECT_EQ(error(length(0)), "a header that begins with '{' expected");
  EXPECT_EQ(error(length(3) + " {}"), "a header that begins with '{' expected");
  EXPECT_EQ(error(length(2) + "[]"), "a header that begins with '{' expected");
}

TEST_F(SafetensorsTest, RefusesHeadersThatAreNoJson) {
  for (const std::string& header : {std::string("{"), std::string("{}x"), std::string("{\"\xff\":1}"), std::string("{}\0", 3)}) {
    EXPECT_EQ(refusal(header, 0).rfind("valid JSON expected", 0), 0U) << refusal(header, 0);
  }
  EXPECT_EQ(refusal("{\"a\":" + std::string(100000, '[') + std::string(100000, ']') + "}", 0),
            "valid JSON expected: line 1, column 13: at most 8 levels expected");
}

/// A header with one tensor 't'.
std::string one(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return R"({"t":{"dtype":)" + dtype + R"(,"shape":)" + shape + R"(,"data_offsets":)" + offsets + "}}";
}

TEST_F(SafetensorsTest, RefusesTensorsThatContradictThemselves) {
  const struct {
    std::string header;
    std::string message;
  } cases[] = {
      {R"({"t":5})", "an object with dtype, shape and data_offsets expected"},
      {R"({"t":{"shape":[1],"data_offsets":[0,4]}})", "key 'dtype' expected"},
      {R"({"t":{"dtype":"F32","data_offsets":[0,4]}})", "key 'shape' expected"},
      {R"({"t":{"dtype":"F32","shape":[1]}})", "key 'data_offsets' expected"},
      {R"({"t":{"dtype":"F32","dtype":"I32","shape":[1],"data_offsets":[0,4]}})", "key 'dtype' occurs twice"},
      {one("\"F33\"", "[1]", "[0,4]"), "a dtype of the format expected, got 'F33'"},
      {one("\"F32\"", "4", "[0,4]"), "an array as shape expected"},
      {one("\"F32\"", "[-1]", "[0,4]"), "dimensions must be integers of at least 0"},
      {one("\"F32\"", "[1.0]", "[0,4]"), "dimensions must be integers of at least 0"},
      {one("\"F32\"", "[18446744073709551615]", "[0,4]"), "dimensions must be integers of at least 0"},
      {one("\"F32\"", "[1,1,1,1,1,1,1,1,1]", "[0,4]"), "at most 8 dimensions expected"},
      {one("\"F32\"", "[4611686018427387904,4]", "[0,4]"), "the size of shape (4611686018427387904, 4) overflows"},
      {one("\"F32\"", "[4294967296,4294967296,0]", "[0,0]"), "the size of shape (4294967296, 4294967296, 0) overflows"},
      {one("\"F4\"", "[1]", "[0,1]"), "F4 (1) does not fill whole bytes"},
      {one("\"F32\"", "[1]", "4"), "an array as data_offsets expected"},
      {one("\"F32\"", "[1]", "[0]"), "two data_offsets expected, got 1"},
      {one("\"F32\"", "[1]", "[0,4,8]"), "two data_offsets expected, got more"},
      {one("\"F32\"", "[1]", "[-4,0]"), "data_offsets must be integers of at least 0"},
      {one("\"F32\"", "[1]", "[0,\"4\"]"), "data_offsets must be integers of at least 0"},
      {one("\"F32\"", "[1]", "[4,0]"), "data_offsets [4, 0] end before they begin"},
      {one("\"F32\"", "[2]", "[0,8]"), "data_offsets [0, 8] leave the 4 bytes of data: the file is cut short"},
      {one("\"F32\"", "[1]", "[9223372036854775803,9223372036854775807]"),
       "data_offsets [9223372036854775803, 9223372036854775807] leave the 4 bytes of data: the file is cut short"},
      {one("\"F32\"", "[2]", "[0,4]"), "F32 (2) needs 8 bytes, data_offsets [0, 4] hold 4"},
      {one("\"BF16\"", "[1]", "[0,4]"), "BF16 (1) needs 2 bytes, data_offsets [0, 4] hold 4"},
  };
  for (const auto& c : cases) EXPECT_EQ(refusal(c.header, 4), "tensor 't': " + c.message) << c.header;
}

TEST_F(SafetensorsTest, RefusesHolesOverlapsAndRepeatedNames) {
  const auto two = [](const char* first, const char* second) {
    return std::string(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":)") + first + R"(},"b":{"dtype":"U8","shape":[2],"data_offsets":)" +
           second + "}}";
  };
  EXPECT_EQ(refusal(two("[0,2]", "[2,4]"), 4), "no error");
  EXPECT_EQ(refusal(two("[2,4]", "[0,2]"), 4), "no error");
  EXPECT_EQ(refusal(two("[0,2]", "[1,3]"), 3), "tensor 'b': data at offset 1 overlaps another tensor, 2 expected");
  EXPECT_EQ(refusal(two("[0,2]", "[0,2]"), 2).substr(10), ": data at offset 0 overlaps another tensor, 2 expected");
  EXPECT_EQ(refusal(two("[0,2]", "[3,5]"), 5), "tensor 'b': data at offset 3 leaves a hole, 2 expected");
  EXPECT_EQ(refusal(two("[1,3]", "[3,5]"), 5), "tensor 'a': data at offset 1 leaves a hole, 0 expected");
  EXPECT_EQ(refusal(two("[0,2]", "[2,4]"), 5), "the tensors end at offset 4, the data has 5 bytes");
  EXPECT_EQ(refusal("{}", 1), "the tensors end at offset 0, the data has 1 bytes");
  EXPECT_EQ(refusal(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})", 2),
            "tensor 'a': the name occurs twice");
  EXPECT_EQ(refusal(R"({"__metadata__":{"k":"1","k":"2"}})", 0), "metadata key 'k' occurs twice");
  EXPECT_EQ(refusal(R"({"__metadata__":{},"__metadata__":{}})", 0), "one __metadata__ expected, got two");
  EXPECT_EQ(refusal(R"({"__metadata__":{"k":1}})", 0), "$.__metadata__.k: a string expected, got an integer");
  EXPECT_EQ(refusal(R"({"__metadata__":[]})", 0), "$.__metadata__: an object expected, got an array");
}

TEST_F(SafetensorsTest, RefusesBooleansOtherThanZeroAndOne) {
  std::string content = read_file(write_raw(one("\"BOOL\"", "[3]", "[0,3]"), 3), 1000);
  content.back() = 2;
  write_file(path(), content);
  EXPECT_THROW(SafetensorsFile::open(path()).tensor("t"), FormatError);
}

TEST_F(SafetensorsTest, MissingFilesAndTensorsAreNamed) {
  EXPECT_THROW(SafetensorsFile::open(path("none")), IoError);
  EXPECT_THROW(SafetensorsFile::open(folder_.string()), IoError);
  save_safetensors(path(), {});
  EXPECT_THROW(SafetensorsFile::open(path()).tensor("t"), FormatError);
  EXPECT_THROW(save_safetensors(path(), {{"__metadata__", Tensor::zeros(DType::f32, {1})}}), ValueError);
  EXPECT_THROW(save_safetensors(path(), {{"t", Tensor()}}), ValueError);
  EXPECT_THROW(save_safetensors(path("no/such/folder"), {}), IoError);
}

TEST_F(SafetensorsTest, ACheckpointIsOneFileOrTheShardsOfItsIndex) {
  save_safetensors(path("one.safetensors"), {{"a", Tensor::from_vector<float>({1}, {1})}});
  save_safetensors(path("two.safetensors"), {{"b", Tensor::from_vector<float>({2}, {1})}, {"c", Tensor::from_vector<float>({3}, {1})}});
  write_file(path("model.safetensors.index.json"),
             R"({"metadata":{"total_size":8},"weight_map":{"a":"one.safetensors","b":"two.safetensors"}})");
  const Checkpoint sharded = Checkpoint::open(folder_.string());
  EXPECT_EQ(sharded.names(), (std::vector<std::string>{"a", "b", "c"}));  // also what the index does not list
  EXPECT_EQ(sharded.files().size(), 2U);
  EXPECT_EQ(sharded.tensor("b").item(), 2.0);
  EXPECT_EQ(sharded.tensor("c").item(), 3.0);
  EXPECT_THROW(sharded.tensor("d"), FormatError);

  EXPECT_EQ(Checkpoint::open(path("two.safetensors")).names(), (std::vector<std::string>{"b", "c"}));
  save_safetensors(path("model.safetensors"), {{"x", Tensor::zeros(DType::i8, {1})}});
  EXPECT_EQ(Checkpoint::open(folder_.string()).names(), std::vector<std::string>{"x"});
  EXPECT_THROW(Checkpoint::open(path("nowhere")), IoError);
}

TEST_F(SafetensorsTest, ACheckpointRefusesIndexesThatLeadAstray) {
  save_safetensors(path("one.safetensors"), {{"a", Tensor::zeros(DType::f32, {1})}});
  const auto open = [&](const std::string& weight_map) {
    write_file(path("model.safetensors.index.json"), R"({"weight_map":)" + weight_map + "}");
    return Checkpoint::open(folder_.string());
  };
  const std::string outside = folder_.filename().string();
  EXPECT_EQ(open(R"({"a":"./one.safetensors"})").names().size(), 1U);
  EXPECT_THROW(open(R"({"a":"../)" + outside + R"(/one.safetensors"})"), FormatError);
  EXPECT_THROW(open(R"({"a":"x/../../one.safetensors"})"), FormatError);
  EXPECT_THROW(open(R"({"a":")" + path("one.safetensors") + R"("})"), FormatError);
  EXPECT_THROW(open(R"({"a":""})"), FormatError);
  EXPECT_THROW(open(R"({"a":"one.safetensors\u0000.x"})"), FormatError);
  EXPECT_THROW(open(R"({"a":1})"), FormatError);
  EXPECT_THROW(open(R"([])"), FormatError);
  EXPECT_THROW(open(R"({"a":"one.safetensors","a":"one.safetensors"})"), FormatError);
  EXPECT_THROW(open(R"({"b":"one.safetensors"})"), FormatError);
  EXPECT_THROW(open(R"({"a":"none.safetensors"})"), IoError);
}

}  // namespace
}  // namespace lazuli
