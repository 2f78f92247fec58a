// The cases around the thresholds of products with quantised weights: integers beside their scales, and blocks.
#include <algorithm>
#include <cmath>

#include "conformance/thresholds.h"
#include "lazuli/op.h"

namespace lazuli::conformance {

/// Multiples of 1/32 up to 127/32, which the first of every 32 has: rounding to 8 bits leaves them as they are.
void add_quantized(Cases& cases, const Sizes& sizes) {
  for (const QuantFormatId id : {QuantFormatId::int8, QuantFormatId::int4, QuantFormatId::q8_0, QuantFormatId::q4_k}) {
    const QuantFormat& format = quant_format(id);
    Sizes s = sizes;
    s.k = std::max<int64_t>(s.k / format.block, 1) * format.block;
    auto values = quick_numbers(DType::f32, {s.m, s.k}, 1).to_vector<float>();
    for (size_t i = 0; i < values.size(); ++i) {
      const bool first = i % static_cast<size_t>(s.k) % 32 == 0;
      values[i] = (first ? (i % 2 == 0 ? 127.0F : -127.0F) : std::nearbyint(values[i] * 127)) / 32;
    }
    const Tensor x = Tensor::from_vector(values, {s.m, s.k});
    const auto stored = random_parts(format, s.n, s.k, id == QuantFormatId::int8 ? DType::f32 : DType::f16, 2);
    for (DType t : kProductTypes) {
      for (const int64_t parts : {0, 3}) {
        Attrs attrs;
        attrs.i = {static_cast<int64_t>(id), parts, parts == 0 ? 0 : static_cast<int64_t>(Op::silu), 0};
        OpCall call{Op::quantized_linear, {x.to(t)}, attrs};
        call.inputs.insert(call.inputs.end(), stored.begin(), stored.end());
        if (parts != 0) call.inputs.push_back(quick_numbers(t, {s.n}, 4));
        // What is added is the share of an adapter, where there is one.
        if (parts != 0) call.inputs.push_back(quick_numbers(t, {s.m, s.n}, 5));
        cases.push_back({std::string(lazuli::name_of(t)) + " " + std::string(format.name) + ", parts " + std::to_string(parts) + " " +
                             to_string(Shape{s.m, s.n, s.k}),
                         std::move(call),
                         {8, 64, 1}});
      }
    }
  }
}

std::vector<Around> around_quantized() {
  return {
      {"quantized.kFewNumbers",
       [](Cases& c, int64_t v, bool) {
         for (const int64_t k : near(v)) add_quantized(c, {1, 70, k});
         for (const int64_t k : near(v / 8, 32)) add_quantized(c, {8, 33, k});
       }},
      {"quantized.kTaskBytes",
       [](Cases& c, int64_t v, bool) {
         for (const int64_t n : near(8 * v / 1024)) add_quantized(c, {1, n, 1024});
         for (const int64_t n : near(8 * v / 1024)) add_quantized(c, {3, n, 512});
       }},
      {"quantized.kManyRows",
       [](Cases& c, int64_t v, bool) {
         for (const int64_t m : near(v)) add_quantized(c, {m, 70, 100}), add_quantized(c, {m, 33, 160});
       }},
      {"quantized.kBlockRows",
       [](Cases& c, int64_t v, bool) {
         for (const int64_t m : near(v)) add_quantized(c, {m, 40, 70});
         add_quantized(c, {2 * v + 1, 40, 70});
       }},
      {"quantized.kBlockColumns",
       [](Cases& c, int64_t v, bool) {
         for (const int64_t n : near(v)) add_quantized(c, {20, n, 40});
         for (const int64_t n : near(8 * v)) add_quantized(c, {15, n, 40});
         add_quantized(c, {8 * 140 + 1, v + 1, 33});
       }},
      {"quantized.kRoundTasks",
       [](Cases& c, int64_t v, bool) {
         for (const int64_t m : near(v)) add_quantized(c, {m, 20, 160});
         for (const int64_t m : near(3 * v)) add_quantized(c, {m, 20, 64});
       }},
      {"quantized.kLongest",
       [](Cases& c, int64_t v, bool) {
         for (const int64_t k : near(v, 32)) add_quantized(c, {1, 3, k});
       }},
      {"quantized.kTallest8",
       [](Cases& c, int64_t v, bool) {
         for (const int64_t m : near(2 * v)) add_quantized(c, {m, 35, 66});
       }},
      {"quantized.kTallest4",
       [](Cases& c, int64_t v, bool) {
         for (const int64_t m : near(3 * v)) add_quantized(c, {m, 31, 160});
       }},
      {"quantized.kColumns",
       [](Cases& c, int64_t v, bool) {
         for (const int64_t n : near(v)) add_quantized(c, {2, n, 65}), add_quantized(c, {16, n, 65});
       }},
      {"quantized.kRows",
       [](Cases& c, int64_t v, bool) {
         for (const int64_t m : near(v)) add_quantized(c, {m, 9, 63});
         for (const int64_t m : near(2 * v)) add_quantized(c, {m, 17, 129});
       }},
      {"quantized.kNearBytes",
       [](Cases& c, int64_t v, bool) {
         for (const int64_t m : near(v / 1088 / 4 * 4)) add_quantized(c, {m, 9, 1024});
         for (const int64_t m : near(v / 192 / 8)) add_quantized(c, {m, 9, 128});
       }},
  };
}

}  // namespace lazuli::conformance
