// Tests that ops over a batch compute each row as they would compute it alone.
#include <gtest/gtest.h>

#include "backend/cuda/runtime.h"
#include "conformance/cases.h"
#include "lazuli/op.h"

namespace lazuli::conformance {
namespace {

struct BatchedOp {
  Op op;
  std::vector<size_t> sliced;  ///< operands that keep axis 0, with one entry
  std::vector<size_t> taken;   ///< operands that lose axis 0; the first one says whether there is one
};
const BatchedOp kBatched[] = {
    {Op::rope, {0}, {3}}, {Op::rope_pair, {0, 1}, {4}}, {Op::slice_update, {0, 1}, {2}}, {Op::sample, {}, {0, 1, 2, 3, 4}}};

bool has_rows(const BatchedOp& batched, const OpCall& call) {
  const int rank = batched.op == Op::sample ? 2 : 1;
  return call.inputs[batched.taken[0]].rank() == rank;
}

/// Entry `row` of axis 0, which becomes 1 or goes away.
Tensor entry(const Tensor& all, int64_t row, bool keep) {
  const Tensor x = all.contiguous();
  Shape shape = keep ? Shape{1} : Shape();
  for (int i = 1; i < x.rank(); ++i) shape.push_back(x.shape()[i]);
  const size_t bytes = static_cast<size_t>(shape.numel()) * size_of(x.dtype());
  return Tensor(x.dtype(), shape, contiguous_strides(shape), x.buffer(), x.offset_bytes() + static_cast<size_t>(row) * bytes);
}

OpCall row_of(const BatchedOp& batched, OpCall call, int64_t row) {
  for (size_t k : batched.sliced) call.inputs[k] = entry(call.inputs[k], row, true);
  for (size_t k : batched.taken) call.inputs[k] = entry(call.inputs[k], row, false);
  return call;
}

bool is_double(const OpCall& call) { return call.inputs[0].dtype() == DType::f64; }

void expect_rows_as_alone(const Backend& backend, const BatchedOp& batched, const OpCall& call) {
  const std::vector<Tensor> all = run(backend, call);
  for (int64_t row = 0; row < call.inputs[0].shape()[0]; ++row) {
    const std::vector<Tensor> alone = run(backend, row_of(batched, call, row));
    for (size_t j = 0; j < all.size(); ++j) {
      const Tensor own = entry(all[j], row, false), wanted = alone[j].reshape(own.shape());
      EXPECT_TRUE(identical(own, wanted)) << "result " << j << ", row " << row;
    }
  }
}

TEST(BatchRows, AreWhatTheyWouldBeAlone) {
  std::vector<const Backend*> backends = {&reference_backend(), &cpu_backend()};
  if (cuda::device_count(nullptr) > 0) backends.push_back(&cuda_backend());
  for (const BatchedOp& batched : kBatched) {
    int tried = 0;
    for (const Case& c : cases_of(batched.op).value_or(Cases())) {
      if (!has_rows(batched, c.call)) continue;
      ++tried;
      for (const Backend* backend : backends) {
        if (is_double(c.call) && backend != &reference_backend()) continue;
        SCOPED_TRACE(std::string(backend->name()) + " " + std::string(name_of(batched.op)) + " " + c.label);
        expect_rows_as_alone(*backend, batched, c.call);
      }
    }
    EXPECT_GT(tried, 10) << name_of(batched.op);
  }
}

}  // namespace
}  // namespace lazuli::conformance
