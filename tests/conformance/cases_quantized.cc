// Conformance cases of products with weights of 8 and 4 bits. Backends may round x to 8 bits for each row or each 32 values: these values
// survive that.
#include "conformance/cases.h"
#include "lazuli/op.h"

namespace lazuli::conformance {

namespace {

/// Multiples of 1/32 up to 127/32, which the first of every 32 has.
Tensor whole(DType t, const Shape& shape, uint64_t seed) {
  const Tensor numbers = random(DType::i32, shape, seed, -127, 128);
  const auto from = numbers.to_vector<int64_t>();
  std::vector<float> values;
  for (size_t k = 0; k < from.size(); ++k) {
    const bool first = k % static_cast<size_t>(shape.back()) % 32 == 0;
    values.push_back(static_cast<float>(first ? (k % 2 == 0 ? 127 : -127) : from[k]) / 32);
  }
  return Tensor::from_vector(values, shape).to(t);
}

OpCall call_of(DType t, DType scales, const Shape& x, int64_t n, int64_t bits, int64_t parts, Op activation = Op::input) {
  Shape out = x;
  out[out.rank() - 1] = n;
  const int64_t k = x.back();
  OpCall call{Op::quantized_linear, {whole(t, x, 1)}, {}};
  call.attrs.i = {bits, parts, static_cast<int64_t>(activation), 0};
  call.inputs.push_back(bits == 8 ? random(DType::i8, {n, k}, 2, -128, 128) : random(DType::u8, {n, k / 2}, 2, 0, 256));
  call.inputs.push_back(random(scales, {n, bits == 8 ? 1 : k / 32}, 3, 0.001, 0.01));
  if ((parts & 1) != 0) call.inputs.push_back(random(t, {n}, 4));
  if ((parts & 2) != 0) call.inputs.push_back(random(t, out, 5));
  return call;
}

}  // namespace

Cases quantized_cases(Op) {
  Cases cases;
  for (DType t : kFloats) {
    // A backend may round the weight to 16 bits beside 16-bit activations.
    const Tolerance tolerance{8, t == DType::bf16 ? 0x1p17 : t == DType::f16 ? 0x1p14 : 64, 1};
    const auto add = [&](const std::string& what, OpCall call) {
      cases.push_back({std::string(lazuli::name_of(t)) + " " + what, std::move(call), tolerance});
    };
    for (const auto& [bits, k] : {std::pair{8, 1}, {8, 33}, {8, 64}, {8, 200}, {4, 32}, {4, 96}, {4, 128}, {4, 352}}) {
      for (DType scales : {DType::f32, DType::f16}) {
        const std::string what = std::to_string(bits) + " bits, k " + std::to_string(k) + " scales " + std::string(lazuli::name_of(scales));
        for (int64_t m : {1, 2, 3, 4, 7, 70}) add(what + " rows " + std::to_string(m), call_of(t, scales, {m, k}, 19, bits, 0));
      }
      for (int64_t parts : {1, 2, 3}) {
        for (Op activation : {Op::input, Op::gelu}) {
          add(std::to_string(bits) + " bits, k " + std::to_string(k) + " parts " + std::to_string(parts),
              call_of(t, DType::f32, {2, 3, k}, 5, bits, parts, activation));
        }
      }
    }
    for (int64_t bits : {8, 4}) {
      add("one row", call_of(t, DType::f32, {64}, 33, bits, 1));
      add("no rows", call_of(t, DType::f32, {0, 32}, 3, bits, 3));
      add("no columns", call_of(t, DType::f32, {2, 32}, 0, bits, 1));
      add("large", call_of(t, DType::f16, {131, 256}, 150, bits, 3, Op::silu));
      add("large, one row", call_of(t, DType::f16, {1, 2048}, 530, bits, 1));
      for (Layout layout : kLayouts) {
        OpCall c = call_of(t, DType::f32, {3, 5, 64}, 7, bits, 3);
        for (Tensor& x : c.inputs) x = laid_out(x, layout);
        add(std::string(std::to_string(bits)) + " bits " + name_of(layout), std::move(c));
      }
    }
    add("no terms", call_of(t, DType::f32, {3, 0}, 4, 8, 1));
  }
  return cases;
}

}  // namespace lazuli::conformance
