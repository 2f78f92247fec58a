#include "support/family_model.h"

#include <fmt/format.h>

#include <map>

#include "lazuli/safetensors.h"
#include "support/number_formulas.h"
#include "support/source_folder.h"

namespace lazuli::test {

namespace {

Tensor uniform(const std::string& name, const Shape& shape, float shift, float scale) {
  Tensor t = Tensor::empty(DType::f32, shape);
  uint32_t at = hash_of(name);
  for (float& v : t.mutable_data<float>()) v = shift + scale * (static_cast<float>(mix(at++) >> 8) * 0x1p-24F - 0.5F);
  return t;
}

}  // namespace

Tensor formula(const std::string& name, const JsonValue& parts) {
  std::vector<JsonValue> values;
  if (parts.is_array()) {
    for (const JsonValue& part : parts.as_array()) values.push_back(part);
  } else {
    for (const char* key : {"shape", "shift", "scale"}) values.push_back(parts.get(key));
  }
  std::vector<int64_t> sizes;
  for (const JsonValue& d : values.at(0).as_array()) sizes.push_back(d.as_int());
  return uniform(name, Shape(sizes), static_cast<float>(values.at(1).as_double()), static_cast<float>(values.at(2).as_double()));
}

FamilyModel::FamilyModel(const std::string& name, const std::string& folder)
    : name_(name), document_(JsonDocument::read(fmt::format("{}/tests/data/{}/{}.json", source_folder(), folder, name))) {
  folder_.write("config.json", std::string(expected().get("config").as_string()));
  std::map<std::string, Tensor> weights;
  for (const JsonMember& m : expected().get("tensors").as_object()) {
    weights[std::string(m.key)] = formula(std::string(m.key), m.value);
  }
  save_safetensors(folder_.path("model.safetensors"), weights);
}

std::vector<double> FamilyModel::numbers(const char* key) const {
  std::vector<double> out;
  for (const JsonValue& v : expected().get(key).as_array()) out.push_back(v.as_double());
  return out;
}

std::vector<int32_t> FamilyModel::ids(const char* key) const {
  std::vector<int32_t> out;
  for (const JsonValue& v : expected().get(key).as_array()) out.push_back(static_cast<int32_t>(v.as_int()));
  return out;
}

Adapter FamilyModel::adapter(std::span<const LinearInfo> layers) const {
  LoRAConfig config;
  config.rank = expected().get("rank").as_int();
  config.alpha = expected().get("alpha").as_double();
  Adapter adapter = Adapter::create(layers, config, 1);
  std::vector<Tensor> factors;
  for (const Adapter::Pair& pair : adapter.pairs()) {
    factors.push_back(uniform(pair.path + ".lora_A", pair.a.shape(), 0, 0.5F));
    factors.push_back(uniform(pair.path + ".lora_B", pair.b.shape(), 0, 0.25F));
  }
  adapter.set_parameters(factors);
  return adapter;
}

Tensor FamilyModel::batch(int64_t step) const {
  const std::vector<int32_t> sizes = ids("batch");
  const Shape shape{sizes.at(0), sizes.at(1)};
  const int64_t vocabulary = expected().get("vocabulary").as_int();
  std::vector<int32_t> out;
  uint32_t at = hash_of(fmt::format("{}.step.{}", name_, step));
  for (int64_t k = 0; k < shape.numel(); ++k) out.push_back(static_cast<int32_t>((mix(at++) >> 4) % static_cast<uint32_t>(vocabulary)));
  return Tensor::from_vector(out, shape);
}

}  // namespace lazuli::test
