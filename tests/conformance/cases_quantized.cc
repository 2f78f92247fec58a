// Conformance cases of products with quantised weights. Backends may round x to 8 bits for each row or each 32 values: these values
// survive that.
#include "conformance/cases.h"
#include "lazuli/op.h"
#include "support/attributes.h"

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

OpCall call_of(DType t, DType scales, const Shape& x, int64_t n, QuantFormatId id, int64_t with, Op activation = Op::input) {
  Shape out = x;
  out[out.rank() - 1] = n;
  OpCall call{Op::quantized_linear, {whole(t, x, 1)}, {}};
  call.attrs.i = {static_cast<int64_t>(id), with, static_cast<int64_t>(activation), 0};
  for (Tensor& part : random_parts(quant_format(id), n, x.back(), scales, 2)) call.inputs.push_back(std::move(part));
  if ((with & 1) != 0) call.inputs.push_back(random(t, {n}, 4));
  if ((with & 2) != 0) call.inputs.push_back(random(t, out, 5));
  return call;
}

/// Numbers of a row at which kernels go other ways: tails beside vectors, and spans that are not full.
std::vector<int64_t> depths_of(const QuantFormat& f) {
  if (f.block == 1) return {1, 33, 64, 200};
  if (f.block == 32) return {32, 96, 128, 352};
  return {256, 768};
}

Cases quantized_cases(Op) {
  Cases cases;
  for (DType t : kFloats) {
    // A backend may round the weight to 16 bits beside 16-bit activations.
    const Tolerance tolerance{8, t == DType::bf16 ? 0x1p17 : t == DType::f16 ? 0x1p14 : 64, 1};
    const auto add = [&](const std::string& what, OpCall call) {
      cases.push_back({std::string(lazuli::name_of(t)) + " " + what, std::move(call), tolerance});
    };
    for (const QuantFormatId id : formats_with_kernels()) {
      const QuantFormat& f = quant_format(id);
      const std::string format(f.name);
      const bool blocks = f.storage == QuantStorage::blocks;
      for (const int64_t k : depths_of(f)) {
        for (DType scales : blocks ? std::vector{DType::f16} : std::vector{DType::f32, DType::f16}) {
          const std::string what = format + " k " + std::to_string(k) + " scales " + std::string(lazuli::name_of(scales));
          for (int64_t m : {1, 2, 3, 4, 7, 70}) add(what + " rows " + std::to_string(m), call_of(t, scales, {m, k}, 19, id, 0));
        }
        for (int64_t with : {1, 2, 3}) {
          for (Op activation : {Op::input, Op::gelu}) {
            add(format + " k " + std::to_string(k) + " with " + std::to_string(with),
                call_of(t, DType::f32, {2, 3, k}, 5, id, with, activation));
          }
        }
      }
      const int64_t some = std::max(f.block, 64);
      add(format + " one row", call_of(t, DType::f32, {some}, 33, id, 1));
      add(format + " no rows", call_of(t, DType::f32, {0, some}, 3, id, 3));
      add(format + " no columns", call_of(t, DType::f32, {2, some}, 0, id, 1));
      add(format + " large", call_of(t, DType::f16, {131, 256}, 150, id, 3, Op::silu));
      add(format + " large, one row", call_of(t, DType::f16, {1, 2048}, 530, id, 1));
      for (Layout layout : kLayouts) {
        OpCall c = call_of(t, DType::f32, {3, 5, some}, 7, id, 3);
        for (Tensor& x : c.inputs) x = laid_out(x, layout);
        add(format + " " + name_of(layout), std::move(c));
      }
    }
    add("no terms", call_of(t, DType::f32, {3, 0}, 4, QuantFormatId::int8, 1));
  }
  return cases;
}
const RegisterCases kQuantizedCases({Op::quantized_linear}, quantized_cases);

/// Of dequantize with a format.
Cases stored_weight_cases(Op) {
  Cases cases;
  for (const QuantFormatId id : formats_with_kernels()) {
    const QuantFormat& f = quant_format(id);
    for (DType t : kFloats) {
      for (DType scales : {DType::f32, DType::f16}) {
        if (f.storage == QuantStorage::blocks && scales == DType::f32) continue;
        const auto add = [&](int64_t rows, int64_t k, const Shape& front, Layout layout) {
          OpCall call{Op::dequantize, random_parts(f, rows, k, scales, 3), attrs(0, static_cast<int64_t>(t), static_cast<int64_t>(id))};
          for (Tensor& part : call.inputs) {
            Shape shape = front;
            shape.push_back(part.shape().back());
            part = laid_out(part.reshape(shape), layout);
          }
          const std::string what = std::string(f.name) + " " + to_string(front) + " k " + std::to_string(k) + " scales " +
                                   std::string(lazuli::name_of(scales)) + " " + name_of(layout);
          // Rounded once on every backend.
          cases.push_back({label(t, what), std::move(call), {0, 0, 0}});
        };
        for (const int64_t k : depths_of(f)) add(6, k, {2, 3}, Layout::row_major);
        add(0, 256, {0}, Layout::row_major);
        add(1, 512, {}, Layout::row_major);
        for (Layout layout : kLayouts) add(5, 256, {5}, layout);
      }
    }
  }
  return cases;
}
const RegisterCases kStoredWeightCases({Op::dequantize}, stored_weight_cases);

}  // namespace
}  // namespace lazuli::conformance
