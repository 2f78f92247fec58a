#include "conformance/check.h"

#include <algorithm>

#include "backend/cpu/gemm/gemm_kernels.h"
#include "backend/cpu/gemm/gemm_pieces.h"
#include "backend/cpu/gemm/packed_weight.h"
#include "conformance/exact.h"
#include "lazuli/op.h"
#include "lazuli/weights.h"
#include "support/cpu_settings.h"

namespace lazuli::conformance {

namespace {

using cpu::PackedWeight;

double terms_of(const OpCall& call) {
  const Tensor &x = call.inputs[0], &w = call.inputs[1];
  const int64_t depth = call.op == Op::matmul && call.attrs.i[0] != 0 ? x.dim(x.rank() - 2) : x.shape().back();
  return static_cast<double>(x.numel()) * static_cast<double>(w.numel()) / static_cast<double>(std::max<int64_t>(depth, 1));
}

/// Within the case's tolerance of what the reference backend computes, or of sums in double.
class Wanted {
 public:
  explicit Wanted(const Case& c) : c_(c) {
    if (!is_product(c.call)) values_ = run(reference_backend(), c.call);
  }
  std::string differs(const std::vector<Tensor>& got) const {
    if (values_.empty()) return wrong_product(c_.call, got[0]);
    for (size_t j = 0; j < values_.size(); ++j) {
      const std::string what = difference(got[j], values_[j], c_.tolerance);
      if (!what.empty()) return "result " + std::to_string(j) + ": " + what;
    }
    return "";
  }

 private:
  const Case& c_;
  std::vector<Tensor> values_;
};

std::string changes(const Case& c, const std::vector<Tensor>& results, const Variant& variant, const char* what) {
  const auto again = run(cpu_backend(), c.call, variant);
  for (size_t j = 0; j < results.size(); ++j) {
    if (!identical(again[j], results[j])) return "result " + std::to_string(j) + " changes with " + what;
  }
  return "";
}

/// The backend's own way is also tried in ranges of tasks, last to first.
std::string in_every_cut(const Case& c, const Wanted& wanted, bool own = false) {
  const auto results = run(cpu_backend(), c.call);
  if (std::string what = wanted.differs(results); !what.empty()) return what;
  if (own) {
    if (std::string what = changes(c, results, {7}, "seven ranges of tasks"); !what.empty()) return what;
  }
  return changes(c, results, {1, false, -1, 3}, "three threads");
}

/// Panels as the product that fills them makes them.
void fill_panels(PackedWeight& weight, const Tensor& w, PackedWeight::By by) {
  weight.count(by, PackedWeight::kRowsBefore);
  weight.count(by, 1);
  if (weight.by() != by) return;
  const cpu::GemmKernels kernels = cpu::gemm_kernels(DType::f32);
  const int64_t rows = w.dim(0), columns = w.dim(1), lines = by == PackedWeight::By::rows ? rows : columns;
  const auto* const values = static_cast<const float*>(w.raw());
  for (int64_t k = 0; k * cpu::kPanel < lines; ++k) {
    if (!weight.claim(k)) continue;
    const int64_t first = k * cpu::kPanel, n = std::min(cpu::kPanel, lines - first);
    if (by == PackedWeight::By::rows) {
      kernels.pack_right({values + first * columns, 1, columns}, columns, n, weight.panel(k));
    } else {
      kernels.pack_right({values + first, columns, 1}, rows, n, weight.panel(k));
    }
    weight.fill_done(k);
  }
}

/// With panels of the weight that are kept by its rows and by its columns: one of the two is the product's own way, the other its
/// transpose.
std::string with_kept_panels(const Case& c) {
  const Tensor& w = c.call.inputs[1];
  const WithoutMatrixUnit off;
  Case kept = c;
  std::vector<Tensor> results;
  for (const PackedWeight::By by : {PackedWeight::By::rows, PackedWeight::By::columns}) {
    // Row-major, whatever the case's layout: a kernel that reads another one may sum in another order.
    const Tensor copy = Tensor::from_vector(w.to_vector<float>(), w.shape());
    kept.call.inputs[1] = copy;
    if (results.empty()) results = run(cpu_backend(), kept.call);
    kept.call.inputs[1] = keep_packed(copy);
    PackedWeight* const weight = PackedWeight::find(copy.raw(), w.dim(0), w.dim(1));
    if (weight == nullptr) return "";
    fill_panels(*weight, copy, by);
    for (const Variant& variant : {Variant{5}, Variant{1, false, -1, 3}}) {
      if (std::string what = changes(kept, results, variant, by == PackedWeight::By::rows ? "panels of rows" : "panels of columns");
          !what.empty()) {
        return what;
      }
    }
  }
  return "";
}

bool may_keep(const OpCall& call) {
  const bool op = call.op == Op::matmul || call.op == Op::linear || call.op == Op::lora_linear || call.op == Op::gated_linear;
  return op && call.inputs[1].dtype() == DType::f32 && call.inputs[1].rank() == 2 && 2 * terms_of(call) >= 5e6;
}

std::string with_special(const Case& c, const Wanted& wanted) {
  const DType t = c.call.inputs[0].dtype();
  const auto tried = [&](const cpu::Emulated& special, const char* name) {
    const WithEmulated now(special);
    const std::string what = in_every_cut(c, wanted);
    return what.empty() ? what : std::string(name) + ": " + what;
  };
  if (c.call.op == Op::quantized_linear) return tried({.byte_panels = true}, "panels of bytes");
  const double terms = terms_of(c.call);
  // The plain loops of the matrix unit are slow where limbs are many.
  if (2 * terms >= 9e6 && terms <= 3e7) {
    if (std::string what = tried({.matrix_unit = true}, "matrix unit"); !what.empty()) return what;
  }
  if (c.call.op == Op::gather_matmul) return t == DType::bf16 ? tried({.bf16_pairs = true}, "pairs of bf16") : "";
  if (t == DType::bf16 && terms >= 1e5) return tried({.bf16_blocks = true}, "blocks of bf16");
  return "";
}

}  // namespace

std::string wrong_on_cpu(const Case& c, const Effort& effort) {
  const Wanted wanted(c);
  if (std::string what = in_every_cut(c, wanted, true); !what.empty()) return what;
  if (c.call.op == Op::gather_matmul && effort.special) return with_special(c, wanted);
  if (!is_product(c.call)) return "";
  if (cpu::has_matrix_unit()) {
    const WithoutMatrixUnit off;
    if (std::string what = in_every_cut(c, wanted); !what.empty()) return "without matrix unit: " + what;
  }
  if (effort.special) {
    if (std::string what = with_special(c, wanted); !what.empty()) return what;
  }
  return effort.kept && may_keep(c.call) ? with_kept_panels(c) : "";
}

}  // namespace lazuli::conformance
