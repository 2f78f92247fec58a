// Defines the building blocks of models: linear layers with an optional low-rank part, norms and embeddings.
#pragma once

#include <cstdint>
#include <optional>

#include "lazuli/lazy_tensor.h"
#include "lazuli/ops.h"
#include "lazuli/quantize.h"
#include "lazuli/tensor.h"

namespace lazuli {

/// The low-rank part that LoRA (Hu et al. 2021) adds to a linear layer: scale * (x a^T) b^T.
struct LowRank {
  LazyTensor a;        ///< (rank, in)
  LazyTensor b;        ///< (out, rank)
  double scale = 1;    ///< factor of the whole part
  double dropout = 0;  ///< probability of a zero in the part's copy of x
  LazyTensor seed;     ///< rank-0 i64; dropout happens only where it is defined
  ///@{
  /// Several adapters in one batch: then a is (adapters, rank, in), b (adapters, out, rank), and each entry of the batch takes the adapter
  /// of its choice ((batch), i32; -1: none) with that adapter's factor, `scales` (adapters). Without choice both are empty.
  LazyTensor choice = {}, scales = {};
  ///@}
};

/// y = x w^T + bias, with the weight as Hugging Face stores it.
class Linear {
 public:
  /// Empty; to be assigned to.
  Linear() = default;
  /// weight (out, in); bias (out) or nothing. Throws ShapeError.
  explicit Linear(Tensor weight, Tensor bias = {});
  /// The same with a quantised weight. Throws ShapeError.
  explicit Linear(QuantizedWeight weight, Tensor bias = {});
  /// x (..., in) -> (..., out).
  LazyTensor forward(const LazyTensor& x, const LowRank* low_rank = nullptr) const;
  /// The same by a product of floats, made of a weight of int8 for this product; one of another format stays as it is.
  LazyTensor float_forward(const LazyTensor& x) const;
  ///@{
  /// Sizes of the weight (out, in), and the weight: the first of its parts where it is quantised.
  int64_t in_size() const { return in_; }
  int64_t out_size() const { return out_; }
  const LazyTensor& weight() const { return parts_.at(0); }
  ///@}

 private:
  void set_bias(Tensor bias);
  std::vector<LazyTensor> parts_;  ///< the weight alone, or what its format is made of
  LazyTensor bias_;
  QuantFormatId format_ = QuantFormatId::none;
  int64_t in_ = 0, out_ = 0;
};

/// x / sqrt(mean(x^2) + eps) * weight over the last axis (Zhang and Sennrich 2019).
class RMSNorm {
 public:
  /// Empty; to be assigned to.
  RMSNorm() = default;
  /// weight (size).
  RMSNorm(Tensor weight, double eps) : weight_(LazyTensor::from_tensor(std::move(weight))), eps_(eps) {}
  /// x (..., size) -> (..., size), computed in the weight's dtype where that is f32 and x is not.
  LazyTensor forward(const LazyTensor& x) const {
    if (weight_.dtype() == x.dtype() || weight_.dtype() != DType::f32) return rms_norm(x, weight_, eps_);
    return cast(rms_norm(cast(x, DType::f32), weight_, eps_), x.dtype());
  }

 private:
  LazyTensor weight_;
  double eps_ = 1e-6;
};

/// (x - mean) / sqrt(variance + eps) * weight + bias over the last axis (Ba et al. 2016).
class LayerNorm {
 public:
  /// Empty; to be assigned to.
  LayerNorm() = default;
  /// weight (size), bias (size).
  LayerNorm(Tensor weight, Tensor bias, double eps)
      : weight_(LazyTensor::from_tensor(std::move(weight))), bias_(LazyTensor::from_tensor(std::move(bias))), eps_(eps) {}
  /// x (..., size) -> (..., size).
  LazyTensor forward(const LazyTensor& x) const { return layer_norm(x, weight_, bias_, eps_); }

 private:
  LazyTensor weight_;
  LazyTensor bias_;
  double eps_ = 1e-5;
};

/// Rows of a table (rows, size), chosen by ids.
class Embedding {
 public:
  /// Empty; to be assigned to.
  Embedding() = default;
  /// table (rows, size).
  explicit Embedding(Tensor table) : parts_{LazyTensor::from_tensor(std::move(table))} {}
  /// A quantised table, whose rows are given out in `dtype`.
  Embedding(QuantizedWeight table, DType dtype);
  /// ids (...) -> (..., size).
  LazyTensor forward(const LazyTensor& ids) const;
  /// The table: the first of its parts where it is quantised.
  const LazyTensor& table() const { return parts_.at(0); }

 private:
  std::vector<LazyTensor> parts_;  ///< the table alone, or what its format is made of
  QuantFormatId format_ = QuantFormatId::none;
  DType dtype_ = DType::f32;
};

/// The low-rank part alone: alpha / rank * (x a^T) b^T, with factors that can be trained.
class LoRALayer {
 public:
  /// Starts as PEFT does: a uniform in +-1/sqrt(in), from the seed; b zero, so that the layer gives zeros. Throws ValueError.
  LoRALayer(int64_t in, int64_t out, int64_t rank, double alpha, uint64_t seed = 0);
  /// Factors a (rank, in) and b (out, rank); throws ShapeError.
  LoRALayer(Tensor a, Tensor b, double alpha);

  /// Records the layer: x (..., in) -> (..., out).
  LazyTensor forward_lazy(const LazyTensor& x) const;
  /// Evaluates the layer.
  Tensor forward(const Tensor& x) const { return forward_lazy(LazyTensor::from_tensor(x)).eval(); }

  ///@{
  /// The factors: a (rank, in), b (out, rank).
  const Tensor& a() const { return a_; }
  const Tensor& b() const { return b_; }
  ///@}
  /// Replaces the factors, for example after a step of training; throws ShapeError.
  void set_factors(Tensor a, Tensor b);
  ///@{
  /// Columns between the factors, and alpha / rank.
  int64_t rank() const { return a_.dim(0); }
  double scale() const { return alpha_ / static_cast<double>(rank()); }
  ///@}

 private:
  Tensor a_, b_;
  double alpha_;
};

/// A new factor a: (rank, in), uniform in +-1/sqrt(in) (He et al. 2015 with slope sqrt(5)), drawn from `seed` and `stream`.
Tensor new_lora_a(int64_t rank, int64_t in, uint64_t seed, uint64_t stream);

}  // namespace lazuli
