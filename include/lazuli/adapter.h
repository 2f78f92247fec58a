// Defines LoRA adapters of whole models: which linear layers they change, their factors, and their files in PEFT's layout.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "lazuli/nn.h"

namespace lazuli {

/// A linear layer of a model by the name that PEFT gives it, such as `model.layers.0.self_attn.q_proj`.
struct LinearInfo {
  std::string path;         ///< the name
  int64_t in = 0;           ///< size of its inputs
  int64_t out = 0;          ///< size of its outputs
  bool used = true;         ///< false: nothing here computes with it, such as BERT's pooler, but PEFT adapts it like any other
  std::string weight = {};  ///< the name of its weight in the model's files; empty where they have none
};

/// How an adapter changes the layers (Hu et al. 2021); the fields are those of PEFT's `LoraConfig`.
struct LoRAConfig {
  int64_t rank = 8;         ///< columns between the two factors
  double alpha = 16;        ///< numerator of the scale
  double dropout = 0;       ///< probability of a zero in an input of the low-rank part, in training
  bool use_rslora = false;  ///< scale alpha / sqrt(rank) (Kalajdzievski 2023) instead of alpha / rank
  /// Names of layers or ends of their paths; the one word `all-linear` for all but the output layer.
  std::vector<std::string> target_modules = {"all-linear"};
  /// An expression that a whole path must match; used instead of the names when it is not empty.
  std::string target_pattern;
  ///@{
  /// Layers that are left out although they are named: names or ends of paths, or an expression.
  std::vector<std::string> exclude_modules;
  std::string exclude_pattern;
  ///@}
  ///@{
  /// Numbers of the only blocks to adapt, where names are ends of paths; none: all. The list of blocks is what `layers_pattern` names, or
  /// anything.
  std::vector<int64_t> layers_to_transform;
  std::vector<std::string> layers_pattern;
  ///@}
  ///@{
  /// Ranks and alphas of layers whose path ends in what the expression matches, the first that does; others have `rank` and `alpha`.
  std::vector<std::pair<std::string, int64_t>> rank_pattern;
  std::vector<std::pair<std::string, double>> alpha_pattern;
  ///@}
  std::string base_model;               ///< where the model came from, for the file
  std::string task_type = "CAUSAL_LM";  ///< PEFT's word for what the model does: this, or FEATURE_EXTRACTION
  /// What the low-rank part is multiplied by: alpha / rank, or as `use_rslora` says.
  double scale() const { return scale_of(rank, alpha); }
  /// The same of a layer with a rank and alpha of its own.
  double scale_of(int64_t layer_rank, double layer_alpha) const;
  /// Throws ValueError naming what is out of range.
  void check() const;
};

/// Indices of the layers that the configuration adapts, ascending. Throws ValueError for a name that fits no layer.
std::vector<size_t> select_targets(const LoRAConfig& config, std::span<const LinearInfo> layers);

/// The factors of every adapted layer of one model.
class Adapter {
 public:
  /// The two factors of one layer.
  struct Pair {
    size_t layer = 0;  ///< index in the model's list of linear layers
    std::string path;  ///< the layer's name
    Tensor a;          ///< (rank, in), f32
    Tensor b;          ///< (out, rank), f32
    double alpha = 0;  ///< numerator of the scale
  };

  /// A new adapter that changes nothing yet: a random, b zero. Throws ValueError.
  static Adapter create(std::span<const LinearInfo> layers, LoRAConfig config, uint64_t seed);
  /// One whose factors have the shapes of a new adapter's and are all zero, without memory of their own. For plans. Throws ValueError.
  static Adapter of_zeros(std::span<const LinearInfo> layers, LoRAConfig config);
  /// Reads `adapter_config.json` and `adapter_model.safetensors` of a folder as PEFT writes them. Throws IoError, and FormatError for
  /// settings that are not supported and for tensors that do not fit the layers, by name. What the model has no layer for, or does not
  /// compute with, is told as a notice.
  static Adapter load(const std::string& folder, std::span<const LinearInfo> layers);
  /// Writes both files, each atomically; PEFT loads the folder. Throws IoError.
  void save(const std::string& folder) const;

  /// What the adapter was made with.
  const LoRAConfig& config() const { return config_; }
  /// The adapted layers, ascending.
  const std::vector<Pair>& pairs() const { return pairs_; }
  /// Layers that the file adapts and nothing here computes with; they are kept for files.
  const std::vector<Pair>& unused_pairs() const { return unused_pairs_; }
  /// What the low-rank part of a layer is multiplied by.
  double scale(const Pair& pair) const { return config_.scale_of(pair.a.dim(0), pair.alpha); }
  /// Linear layers of the model, adapted or not.
  size_t layer_count() const { return layer_count_; }
  /// a and b of every pair in turn: the order of all lists of an adapter's parameters.
  std::vector<Tensor> parameters() const;
  /// Throws ShapeError when they are not those of this adapter.
  void set_parameters(std::span<const Tensor> parameters);
  /// Numbers in all factors.
  int64_t parameter_count() const;

 private:
  template <class First, class Second>
  static Adapter with_factors(std::span<const LinearInfo> layers, LoRAConfig config, const First& a, const Second& b);

  LoRAConfig config_;
  std::vector<Pair> pairs_, unused_pairs_;
  std::vector<std::string> saved_targets_;
  size_t layer_count_ = 0;
};

/// An adapter as the layers of a model see it during one recording.
class AdapterContext {
 public:
  AdapterContext() = default;
  /// `parameters` in the order of Adapter::parameters. With `dropout_seed` (rank-0 i64) each layer drops inputs of its own.
  AdapterContext(const Adapter& adapter, std::span<const LazyTensor> parameters, const LazyTensor& dropout_seed = {});
  /// The adapter's own tensors, without dropout.
  explicit AdapterContext(const Adapter& adapter);
  /// Several adapters of one model in one batch: entry i of the batch takes adapter `choice`[i], or none where that is -1; `choice` (batch)
  /// is i32 and may be a value of the run. Ranks and layers of the adapters may differ. The adapters' own tensors, without dropout.
  AdapterContext(std::span<const Adapter> adapters, const LazyTensor& choice);
  /// The same with `parameters`: of each adapter, in the order of Adapter::parameters.
  AdapterContext(std::span<const Adapter> adapters, std::span<const std::vector<LazyTensor>> parameters, const LazyTensor& choice);
  /// Of a layer by its index; null when it is not adapted.
  const LowRank* low_rank(size_t layer) const {
    const int32_t k = layer < slot_.size() ? slot_[layer] : -1;
    return k < 0 ? nullptr : &pairs_[static_cast<size_t>(k)];
  }
  ///@{
  /// How many of the model's first layers the backward pass computes again instead of keeping what they computed.
  int64_t recomputed_layers() const { return recomputed_layers_; }
  void recompute(int64_t layers) { recomputed_layers_ = layers; }
  ///@}

 private:
  std::vector<LowRank> pairs_;
  std::vector<int32_t> slot_;
  int64_t recomputed_layers_ = 0;
};

}  // namespace lazuli
