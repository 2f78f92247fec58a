#include "conformance/exact.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "backend/reference/scalar_ops.h"
#include "lazuli/op.h"
#include "lazuli/quantize.h"

namespace lazuli::conformance {

namespace {

constexpr double kUnit = 0x1p-24;
constexpr double kMostTerms = 4e7;

/// In double, row by row.
struct Matrix {
  int64_t rows = 0, columns = 0;
  std::vector<double> v;
  double* row(int64_t i) { return v.data() + i * columns; }
  const double* row(int64_t i) const { return v.data() + i * columns; }
};

Matrix zeros(int64_t rows, int64_t columns) { return {rows, columns, std::vector<double>(static_cast<size_t>(rows * columns))}; }

/// Rows of all dims but the last.
Matrix matrix_of(const Tensor& t, bool transposed = false) {
  const int64_t columns = t.rank() == 0 ? 1 : t.shape().back(), rows = columns == 0 ? 0 : t.numel() / columns;
  Matrix m{rows, columns, t.to_vector<double>()};
  if (!transposed) return m;
  Matrix turned = zeros(columns, rows);
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < columns; ++j) turned.row(j)[i] = m.row(i)[j];
  }
  return turned;
}

Matrix rows_of(const Matrix& m, const std::vector<int64_t>& rows) {
  Matrix some = zeros(static_cast<int64_t>(rows.size()), m.columns);
  for (size_t k = 0; k < rows.size(); ++k) std::copy_n(m.row(rows[k]), m.columns, some.row(static_cast<int64_t>(k)));
  return some;
}

Matrix product(const Matrix& a, const Matrix& b) {
  Matrix c = zeros(a.rows, b.columns);
  for (int64_t i = 0; i < a.rows; ++i) {
    double* const to = c.row(i);
    const double* const x = a.row(i);
    int64_t p = 0;
    // Four steps at once: sums are loaded and stored less often.
    for (; p + 4 <= a.columns; p += 4) {
      const double *b0 = b.row(p), *b1 = b.row(p + 1), *b2 = b.row(p + 2), *b3 = b.row(p + 3);
      for (int64_t j = 0; j < b.columns; ++j) to[j] += x[p] * b0[j] + x[p + 1] * b1[j] + x[p + 2] * b2[j] + x[p + 3] * b3[j];
    }
    for (; p < a.columns; ++p) {
      for (int64_t j = 0; j < b.columns; ++j) to[j] += x[p] * b.row(p)[j];
    }
  }
  return c;
}

std::vector<double> row_norms(const Matrix& m) {
  std::vector<double> norms;
  for (int64_t i = 0; i < m.rows; ++i) {
    double sum = 0;
    for (int64_t j = 0; j < m.columns; ++j) sum += m.row(i)[j] * m.row(i)[j];
    norms.push_back(std::sqrt(sum));
  }
  return norms;
}

std::vector<double> column_norms(const Matrix& m) {
  std::vector<double> norms(static_cast<size_t>(m.columns));
  for (int64_t i = 0; i < m.rows; ++i) {
    for (int64_t j = 0; j < m.columns; ++j) norms[static_cast<size_t>(j)] += m.row(i)[j] * m.row(i)[j];
  }
  for (double& n : norms) n = std::sqrt(n);
  return norms;
}

/// Values, and a bound of the sum of the magnitudes of all that was added up for each: by Cauchy and Schwarz, of the norms.
struct Sums {
  Matrix value, size;
};

void add(Sums& sums, const Matrix& value, double factor, const std::vector<double>& left, const std::vector<double>& right) {
  for (int64_t i = 0; i < value.rows; ++i) {
    for (int64_t j = 0; j < value.columns; ++j) {
      sums.value.row(i)[j] += factor * value.row(i)[j];
      sums.size.row(i)[j] += std::fabs(factor) * left[static_cast<size_t>(i)] * right[static_cast<size_t>(j)];
    }
  }
}

void add_product(Sums& sums, const Matrix& x, const Matrix& w) { add(sums, product(x, w), 1, row_norms(x), column_norms(w)); }

void add_low_rank(Sums& sums, const Matrix& x, const Matrix& a, const Matrix& b, double scale) {
  const Matrix inner = product(x, a);
  double of_a = 0;
  for (const double n : column_norms(a)) of_a += n * n;
  std::vector<double> left = row_norms(x);
  for (double& n : left) n *= std::sqrt(of_a);
  add(sums, product(inner, b), scale, left, column_norms(b));
}

/// What is added as it is: a row for all rows, or row by row.
void add_values(Sums& sums, const Matrix& values) {
  for (int64_t i = 0; i < sums.value.rows; ++i) {
    const double* const from = values.row(values.rows == 1 ? 0 : i);
    for (int64_t j = 0; j < sums.value.columns; ++j) {
      sums.value.row(i)[j] += from[j];
      sums.size.row(i)[j] += std::fabs(from[j]);
    }
  }
}

/// (k, n).
Matrix quantized_weight(const OpCall& call) {
  const int64_t k = call.inputs[0].shape().back();
  const QuantFormat& format = quant_format(static_cast<QuantFormatId>(call.attrs.i[0]));
  if (format.storage == QuantStorage::blocks) {
    return matrix_of(dequantized({format.id, call.inputs[1].dim(0), k, {call.inputs[1]}}), true);
  }
  const Matrix q = matrix_of(call.inputs[1]), scales = matrix_of(call.inputs[2]);
  Matrix w = zeros(k, q.rows);
  for (int64_t j = 0; j < q.rows; ++j) {
    for (int64_t p = 0; p < k; ++p) {
      if (format.id == QuantFormatId::int8) {
        w.row(p)[j] = q.row(j)[p] * scales.row(j)[0];
      } else {
        const auto both = static_cast<int64_t>(q.row(j)[p / 2]);
        w.row(p)[j] = static_cast<double>((p % 2 == 0 ? both & 15 : both >> 4) - 8) * scales.row(j)[p / 32];
      }
    }
  }
  return w;
}

double scalar_of(const Tensor& t) { return t.to_vector<double>()[0]; }

/// Sums of the rows that are looked at, before the activation.
class Judge {
 public:
  explicit Judge(const OpCall& call) : c_(call) {
    const bool turned = call.op == Op::matmul && call.attrs.i[0] != 0;
    x_ = matrix_of(call.inputs[0], turned);
    columns_ = columns();
    const double terms = static_cast<double>(x_.rows) * static_cast<double>(x_.columns) * static_cast<double>(columns_);
    const auto step = static_cast<int64_t>(std::max(1.0, std::ceil(terms / kMostTerms)));
    for (int64_t i = 0; i < x_.rows; ++i) {
      if (i % step == 0 || i < 2 || i + 2 >= x_.rows) rows_.push_back(i);
    }
    if (static_cast<int64_t>(rows_.size()) < x_.rows) x_ = rows_of(x_, rows_);
  }

  std::string look_at(const Tensor& got, double rounding) {
    const Sums sums = this->sums();
    const Sums times = c_.op == Op::gated_linear ? sums_of(2) : Sums{};
    const Matrix result = matrix_of(got);
    const auto activation = static_cast<Op>(has_activation() ? c_.attrs.i[2] : 0);
    const double unit = got.dtype() == DType::bf16 ? 0x1p-8 : got.dtype() == DType::f16 ? 0x1p-11 : kUnit;
    for (size_t k = 0; k < rows_.size(); ++k) {
      for (int64_t j = 0; j < columns_; ++j) {
        const auto i = static_cast<int64_t>(k);
        double wanted = sums.value.row(i)[j], off = rounding * kUnit * sums.size.row(i)[j];
        if (activation != Op::input) {
          // No slope is above 1.2, and polynomials in f32 are good to a few units.
          off = 1.2 * off + 8 * kUnit * std::fabs(wanted);
          wanted = reference::apply_unary(activation, wanted);
        }
        if (c_.op == Op::gated_linear) {
          const double up = times.value.row(i)[j];
          off = off * std::fabs(up) + std::fabs(wanted) * (rounding * kUnit * times.size.row(i)[j] + unit * std::fabs(up));
          wanted *= up;
        }
        off += 1.01 * unit * std::fabs(wanted) + (got.dtype() == DType::f16 ? 0x1p-25 : 0x1p-126);
        const double value = result.row(rows_[k])[j];
        if (std::fabs(value - wanted) <= off) continue;
        return std::to_string(value) + " in row " + std::to_string(rows_[k]) + ", column " + std::to_string(j) + " where " +
               std::to_string(wanted) + " is wanted, within " + std::to_string(off);
      }
    }
    return "";
  }

 private:
  bool has_activation() const { return c_.op == Op::linear || c_.op == Op::quantized_linear || c_.op == Op::gated_linear; }
  int64_t columns() const {
    if (c_.op == Op::lora_rows) return c_.inputs[2].dim(1);
    if (c_.op == Op::quantized_linear) return c_.inputs[1].dim(0);
    if (c_.op == Op::lora_fused) return c_.inputs[2].dim(c_.attrs.i[1] != 0 ? 0 : 1);
    return c_.inputs[1].dim(weight_is_transposed() ? 0 : 1);
  }
  bool weight_is_transposed() const { return c_.attrs.i[c_.op == Op::matmul ? 1 : c_.op == Op::lora_linear ? 2 : 0] != 0; }
  Matrix some(const Tensor& t) const {
    const Matrix all = matrix_of(t);
    return all.rows == static_cast<int64_t>(rows_.size()) ? all : rows_of(all, rows_);
  }
  Sums none() const { return {zeros(x_.rows, columns_), zeros(x_.rows, columns_)}; }
  /// x times the weight that is that operand.
  Sums sums_of(size_t w) const {
    Sums sums = none();
    add_product(sums, x_, c_.op == Op::quantized_linear ? quantized_weight(c_) : matrix_of(c_.inputs[w], weight_is_transposed()));
    return sums;
  }

  Sums sums() const {
    if (c_.op == Op::lora_rows) return rows_by_adapter();
    const bool fused = c_.op == Op::lora_fused;
    Sums sums = fused ? none() : sums_of(1);
    if (fused || c_.op == Op::lora_linear) {
      const size_t a = fused ? 1 : 2;
      add_low_rank(sums, x_, matrix_of(c_.inputs[a], c_.attrs.i[0] != 0), matrix_of(c_.inputs[a + 1], c_.attrs.i[1] != 0),
                   scalar_of(c_.inputs[a + 2]));
    }
    if (c_.op == Op::lora_linear && c_.inputs.size() > 5) add_values(sums, matrix_of(c_.inputs[5]));
    if (c_.op == Op::linear || c_.op == Op::quantized_linear) {
      const bool bias = (c_.attrs.i[1] & 1) != 0, residual = (c_.attrs.i[1] & 2) != 0;
      if (bias) add_values(sums, matrix_of(c_.inputs[c_.inputs.size() - (residual ? 2 : 1)]));
      if (residual) add_values(sums, some(c_.inputs.back()));
    }
    return sums;
  }

  Sums rows_by_adapter() const {
    Sums sums = none();
    const auto choice = c_.inputs[4].to_vector<int64_t>();
    const auto scales = c_.inputs[3].to_vector<double>();
    const int64_t tokens = c_.inputs[0].dim(1);
    for (size_t k = 0; k < rows_.size(); ++k) {
      const int64_t chosen = choice[static_cast<size_t>(rows_[k] / tokens)];
      if (chosen < 0) continue;
      Sums own{zeros(1, columns_), zeros(1, columns_)};
      add_low_rank(own, rows_of(x_, {static_cast<int64_t>(k)}), adapter(1, chosen), adapter(2, chosen),
                   scales[static_cast<size_t>(chosen)]);
      std::copy_n(own.value.row(0), columns_, sums.value.row(static_cast<int64_t>(k)));
      std::copy_n(own.size.row(0), columns_, sums.size.row(static_cast<int64_t>(k)));
    }
    if (c_.inputs.size() > 5) add_values(sums, some(c_.inputs[5]));
    return sums;
  }
  /// Transposed, as it is used.
  Matrix adapter(size_t operand, int64_t number) const {
    const Tensor& t = c_.inputs[operand];
    const Matrix all = matrix_of(t);
    Matrix own = zeros(t.dim(2), t.dim(1));
    for (int64_t i = 0; i < t.dim(1); ++i) {
      for (int64_t j = 0; j < t.dim(2); ++j) own.row(j)[i] = all.row(number * t.dim(1) + i)[j];
    }
    return own;
  }

  const OpCall& c_;
  Matrix x_;  ///< rows that are looked at
  std::vector<int64_t> rows_;
  int64_t columns_ = 0;
};

}  // namespace

bool is_product(const OpCall& call) {
  switch (call.op) {
    case Op::matmul:
      if (call.inputs[0].rank() != 2 || call.inputs[1].rank() != 2) return false;
      break;
    case Op::linear:
    case Op::quantized_linear:
    case Op::lora_fused:
    case Op::lora_linear:
    case Op::lora_rows:
    case Op::gated_linear:
      break;
    default:
      return false;
  }
  const DType t = call.inputs[0].dtype();
  return t == DType::f32 || t == DType::bf16 || t == DType::f16;
}

std::string wrong_product(const OpCall& call, const Tensor& got, double rounding) { return Judge(call).look_at(got, rounding); }

}  // namespace lazuli::conformance
