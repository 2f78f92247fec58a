// Checks the table of formats against what gguf, mlx and the documentation of AutoGPTQ, AutoAWQ and bitsandbytes make of the same bytes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <set>

#include "base/json.h"
#include "conformance/data.h"
#include "conformance/harness.h"
#include "lazuli/error.h"
#include "lazuli/op.h"
#include "lazuli/quantize.h"
#include "support/attributes.h"
#include "support/each_target.h"
#include "support/source_folder.h"
#include "support/temp_folder.h"

namespace lazuli {
namespace {

using testing::HasSubstr;

template <class T>
std::vector<T> from_hex(std::string_view hex) {
  std::string bytes;
  for (size_t k = 0; k + 1 < hex.size(); k += 2) bytes.push_back(static_cast<char>(std::stoi(std::string(hex.substr(k, 2)), nullptr, 16)));
  std::vector<T> values(bytes.size() / sizeof(T));
  std::memcpy(values.data(), bytes.data(), values.size() * sizeof(T));
  return values;
}

Tensor tensor_of(const JsonValue& part) {
  Shape shape;
  for (const JsonValue& d : part.get("shape").as_array()) shape.push_back(d.as_int());
  const std::string_view type = part.get("dtype").as_string(), data = part.get("data").as_string();
  if (type == "i32") return Tensor::from_vector(from_hex<int32_t>(data), shape);
  if (type == "f32") return Tensor::from_vector(from_hex<float>(data), shape);
  if (type == "f16") return Tensor::from_vector(from_hex<f16>(data), shape);
  return Tensor::from_vector(from_hex<uint8_t>(data), shape);
}

struct StoredCase {
  QuantizedWeight weight;
  std::vector<float> values;
};

std::vector<StoredCase> stored_cases() {
  const JsonDocument document = JsonDocument::read(source_folder() + "/tests/data/quant_blocks.json");
  std::vector<StoredCase> cases;
  for (const JsonValue& c : document.root().get("cases").as_array()) {
    const QuantFormat* format = find_quant_format(c.get("format").as_string());
    if (format == nullptr) throw ValueError("a format of the fixture is not in the table");
    StoredCase stored{{format->id, c.get("outputs").as_int(), c.get("inputs").as_int(), {}}, from_hex<float>(c.get("values").as_string())};
    for (const JsonValue& part : c.get("parts").as_array()) stored.weight.parts.push_back(tensor_of(part));
    cases.push_back(std::move(stored));
  }
  return cases;
}

TEST(StoredFormats, GiveTheNumbersOfTheirOwnLibraries) {
  std::set<QuantFormatId> seen;
  for (const StoredCase& c : stored_cases()) {
    seen.insert(c.weight.format);
    EXPECT_EQ(dequantized(c.weight).to_vector<float>(), c.values) << name_of(c.weight.format);
  }
  // int8 and int4 are this library's own: quantize_test checks them.
  EXPECT_EQ(seen.size(), static_cast<size_t>(kQuantFormatCount) - 3);
}

TEST(StoredFormats, AreExpandedExactlyByTheProcessorsKernels) {
  on_every_target([](const std::string& target) {
    for (const StoredCase& c : stored_cases()) {
      const QuantFormat& format = quant_format(c.weight.format);
      if (!format.has_kernels()) continue;
      const conformance::OpCall call{Op::dequantize, c.weight.parts,
                                     attrs(0, static_cast<int64_t>(DType::f32), static_cast<int64_t>(format.id))};
      EXPECT_EQ(conformance::run(cpu_backend(), call)[0].to_vector<float>(), c.values) << target << " " << format.name;
    }
  });
}

TEST(StoredFormats, HaveNamesAndFindThemselves) {
  std::set<std::string_view> names;
  for (const QuantFormat& f : quant_formats()) {
    EXPECT_TRUE(names.insert(f.name).second) << f.name;
    EXPECT_EQ(find_quant_format(f.name), &f);
    EXPECT_EQ(&quant_format(f.id), &f);
    EXPECT_EQ(name_of(f.id), f.name);
    EXPECT_GT(f.bits(), 0);
  }
  EXPECT_EQ(find_quant_format("q9_z"), nullptr);
  EXPECT_EQ(name_of(QuantFormatId::none), "none");
  EXPECT_THROW(quant_format(QuantFormatId::none), ValueError);
  EXPECT_THROW(quant_format(static_cast<QuantFormatId>(200)), ValueError);
}

TEST(StoredFormats, RefuseWhatDoesNotFit) {
  const auto refused = [](auto error, const QuantizedWeight& weight) {
    return test::message_of<decltype(error)>([&] { dequantized(weight); });
  };
  EXPECT_THAT(test::message_of<ShapeError>([] { parts_of(quant_format(QuantFormatId::q4_k), 2, 300); }),
              HasSubstr("[q4_k] 300 inputs are no multiple of 256"));
  EXPECT_THAT(test::message_of<ShapeError>([] { parts_of(quant_format(QuantFormatId::awq4), 12, 8, 8); }),
              HasSubstr("[awq4] 12 outputs are no multiple of 8"));
  EXPECT_THAT(refused(ShapeError(""), {QuantFormatId::q8_0, 2, 32, {Tensor::zeros(DType::u8, {2, 33})}}),
              HasSubstr("q8_0: blocks of shape (2, 34) are expected, got (2, 33)"));
  EXPECT_THAT(refused(DTypeError(""), {QuantFormatId::q8_0, 2, 32, {Tensor::zeros(DType::i8, {2, 34})}}),
              HasSubstr("cannot have the dtype i8"));
  EXPECT_THAT(refused(ShapeError(""), {QuantFormatId::int4, 2, 32, {Tensor::zeros(DType::u8, {2, 16})}}),
              HasSubstr("int4 needs a tensor of scales"));
  // A damaged order of the inputs must not be followed out of the scales.
  for (StoredCase& c : stored_cases()) {
    if (!quant_format(c.weight.format).permuted || c.weight.parts.size() < 4) continue;
    auto groups = c.weight.parts[3].to_vector<int32_t>();
    for (const int32_t odd : {-1, 3, 1 << 30}) {
      groups[5] = odd;
      c.weight.parts[3] = Tensor::from_vector(groups, c.weight.parts[3].shape());
      EXPECT_THAT(refused(ValueError(""), c.weight), HasSubstr("is out of range for 3"));
    }
  }
}

}  // namespace
}  // namespace lazuli
