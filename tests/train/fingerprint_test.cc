// Checks fingerprints against values that are kept: a training that an earlier version saved is to be known again.
#include "train/fingerprint.h"

#include <gtest/gtest.h>

#include <map>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "lazuli/ops.h"
#include "lazuli/safetensors.h"
#include "support/temp_folder.h"

namespace lazuli {
namespace {

/// Examples of the tensors that they are made of.
class Fixed : public Examples {
 public:
  explicit Fixed(std::vector<std::vector<Tensor>> examples) : examples_(std::move(examples)) {}
  int64_t count() const override { return static_cast<int64_t>(examples_.size()); }
  std::vector<Tensor> batch(std::span<const int64_t> indices) const override { return examples_[static_cast<size_t>(indices[0])]; }
  int64_t tokens(std::span<const Tensor>) const override { return 1; }

 private:
  std::vector<std::vector<Tensor>> examples_;
};

/// (x * 7 + 3) mod 251, byte after byte.
Tensor bytes_of(size_t count) {
  std::vector<uint8_t> bytes(count);
  for (size_t k = 0; k < count; ++k) bytes[k] = static_cast<uint8_t>((k * 7 + 3) % 251);
  return Tensor::from_vector(bytes, {static_cast<int64_t>(count)});
}

std::string of(std::vector<std::vector<Tensor>> examples) { return fingerprint_of(Fixed(std::move(examples))); }

TEST(Fingerprint, OfExamplesStaysWhatItWas) {
  EXPECT_EQ(of({}), "cbf29ce484222325");
  EXPECT_EQ(of({{bytes_of(8)}}), "8c1ff607cbe1d547");
  EXPECT_EQ(of({{bytes_of(13)}}), "23ff3c089d697c04");
  EXPECT_EQ(of({{bytes_of(3)}, {bytes_of(16), bytes_of(1)}}), "2a1328481cb3ce49");
  EXPECT_EQ(of({{Tensor::zeros(DType::f32, {2, 0})}}), "a3d9ea7e57fd366d");
  std::vector<int32_t> stream(100);
  std::iota(stream.begin(), stream.end(), 0);
  EXPECT_EQ(fingerprint_of(Windows(stream, 30)), "159949aaeb9398d4");
}

TEST(Fingerprint, OfExamplesIsOfEveryByteAndOfShapes) {
  const std::string one = of({{bytes_of(24)}});
  for (size_t k = 0; k < 24; ++k) {
    Tensor other = bytes_of(24);
    other.mutable_data<uint8_t>()[k] ^= 1;
    EXPECT_NE(of({{other}}), one) << k;
  }
  const Tensor flat = Tensor::from_vector<float>({1, 2, 3, 4, 5, 6}, {6});
  EXPECT_NE(of({{flat.reshape({2, 3})}}), of({{flat.reshape({3, 2})}}));
  EXPECT_NE(of({{bytes_of(3)}, {bytes_of(4)}}), of({{bytes_of(4)}, {bytes_of(3)}}));
}

class FingerprintOfModel : public testing::Test {
 protected:
  FingerprintOfModel() {
    tensors_ = {{"a.large", bytes_of(30001)}, {"b.two_parts", bytes_of(6000)}, {"c.one_part", bytes_of(4096)}, {"d.small", bytes_of(5)}};
    write("{\"model_type\": \"x\"}");
  }
  void write(const std::string& config) const {
    folder_.write("model/config.json", config);
    save_safetensors(folder_.path("model/model.safetensors"), tensors_);
  }
  std::string fingerprint() const { return fingerprint_of_model(folder_.path("model")); }
  std::string with_changed(const std::string& name, size_t byte) {
    const Tensor before = tensors_[name];
    Tensor other = Tensor::from_vector(before.to_vector<uint8_t>(), before.shape());
    other.mutable_data<uint8_t>()[byte] ^= 1;
    tensors_[name] = other;
    write("{\"model_type\": \"x\"}");
    const std::string changed = fingerprint();
    tensors_[name] = before;
    write("{\"model_type\": \"x\"}");
    return changed;
  }
  std::map<std::string, Tensor> tensors_;
  test::TempFolder folder_;
};

TEST_F(FingerprintOfModel, StaysWhatItWas) { EXPECT_EQ(fingerprint(), "b43ceaf016afabb9"); }

TEST_F(FingerprintOfModel, IsOfTheFirstMiddleAndLastBytesOfTensors) {
  const std::string own = fingerprint();
  constexpr size_t kPart = 4096, kMiddle = (30001 - kPart) / 2, kLast = 30001 - kPart;
  for (const size_t byte : {size_t{0}, kPart - 1, kMiddle, kMiddle + kPart - 1, kLast, size_t{30000}}) {
    EXPECT_NE(with_changed("a.large", byte), own) << byte;
  }
  for (const size_t byte : {kPart, kMiddle - 1, kMiddle + kPart, kLast - 1}) EXPECT_EQ(with_changed("a.large", byte), own) << byte;
  EXPECT_NE(with_changed("c.one_part", 2000), own);
  EXPECT_NE(with_changed("d.small", 4), own);
}

TEST_F(FingerprintOfModel, IsOfTheConfigurationNamesDtypesAndShapesToo) {
  const std::string own = fingerprint();
  write("{\"model_type\": \"y\"}");
  EXPECT_NE(fingerprint(), own);
  write("{\"model_type\": \"x\"}");
  EXPECT_EQ(fingerprint(), own);
  const Tensor small = tensors_["d.small"];
  tensors_["d.small"] = small.reshape({1, 5});
  write("{\"model_type\": \"x\"}");
  EXPECT_NE(fingerprint(), own);
  tensors_["d.small"] = Tensor::from_vector<int8_t>({3, 10, 17, 24, 31}, {5});
  write("{\"model_type\": \"x\"}");
  EXPECT_NE(fingerprint(), own);
  tensors_.erase("d.small");
  tensors_["e.small"] = small;
  write("{\"model_type\": \"x\"}");
  EXPECT_NE(fingerprint(), own);
}

TEST_F(FingerprintOfModel, TakesTensorsOfDtypesThatAreNotReadByNameAndShape) {
  const std::string header = R"({"w":{"dtype":"F8_E4M3","shape":[2,4],"data_offsets":[0,8]}})";
  std::string file(8, '\0');
  file[0] = static_cast<char>(header.size());
  folder_.write("model/model.safetensors", file + header + "12345678");
  EXPECT_EQ(fingerprint(), "5c6d98d91b6de0b1");
  folder_.write("model/model.safetensors", file + header + "12345679");
  EXPECT_EQ(fingerprint(), "5c6d98d91b6de0b1");
}

}  // namespace
}  // namespace lazuli
