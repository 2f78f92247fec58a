#include "support/whole_model.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <map>

#include "base/file.h"
#include "lazuli/shape.h"
#include "support/number_formulas.h"
#include "support/source_folder.h"

namespace lazuli::test {

namespace {

constexpr int64_t kBlockRows = 16, kBlockColumns = 512, kChunk = 256;
constexpr int64_t kSamples = 2, kSamplesOfOneRow = 24;

const std::string kData = source_folder() + "/tests/data/whole-models/";

float triangle(uint32_t bits) { return static_cast<float>(static_cast<int>(bits & 255) + static_cast<int>(bits >> 8 & 255) - 255); }
float norm_weight(uint32_t bits) { return 1 + (static_cast<float>(bits & 31) - 16) / 128; }
double sign(uint32_t bits) { return (bits >> 7 & 1) != 0 ? -1 : 1; }

Tensor triangles(std::string_view name, const Shape& shape, int exponent) {
  Tensor t = Tensor::empty(DType::f32, shape);
  const float times = std::ldexp(1.0F, -exponent);
  uint32_t at = hash_of(name);
  for (float& v : t.mutable_data<float>()) v = triangle(mix(at++)) * times;
  return t;
}

/// What a model's tensor is made of, by the kind that its name tells: weights of norms, or triangle times 2^-exponent.
struct Formula {
  bool norm = false;
  int exponent = 0;
};
Formula formula_of(const std::string& name, const Shape& shape, bool tied) {
  if (name.ends_with("bias")) return {false, 9};
  if (name.find("norm") != std::string::npos || name.find("Norm") != std::string::npos) return {true, 0};
  if (name.find("embed") != std::string::npos) return {false, tied ? 11 : 7};
  return {false, shape.back() > 1024 ? 12 : 11};
}

/// Appends a tensor's numbers as bf16, which holds them exactly.
void append(std::string& bytes, const std::string& name, const Shape& shape, const Formula& formula) {
  const float times = std::ldexp(1.0F, -formula.exponent);
  uint32_t at = hash_of(name);
  const size_t first = bytes.size(), count = static_cast<size_t>(shape.numel());
  bytes.resize(first + 2 * count);
  for (size_t k = 0; k < count; ++k) {
    const uint32_t bits = mix(at++);
    const float value = formula.norm ? norm_weight(bits) : triangle(bits) * times;
    uint32_t f32 = 0;
    std::memcpy(&f32, &value, sizeof(f32));
    const auto upper = static_cast<uint16_t>(f32 >> 16);
    std::memcpy(bytes.data() + first + 2 * k, &upper, sizeof(upper));
  }
}

Shape shape_of(const JsonValue& dims) {
  std::vector<int64_t> sizes;
  for (const JsonValue& d : dims.as_array()) sizes.push_back(d.as_int());
  return Shape(sizes);
}

/// What is expected of one value and of blocks of them is off by these.
class Differences {
 public:
  void add_sample(double difference) {
    squares_ += difference * difference;
    ++count_;
    distance_.largest = std::max(distance_.largest, std::fabs(difference));
  }
  void add_block(double difference, int64_t values) {
    const double each = difference / std::sqrt(static_cast<double>(values));
    squares_ += each * each;
    ++count_;
    distance_.largest_block = std::max(distance_.largest_block, std::fabs(each));
  }
  Distance distance() const {
    Distance d = distance_;
    d.rms = std::sqrt(squares_ / std::max(count_, 1.0));
    // A comparison with NaN finds nothing larger.
    if (std::isnan(d.rms)) d.largest = d.largest_block = d.rms;
    return d;
  }

 private:
  Distance distance_;
  double squares_ = 0, count_ = 0;
};

}  // namespace

uint32_t checksum_of(std::span<const std::byte> bytes) {
  uint32_t sum = 0, at = 0;
  for (const std::byte b : bytes) {
    sum += mix(at + static_cast<uint32_t>(b));
    at += 256;
  }
  return sum;
}

uint32_t checksum_of(const Tensor& tensor) {
  const Tensor host = tensor.to(Device{}).contiguous();
  return checksum_of(std::span(static_cast<const std::byte*>(host.raw()), host.nbytes()));
}

WholeModel::WholeModel(const std::string& kind)
    : kind_(kind),
      document_(JsonDocument::read(kData + kind + ".json")),
      values_(SafetensorsFile::open(kData + kind + ".safetensors")),
      vocabulary_(JsonDocument::read(kData + kind + ".config.json").root().get("vocab_size").as_int()) {
  folder_.write("config.json", read_file(kData + kind + ".config.json", size_t{1} << 20));
  // Not by save_safetensors, which waits until the disk has it all.
  std::string header = "{", data;
  for (const JsonMember& m : expected().get("shapes").as_object()) {
    const std::string name(m.key);
    const Shape shape = shape_of(m.value);
    const size_t first = data.size();
    append(data, name, shape, formula_of(name, shape, kind == "qwen2"));
    header += fmt::format(R"({}"{}":{{"dtype":"BF16","shape":[{}],"data_offsets":[{},{}]}})", header.size() > 1 ? "," : "", name,
                          fmt::join(std::span(shape.begin(), shape.end()), ","), first, data.size());
  }
  header += "}";
  header.resize((header.size() + 7) / 8 * 8, ' ');
  const uint64_t size = header.size();
  folder_.write("model.safetensors", std::string(reinterpret_cast<const char*>(&size), sizeof(size)) + header + data);
}

std::vector<Tensor> WholeModel::weights() const {
  const SafetensorsFile file = SafetensorsFile::open(folder_.path("model.safetensors"));
  std::vector<Tensor> out;
  for (const std::string& name : file.names()) out.push_back(file.tensor(name));
  return out;
}

Adapter WholeModel::adapter(std::span<const LinearInfo> layers, int64_t rank) const {
  LoRAConfig config;
  config.rank = rank;
  config.alpha = 16;
  Adapter adapter = Adapter::create(layers, config, 1);
  std::vector<Tensor> factors;
  for (const Adapter::Pair& pair : adapter.pairs()) {
    factors.push_back(triangles(fmt::format("{}.lora_A.{}", pair.path, rank), pair.a.shape(), 12));
    factors.push_back(triangles(fmt::format("{}.lora_B.{}", pair.path, rank), pair.b.shape(), 10));
  }
  adapter.set_parameters(factors);
  return adapter;
}

std::vector<WholeModelTexts> WholeModel::texts() const {
  std::vector<WholeModelTexts> out;
  for (const JsonMember& m : expected().get("sequences").as_object()) {
    WholeModelTexts texts{std::stoll(std::string(m.key)), {}};
    for (const JsonValue& length : m.value.as_array()) texts.lengths.push_back(length.as_int());
    out.push_back(texts);
  }
  return out;
}

std::vector<int32_t> WholeModel::ids(const std::string& name, int64_t count) const {
  std::vector<int32_t> out;
  uint32_t at = hash_of(fmt::format("{}.{}", kind_, name));
  for (int64_t k = 0; k < count; ++k) out.push_back(static_cast<int32_t>((mix(at++) >> 4) % static_cast<uint32_t>(vocabulary_)));
  return out;
}

std::vector<int32_t> WholeModel::text(int64_t rank, int64_t length) const { return ids(fmt::format("{}.{}", rank, length), length); }

std::vector<WholeModelPrompt> WholeModel::prompts(Quantization quantization) const {
  std::vector<WholeModelPrompt> out;
  for (const JsonValue& p : expected().get("greedy").get(name_of(quantization)).as_array()) {
    WholeModelPrompt prompt{p.get("rank").as_int(), ids(std::string(p.get("prompt").as_string()), p.get("length").as_int()), {}};
    for (const JsonValue& token : p.get("tokens").as_array()) prompt.tokens.push_back(static_cast<int32_t>(token.as_int()));
    out.push_back(std::move(prompt));
  }
  return out;
}

Tensor WholeModel::batch(int64_t step) const {
  std::vector<int64_t> sizes;
  int64_t k = 0;
  for (const JsonValue& size : expected().get("training").get("steps").as_array()) {
    if (k++ != step) continue;
    for (const JsonValue& n : size.as_array()) sizes.push_back(n.as_int());
  }
  const Shape shape{sizes.at(0), sizes.at(1) + 1};
  return Tensor::from_vector(ids(fmt::format("step.{}", step), shape.numel()), shape);
}

std::vector<float> WholeModel::stored(const std::string& name) const { return values_.tensor(name).to_vector<float>(); }

Distance WholeModel::distance(Quantization quantization, int64_t rank, int64_t length, std::span<const float> values) const {
  const bool vectors = kind_ == "bert";
  const int64_t rows = vectors ? 1 : length, columns = static_cast<int64_t>(values.size()) / rows;
  const std::string name = fmt::format("{}.{}.{}", kind_, rank, length),
                    file = fmt::format("{}.{}.{}", name_of(quantization), rank, length);
  const std::vector<float> samples = stored(file + ".samples"), blocks = stored(file + ".blocks");
  const auto at = [&](int64_t row, int64_t column) { return static_cast<double>(values[static_cast<size_t>(row * columns + column)]); };
  Differences differences;
  const int64_t each = rows > 1 ? kSamples : kSamplesOfOneRow;
  uint32_t picked = hash_of(name + ".columns");
  for (int64_t k = 0; k < rows * each; ++k) {
    const auto column = static_cast<int64_t>(mix(picked++) % static_cast<uint32_t>(columns));
    differences.add_sample(at(k / each, column) - static_cast<double>(samples.at(static_cast<size_t>(k))));
  }
  const uint32_t signs = hash_of(name + ".signs");
  size_t block = 0;
  for (int64_t row = 0; row < rows; row += kBlockRows) {
    for (int64_t column = 0; column < columns; column += kBlockColumns) {
      const int64_t last_row = std::min(row + kBlockRows, rows), last_column = std::min(column + kBlockColumns, columns);
      double sum = 0;
      for (int64_t i = row; i < last_row; ++i) {
        for (int64_t j = column; j < last_column; ++j) sum += sign(mix(signs + static_cast<uint32_t>(i * columns + j))) * at(i, j);
      }
      differences.add_block(sum - static_cast<double>(blocks.at(block++)), (last_row - row) * (last_column - column));
    }
  }
  EXPECT_EQ(block, blocks.size());
  return differences.distance();
}

Distance WholeModel::torch_distance(const std::string& run, int64_t rank, int64_t length) const {
  std::vector<double> numbers;
  const JsonValue errors = expected().get("values").get("errors").get(run).get(std::to_string(rank)).get(std::to_string(length));
  for (const JsonValue& v : errors.as_array()) numbers.push_back(v.as_double());
  return {numbers.at(0), numbers.at(1), numbers.at(2)};
}

double WholeModel::factor_distance(Quantization quantization, const Adapter& trained) const {
  const std::vector<float> right = stored(std::string(name_of(quantization)) + ".train");
  size_t next = 0;
  double squares = 0;
  for (const Adapter::Pair& pair : trained.pairs()) {
    for (const char factor : {'A', 'B'}) {
      const auto values = (factor == 'A' ? pair.a : pair.b).to_vector<float>();
      uint32_t signs = hash_of(fmt::format("{}.lora_{}.signs", pair.path, factor));
      for (size_t first = 0; first < values.size(); first += kChunk) {
        double sum = 0;
        for (size_t i = first; i < std::min(values.size(), first + kChunk); ++i) sum += sign(mix(signs++)) * static_cast<double>(values[i]);
        const double difference = sum - static_cast<double>(right.at(next++));
        squares += difference * difference;
      }
    }
  }
  EXPECT_EQ(next, right.size());
  return std::sqrt(squares / static_cast<double>(right.size()) / kChunk);
}

}  // namespace lazuli::test
