// Gradient cases of matrix products, LoRA, rotary embedding and attention.
#include "conformance/data.h"
#include "graph/attention_operands.h"
#include "lazuli/op.h"
#include "support/gradient_check.h"

namespace lazuli::test {

namespace {

using X = std::span<const LazyTensor>;
using Y = std::vector<LazyTensor>;

void add_matmul(std::vector<GradientCase>& cases) {
  const auto add = [&](const std::string& name, const Shape& a, const Shape& b, bool ta, bool tb) {
    cases.push_back(
        {Op::matmul, "matmul_" + name, {numbers(a, 1), numbers(b, 2)}, [ta, tb](X x) { return Y{matmul(x[0], x[1], ta, tb)}; }});
  };
  add("plain", {2, 3}, {3, 2}, false, false);
  add("ta", {3, 2}, {3, 2}, true, false);
  add("tb", {2, 3}, {2, 3}, false, true);
  add("ta_tb", {3, 2}, {2, 3}, true, true);
  add("batched", {2, 2, 3}, {2, 3, 2}, false, false);
  add("flattened", {2, 2, 3}, {3, 2}, false, false);
  add("flattened_tb", {2, 2, 3}, {2, 3}, false, true);
  add("flattened_ta", {2, 3, 2}, {3, 2}, true, false);
  add("broadcast", {2, 1, 2, 3}, {2, 3, 1}, false, false);
  add("broadcast_left", {2, 3}, {2, 3, 2}, false, false);
  add("vectors", {3}, {3}, false, false);
  add("row", {3}, {2, 3, 2}, false, false);
}

void add_quantized(std::vector<GradientCase>& cases) {
  std::vector<int8_t> whole;
  for (int k = 0; k < 3 * 5; ++k) whole.push_back(static_cast<int8_t>(k * 37 % 255 - 127));
  std::vector<uint8_t> halves;
  for (int k = 0; k < 3 * 16; ++k) halves.push_back(static_cast<uint8_t>(k * 41 % 256));
  const LazyTensor q8 = LazyTensor::from_tensor(Tensor::from_vector(whole, {3, 5}));
  const LazyTensor q4 = LazyTensor::from_tensor(Tensor::from_vector(halves, {3, 16}));
  const LazyTensor scales = LazyTensor::from_tensor(Tensor::from_vector(std::vector<float>{0.01F, 0.02F, -0.015F}, {3, 1}));
  cases.push_back({Op::quantized_linear, "quantized_linear_8", {numbers({2, 2, 5}, 1), numbers({3}, 2)}, [=](X i) {
                     return Y{quantized_linear(i[0], std::vector{q8, scales}, QuantFormatId::int8, i[1])};
                   }});
  cases.push_back({Op::quantized_linear, "quantized_linear_4", {numbers({2, 32}, 1), numbers({3}, 2)}, [=](X i) {
                     return Y{quantized_linear(i[0], std::vector{q4, mul_scalar(scales, 5)}, QuantFormatId::int4, i[1])};
                   }});
  for (const QuantFormatId id : {QuantFormatId::q8_0, QuantFormatId::q4_k}) {
    const QuantFormat& f = quant_format(id);
    const LazyTensor blocks = LazyTensor::from_tensor(conformance::random_blocks(f, 3, f.block, 3));
    cases.push_back(
        {Op::quantized_linear, "quantized_linear_" + std::string(f.name), {numbers({2, f.block}, 1), numbers({3}, 2)}, [=](X i) {
           return Y{quantized_linear(i[0], std::vector{blocks}, id, i[1])};
         }});
  }
}

void add_lora(std::vector<GradientCase>& cases) {
  for (bool t : {false, true}) {
    const std::string name = t ? "_transposed" : "";
    const LazyTensor x = numbers({2, 2, 3}, 1), a = numbers(t ? Shape{2, 3} : Shape{3, 2}, 2),
                     b = numbers(t ? Shape{4, 2} : Shape{2, 4}, 3);
    const LazyTensor w = numbers(t ? Shape{4, 3} : Shape{3, 4}, 4), bias = numbers({4}, 5), scale = numbers({}, 6, 0.5, 1);
    cases.push_back({Op::lora_fused, "lora_fused" + name, {x, a, b, scale}, [t](X i) { return Y{lora_fused(i[0], i[1], i[2], i[3], t)}; }});
    cases.push_back({Op::lora_linear, "lora_linear" + name, {x, w, a, b, scale, bias}, [t](X i) {
                       return Y{lora_linear(i[0], i[1], i[2], i[3], i[4], i[5], t)};
                     }});
  }
}

void add_linear(std::vector<GradientCase>& cases) {
  const LazyTensor x = numbers({2, 2, 3}, 1), w = numbers({4, 3}, 2), bias = numbers({4}, 3), residual = numbers({2, 2, 4}, 4);
  for (Op act : {Op::input, Op::gelu, Op::silu}) {
    Attrs attrs;
    attrs.i = {1, 3, static_cast<int64_t>(act), 0};
    cases.push_back({Op::linear, "linear_" + std::string(name_of(act)), {x, w, bias, residual}, [attrs](X i) {
                       return Y{record(Op::linear, {i[0], i[1], i[2], i[3]}, attrs)};
                     }});
  }
}

void add_gated_linear(std::vector<GradientCase>& cases) {
  for (int64_t transposed : {0, 1}) {
    Attrs attrs;
    attrs.i = {transposed, 0, static_cast<int64_t>(Op::silu), 0};
    const Shape w = transposed != 0 ? Shape{4, 3} : Shape{3, 4};
    cases.push_back({Op::gated_linear,
                     transposed != 0 ? "gated_linear_transposed" : "gated_linear",
                     {numbers({2, 2, 3}, 1), numbers(w, 2), numbers(w, 3)},
                     [attrs](X i) {
                       return Y{record(Op::gated_linear, {i[0], i[1], i[2]}, attrs)};
                     }});
  }
}

void add_lora_rows(std::vector<GradientCase>& cases) {
  const LazyTensor x = numbers({4, 2, 3}, 1), a = numbers({2, 2, 3}, 2), b = numbers({2, 5, 2}, 3), scales = numbers({2}, 4, 0.5, 1);
  const LazyTensor choice = LazyTensor::from_slice<int32_t>({1, -1, 0, 1}, {4}), base = numbers({4, 2, 5}, 5);
  cases.push_back({Op::lora_rows, "lora_rows", {x, a, b, scales}, [choice](X i) { return Y{lora_rows(i[0], i[1], i[2], i[3], choice)}; }});
  cases.push_back({Op::lora_rows, "lora_rows_with_base", {x, a, b, scales, base}, [choice](X i) {
                     return Y{lora_rows(i[0], i[1], i[2], i[3], choice, i[4])};
                   }});
}

void add_rope_pair(std::vector<GradientCase>& cases) {
  cases.push_back(
      {Op::rope_pair, "rope_pair", {numbers({2, 3, 5}, 1), numbers({1, 3, 4}, 4), numbers({5, 2}, 2), numbers({5, 2}, 3)}, [](X x) {
         return record_all(Op::rope_pair, std::vector<LazyTensor>{x[0], x[1], x[2], x[3], LazyTensor::scalar_int(1)}, {});
       }});
  const LazyTensor offsets = LazyTensor::from_slice<int32_t>({2, 0}, {2});
  cases.push_back({Op::rope_pair,
                   "rope_pair_by_row",
                   {numbers({2, 2, 2, 5}, 1), numbers({2, 3, 4}, 4), numbers({5, 2}, 2), numbers({5, 2}, 3)},
                   [offsets](X x) {
                     return record_all(Op::rope_pair, std::vector<LazyTensor>{x[0], x[1], x[2], x[3], offsets}, {});
                   }});
}

void add_rope(std::vector<GradientCase>& cases) {
  for (int64_t back : {0, 1}) {
    Attrs attrs;
    attrs.i[0] = back;
    cases.push_back(
        {Op::rope, back != 0 ? "rope_back" : "rope", {numbers({2, 3, 5}, 1), numbers({5, 2}, 2), numbers({5, 2}, 3)}, [attrs](X x) {
           return Y{record(Op::rope, {x[0], x[1], x[2], LazyTensor::scalar_int(1)}, attrs)};
         }});
    const LazyTensor offsets = LazyTensor::from_slice<int32_t>({3, 0}, {2});
    cases.push_back({Op::rope,
                     back != 0 ? "rope_back_by_row" : "rope_by_row",
                     {numbers({2, 3, 2, 5}, 1), numbers({5, 2}, 2), numbers({5, 2}, 3)},
                     [attrs, offsets](X x) {
                       return Y{record(Op::rope, {x[0], x[1], x[2], offsets}, attrs)};
                     }});
  }
}

struct MaskCase {
  const char* name;
  bool causal;
  LazyTensor mask;
  int64_t length;
  AttentionOptions options = {};
};

// The last mask hides every key from one query.
std::vector<MaskCase> mask_cases() {
  const LazyTensor some = LazyTensor::from_slice<bool>({true, true, false, true, false, false, false, false}, {2, 4});
  const LazyTensor first = LazyTensor::from_slice<int32_t>({0, 2}, {1, 2});
  return {{"plain", false, {}, 4},
          {"causal", true, {}, 4},
          {"causal_short", true, {}, 3},
          {"mask", false, some, 4},
          {"window", true, {}, 4, {.window_left = 1}},
          {"windows", false, {}, 4, {.window_left = 0, .window_right = 1}},
          {"softcap", true, {}, 4, {.softcap = 0.8}},
          {"first_key", true, {}, 4, {.first_key = first}}};
}

void add_sdpa(std::vector<GradientCase>& cases) {
  const LazyTensor q = numbers({1, 2, 2, 3}, 1), k = numbers({1, 1, 4, 3}, 2), v = numbers({1, 1, 4, 2}, 3);
  const LazyTensor scale = numbers({}, 4, 0.5, 1), result = numbers({1, 2, 2, 2}, 5), lse = numbers({1, 2, 2}, 6, 1, 2),
                   g = numbers({1, 2, 2, 2}, 7);
  for (const MaskCase& m : mask_cases()) {
    const std::string name = m.name;
    AttentionOptions options = m.options;
    options.causal = m.causal;
    options.mask = m.mask;
    options.length = LazyTensor::scalar_int(m.length);
    cases.push_back({Op::sdpa, "sdpa_" + name, {q, k, v, scale}, [options](X x) {
                       return Y{scaled_dot_product_attention(x[0], x[1], x[2], x[3], options)};
                     }});
    Attrs attrs;
    std::vector<AttentionPart> parts;
    if (options.mask.defined()) parts.push_back(AttentionPart::mask);
    if (options.softcap) parts.push_back(AttentionPart::softcap);
    if (options.first_key.defined()) parts.push_back(AttentionPart::first_key);
    set_attention(attrs, m.causal, options.window_left, options.window_right, parts);
    cases.push_back({Op::sdpa_backward, "sdpa_backward_" + name, {q, k, v, result, lse, g, scale}, [options, attrs](X x) {
                       std::vector<LazyTensor> operands(x.begin(), x.end());
                       operands.push_back(options.length);
                       if (options.mask.defined()) operands.push_back(options.mask);
                       if (options.softcap) operands.push_back(LazyTensor::full({}, options.softcap->number, DType::f64));
                       if (options.first_key.defined()) operands.push_back(options.first_key);
                       return record_all(Op::sdpa_backward, operands, attrs);
                     }});
  }
  cases.push_back({Op::sdpa, "sdpa_float_mask", {q, k, v, numbers({2, 1, 4}, 8)}, [](X x) {
                     return Y{scaled_dot_product_attention(x[0], x[1], x[2], 0.7, {.causal = true, .mask = x[3]})};
                   }});
  cases.push_back({Op::sdpa, "sdpa_sinks", {q, k, v, numbers({2}, 9)}, [](X x) {
                     return Y{scaled_dot_product_attention(x[0], x[1], x[2], 0.7, {.causal = true, .sinks = x[3]})};
                   }});
  cases.push_back({Op::sdpa, "sdpa_softcap_of_the_cap", {q, k, v, numbers({}, 9, 0.5, 1)}, [](X x) {
                     return Y{scaled_dot_product_attention(x[0], x[1], x[2], 0.7, {.causal = true, .softcap = x[3]})};
                   }});
  cases.push_back({Op::sdpa, "sdpa_lse", {q, k, v, scale}, [](X x) {
                     const LazyTensor operands[] = {x[0], x[1], x[2], x[3], LazyTensor::scalar_int(4)};
                     return record_all(Op::sdpa, operands);
                   }});
}

std::vector<GradientCase> matmul_gradient_cases() {
  std::vector<GradientCase> cases;
  add_matmul(cases);
  add_lora(cases);
  add_quantized(cases);
  add_linear(cases);
  add_gated_linear(cases);
  add_lora_rows(cases);
  add_rope_pair(cases);
  add_rope(cases);
  add_sdpa(cases);
  return cases;
}
const RegisterGradients kMatmulGradients(matmul_gradient_cases);

}  // namespace

}  // namespace lazuli::test
