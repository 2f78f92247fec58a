// Conformance cases of the draw of a token.
#include <limits>

#include "conformance/cases.h"
#include "lazuli/op.h"

namespace lazuli::conformance {

namespace {

struct Rules {
  const char* name;
  float temperature, top_p, min_p, penalty;
  int64_t top_k, context;
};

constexpr Rules kRules[] = {{"greedy", 0, 1, 0, 1, 0, 20},
                            {"greedy penalised", 0, 1, 0, 1.5F, 0, 20},
                            {"all", 1, 1, 0, 1, 0, 0},
                            {"hot", 3, 1, 0, 1, 0, 0},
                            {"top_k", 1, 1, 0, 1, 5, 0},
                            {"top_k 700", 1, 1, 0, 1, 700, 0},
                            {"top_p", 0.7F, 0.9F, 0, 1, 0, 0},
                            {"small top_p", 1, 1e-6F, 0, 1, 0, 0},
                            {"wide top_p", 2, 0.999F, 0, 1, 0, 0},
                            {"min_p", 1, 1, 0.05F, 1, 0, 0},
                            {"min_p 1", 1, 1, 1, 1, 0, 0},
                            {"everything", 0.8F, 0.95F, 0.02F, 1.3F, 40, 7},
                            {"long context", 1, 1, 0, 2, 0, 1000}};

OpCall call(const Tensor& logits, const Rules& r, int64_t draw, const Tensor& ids, int32_t length) {
  const Tensor rules = vector<float>({r.temperature, r.top_p, r.min_p, r.penalty});
  const Tensor counts = vector<int64_t>({r.top_k, r.context, length - draw, 77 + draw / 3});
  return {Op::sample, {logits, ids, scalar(DType::i32, length), rules, counts}};
}

void add_special(Cases& cases, const Tensor& ids) {
  const float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  const Tensor lists[] = {vector<float>({1, nan, 2}),          vector<float>({-inf, -inf, -inf}), vector<float>({inf, 0, inf, -inf}),
                          vector<float>({-0.0F, 0, -0.0F, 0}), vector<float>({0, -100, 0, -800}), vector<float>({3})};
  for (size_t k = 0; k < std::size(lists); ++k) {
    for (const Rules& r : kRules) {
      for (int64_t draw = 0; draw < 4; ++draw) {
        cases.push_back({"special " + std::to_string(k) + " " + r.name, call(lists[k], r, draw, ids, 3), {0, 0, 0}});
      }
    }
  }
}

/// Rows side by side, each with rules, ids, a length and a draw of its own.
OpCall rows_of(const std::vector<OpCall>& calls) {
  OpCall all{Op::sample, {}};
  for (size_t k = 0; k < calls[0].inputs.size(); ++k) {
    std::vector<double> values;
    for (const OpCall& c : calls) {
      const auto row = c.inputs[k].to_vector<double>();
      values.insert(values.end(), row.begin(), row.end());
    }
    Shape shape{static_cast<int64_t>(calls.size())};
    if (calls[0].inputs[k].rank() == 1) shape.push_back(calls[0].inputs[k].shape()[0]);
    all.inputs.push_back(Tensor::from_vector(values, shape).to(calls[0].inputs[k].dtype()));
  }
  return all;
}

OpCall mixed_rows(DType t, int64_t n, int64_t rows, size_t first_rule, int64_t draw) {
  std::vector<OpCall> calls;
  for (int64_t row = 0; row < rows; ++row) {
    const auto seed = static_cast<uint64_t>(row);
    const Rules& r = kRules[(first_rule + seed) % std::size(kRules)];
    const Tensor ids = random_indices(DType::i32, {40}, n + 3, seed + 50);
    calls.push_back(call(random(t, {n}, seed + 7, -9, 9), r, draw + row, ids, static_cast<int32_t>(33 + row % 11)));
  }
  return rows_of(calls);
}

void add_rows(Cases& cases) {
  for (DType t : kFloats) {
    for (int64_t n : {1, 255, 1025, 5003}) {
      for (size_t first = 0; first < std::size(kRules); first += 3) {
        const std::string label = std::string(lazuli::name_of(t)) + " rows n=" + std::to_string(n) + " from " + kRules[first].name;
        cases.push_back({label, mixed_rows(t, n, 5, first, static_cast<int64_t>(first)), {0, 0, 0}});
      }
    }
    cases.push_back({std::string(lazuli::name_of(t)) + " one row", mixed_rows(t, 700, 1, 11, 2), {0, 0, 0}});
    for (Layout layout : kLayouts) {
      OpCall c = mixed_rows(t, 700, 3, 10, 1);
      for (Tensor& x : c.inputs) x = laid_out(x, layout);
      cases.push_back({std::string(lazuli::name_of(t)) + " rows " + name_of(layout), c, {0, 0, 0}});
    }
  }
  cases.push_back({"many rows", mixed_rows(DType::f32, 30, 200, 0, 4), {0, 0, 0}});
  cases.push_back({"rows of a vocabulary", mixed_rows(DType::bf16, 151936, 3, 10, 4), {0, 0, 0}});
  OpCall none = mixed_rows(DType::f32, 30, 1, 0, 4);
  for (Tensor& x : none.inputs) x = Tensor::zeros(x.dtype(), x.rank() == 1 ? Shape{0} : Shape{0, x.shape()[1]});
  cases.push_back({"no rows", none, {0, 0, 0}});
  OpCall wide = mixed_rows(DType::f32, 30, 3, 4, 1);
  wide.inputs[2] = wide.inputs[2].to(DType::i64);
  cases.push_back({"wide lengths", wide, {0, 0, 0}});
  // A NaN in one row is no matter of its neighbours.
  const float nan = std::numeric_limits<float>::quiet_NaN();
  std::vector<OpCall> calls;
  for (float v : {1.0F, nan, -2.0F}) calls.push_back(call(vector<float>({0, v, 1, 0.5F}), kRules[2], 3, Tensor::zeros(DType::i32, {0}), 0));
  cases.push_back({"a NaN between rows", rows_of(calls), {0, 0, 0}});
}

Cases sample_cases(Op) {
  Cases cases;
  const Tensor ids = random_indices(DType::i32, {40}, 1300, 5);
  for (DType t : kFloats) {
    for (int64_t n : {1, 2, 255, 1024, 1025, 5003}) {
      const Tensor logits = random(t, {n}, static_cast<uint64_t>(n), -9, 9);
      for (const Rules& r : kRules) {
        for (int64_t draw = 0; draw < (t == DType::f32 ? 6 : 2); ++draw) {
          const std::string label = std::string(lazuli::name_of(t)) + " n=" + std::to_string(n) + " " + r.name;
          cases.push_back({label + " draw " + std::to_string(draw), call(logits, r, draw, ids, 33), {0, 0, 0}});
        }
      }
    }
    for (Layout layout : kLayouts) {
      cases.push_back({name_of(layout), call(laid_out(random(t, {700}, 3), layout), kRules[11], 1, laid_out(ids, layout), 40), {0, 0, 0}});
    }
  }
  // Few different logits: the cut falls among equals.
  Tensor equal = random_indices(DType::i32, {3000}, 4, 8).to(DType::f32);
  for (const Rules& r : kRules) {
    for (int64_t draw = 0; draw < 6; ++draw) cases.push_back({std::string("equals ") + r.name, call(equal, r, draw, ids, 40), {0, 0, 0}});
  }
  for (int32_t length : {-1, 0, 1, 41}) cases.push_back({"length", call(equal, kRules[1], 0, ids, length), {0, 0, 0}});
  cases.push_back({"no ids", call(equal, kRules[1], 0, Tensor::zeros(DType::i32, {0}), 0), {0, 0, 0}});
  cases.push_back({"a vocabulary", call(random(DType::f32, {151936}, 2, -12, 12), kRules[11], 3, ids, 40), {0, 0, 0}});
  cases.push_back({"more than 512 blocks", call(random(DType::f32, {600000}, 4, -1, 1), kRules[8], 2, ids, 40), {0, 0, 0}});
  add_special(cases, ids);
  add_rows(cases);
  return cases;
}
const RegisterCases kSampleCases({Op::sample}, sample_cases);

}  // namespace
}  // namespace lazuli::conformance
