// Defines the building blocks of models: linear layers with an optional low-rank term, norms and embeddings.
#pragma once

#include <cstdint>
#include <optional>

#include "lazuli/lazy_tensor.h"
#include "lazuli/ops.h"
#include "lazuli/quantized_weight.h"
#include "lazuli/tensor.h"

namespace lazuli {

/// The low-rank term that LoRA (Hu et al. 2021) adds to a linear layer: scale * (x a^T) b^T.
struct LowRank {
  LazyTensor a;        ///< (rank, in)
  LazyTensor b;        ///< (out, rank)
  double scale = 1;    ///< factor of the term
  double dropout = 0;  ///< dropout probability of the term's copy of x
  LazyTensor seed;     ///< rank-0 i64; there is dropout only if it is defined
  ///@{
  /// For several adapters in one batch; empty otherwise. Then a is (adapters, rank, in) and b is (adapters, out, rank). Each entry of the
  /// batch uses the adapter with the index in `choice` ((batch), i32; -1: none), and its factor in `scales` (adapters).
  LazyTensor choice = {}, scales = {};
  ///@}
};

/// y = x w^T + bias, with the weight as Hugging Face stores it.
class Linear {
 public:
  /// Makes an empty layer, to be assigned to.
  Linear() = default;
  /// The weight is (out, in), the bias (out) or empty. Throws ShapeError.
  explicit Linear(Tensor weight, Tensor bias = {});
  /// Uses a quantised weight. Throws ShapeError.
  explicit Linear(QuantizedWeight weight, Tensor bias = {});
  /// Records the layer: x (..., in) -> (..., out).
  LazyTensor forward(const LazyTensor& x, const LowRank* low_rank = nullptr) const;
  /// Records the layer as a product of floats. A weight of int8 is dequantised for this product, one of another format is used as it is.
  LazyTensor float_forward(const LazyTensor& x) const;
  ///@{
  /// The sizes of the weight (out, in), and the weight. For a quantised weight this is the first of its parts.
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
  /// Makes an empty layer, to be assigned to.
  RMSNorm() = default;
  /// The weight is (size).
  RMSNorm(Tensor weight, double eps) : weight_(LazyTensor::from_tensor(std::move(weight))), eps_(eps) {}
  /// Records the norm: x (..., size) -> (..., size). It is computed in f32 if the weight is f32 and x is not.
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
  /// Makes an empty layer, to be assigned to.
  LayerNorm() = default;
  /// The weight and the bias are (size).
  LayerNorm(Tensor weight, Tensor bias, double eps)
      : weight_(LazyTensor::from_tensor(std::move(weight))), bias_(LazyTensor::from_tensor(std::move(bias))), eps_(eps) {}
  /// Records the norm: x (..., size) -> (..., size).
  LazyTensor forward(const LazyTensor& x) const { return layer_norm(x, weight_, bias_, eps_); }

 private:
  LazyTensor weight_;
  LazyTensor bias_;
  double eps_ = 1e-5;
};

/// Looks up rows of a table (rows, size) by ids.
class Embedding {
 public:
  /// Makes an empty layer, to be assigned to.
  Embedding() = default;
  /// The table is (rows, size).
  explicit Embedding(Tensor table) : parts_{LazyTensor::from_tensor(std::move(table))} {}
  /// Uses a quantised table. Its rows are dequantised to `dtype`.
  Embedding(QuantizedWeight table, DType dtype);
  /// Records the lookup: ids (...) -> (..., size).
  LazyTensor forward(const LazyTensor& ids) const;
  /// The table. For a quantised table this is the first of its parts.
  const LazyTensor& table() const { return parts_.at(0); }

 private:
  std::vector<LazyTensor> parts_;  ///< the table alone, or what its format is made of
  QuantFormatId format_ = QuantFormatId::none;
  DType dtype_ = DType::f32;
};

/// The low-rank term alone: alpha / rank * (x a^T) b^T, with factors that can be trained.
class LoRALayer {
 public:
  /// Initialises the factors as PEFT does. a is uniform in +-1/sqrt(in), from the seed. b is zero, so the layer gives zeros. Throws
  /// ValueError.
  LoRALayer(int64_t in, int64_t out, int64_t rank, double alpha, uint64_t seed = 0);
  /// Uses factors a (rank, in) and b (out, rank). Throws ShapeError.
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
  /// Replaces the factors, for example after a training step. Throws ShapeError.
  void set_factors(Tensor a, Tensor b);
  ///@{
  /// The rank, and the scale alpha / rank.
  int64_t rank() const { return a_.dim(0); }
  double scale() const { return alpha_ / static_cast<double>(rank()); }
  ///@}

 private:
  Tensor a_, b_;
  double alpha_;
};

/// Returns a new factor a: (rank, in), uniform in +-1/sqrt(in) (He et al. 2015 with slope sqrt(5)), drawn from `seed` and `stream`.
Tensor new_lora_a(int64_t rank, int64_t in, uint64_t seed, uint64_t stream);

}  // namespace lazuli
