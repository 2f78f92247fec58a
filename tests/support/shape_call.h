// Defines ShapeCall, an op over operands of given dtypes and shapes, to be varied and put before the op's rule.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lazuli/error.h"
#include "lazuli/operation.h"

namespace lazuli::test {

inline TensorSpec f16(const Shape& s) { return {DType::f16, s}; }
inline TensorSpec bf16(const Shape& s) { return {DType::bf16, s}; }
inline TensorSpec f32(const Shape& s) { return {DType::f32, s}; }
inline TensorSpec f64(const Shape& s) { return {DType::f64, s}; }
inline TensorSpec i8(const Shape& s) { return {DType::i8, s}; }
inline TensorSpec u8(const Shape& s) { return {DType::u8, s}; }
inline TensorSpec i32(const Shape& s) { return {DType::i32, s}; }
inline TensorSpec i64(const Shape& s) { return {DType::i64, s}; }
inline TensorSpec boolean(const Shape& s) { return {DType::boolean, s}; }

/// Each method but run() gives a changed copy.
class ShapeCall {
 public:
  explicit ShapeCall(Op op, std::vector<TensorSpec> operands = {}, std::array<int64_t, 4> ints = {})
      : op_(op), operands_(std::move(operands)) {
    attrs_.i = ints;
  }

  ShapeCall in(size_t k, const TensorSpec& spec) const {
    ShapeCall c = *this;
    c.operands_[k] = spec;
    return c;
  }
  ShapeCall more(const TensorSpec& spec) const {
    ShapeCall c = *this;
    c.operands_.push_back(spec);
    return c;
  }
  ShapeCall i(size_t k, int64_t value) const {
    ShapeCall c = *this;
    c.attrs_.i[k] = value;
    return c;
  }
  ShapeCall list(std::vector<int64_t> values) const {
    ShapeCall c = *this;
    c.attrs_.list = IntList(std::move(values));
    return c;
  }
  ShapeCall to(const TensorSpec& spec) const {
    ShapeCall c = *this;
    c.target_ = spec;
    return c;
  }
  ShapeCall payload(Payload p) const {
    ShapeCall c = *this;
    c.payload_ = std::move(p);
    return c;
  }

  Op op() const { return op_; }
  std::vector<TensorSpec> run() const { return infer({op_, attrs_, payload_}, operands_, target_ ? &*target_ : nullptr); }

 private:
  Op op_;
  std::vector<TensorSpec> operands_;
  Attrs attrs_;
  Payload payload_;
  std::optional<TensorSpec> target_;
};

/// The op's rule refuses the call with a message that has `text`.
inline void refuses(const ShapeCall& call, std::string_view text, int line = __builtin_LINE(), const char* file = __builtin_FILE()) {
  try {
    call.run();
    ADD_FAILURE_AT(file, line) << name_of(call.op()) << " is accepted";
  } catch (const Error& e) {
    if (std::string_view(e.what()).find(text) == std::string_view::npos) ADD_FAILURE_AT(file, line) << e.what();
  }
}

/// The op's rule gives these results.
inline void gives(const ShapeCall& call, const std::vector<TensorSpec>& results, int line = __builtin_LINE(),
                  const char* file = __builtin_FILE()) {
  try {
    if (call.run() != results) ADD_FAILURE_AT(file, line) << name_of(call.op()) << " gives something else";
  } catch (const Error& e) {
    ADD_FAILURE_AT(file, line) << e.what();
  }
}

}  // namespace lazuli::test
