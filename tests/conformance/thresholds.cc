#include "conformance/thresholds.h"

#include <algorithm>
#include <string>

#include "backend/cpu/common/thresholds.h"
#include "backend/cpu/common/tuning.h"

namespace lazuli::conformance {

std::vector<Threshold> cpu_thresholds() {
  const auto constants = cpu::thresholds();
  std::vector<Threshold> all(constants.begin(), constants.end());
  for (const cpu::TunedNumber& number : cpu::tuned_numbers()) {
    all.push_back({"tuning", number.name, cpu::tuning().*number.member, number.of});
  }
  return all;
}

std::optional<Cases> cases_around(const Threshold& threshold, bool large) {
  const std::string name = std::string(threshold.group) + "." + threshold.name;
  for (const auto& rows : {around_products(), around_experts(), around_quantized(), around_rows(), around_cuda()}) {
    const auto row = std::find_if(rows.begin(), rows.end(), [&](const Around& a) { return a.name == name; });
    if (row == rows.end()) continue;
    Cases cases;
    row->make(cases, threshold.value, large);
    return cases;
  }
  return std::nullopt;
}

Tensor quick_numbers(DType dtype, const Shape& shape, uint64_t seed) {
  std::vector<float> values(static_cast<size_t>(shape.numel()));
  uint64_t state = seed * 0x9E3779B97F4A7C15u + static_cast<uint64_t>(shape.numel());
  for (float& v : values) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    v = static_cast<float>(static_cast<int32_t>(state >> 32) >> 7) * 0x1p-24F;
  }
  const Tensor t = Tensor::from_vector(values, shape);
  return dtype == DType::f32 ? t : t.to(dtype);
}

std::vector<int64_t> near(int64_t value, int64_t step) {
  std::vector<int64_t> values;
  for (const int64_t v : {value - step, value, value + step}) {
    if (v >= 1) values.push_back(v);
  }
  return values;
}

}  // namespace lazuli::conformance
