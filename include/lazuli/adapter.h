// Defines LoRA adapters of models: which linear layers they change, their factors, and their files in PEFT's layout.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lazuli/nn.h"

namespace lazuli {

/// A linear layer of a model by the name that PEFT gives it, such as `model.layers.0.self_attn.q_proj`.
struct LinearInfo {
  std::string path;         ///< the name
  int64_t in = 0;           ///< size of its inputs
  int64_t out = 0;          ///< size of its outputs
  bool used = true;         ///< false: no computation here uses it (BERT's pooler, for example), but PEFT adapts it like any other layer
  std::string weight = {};  ///< the name of its weight in the model's files; empty if they have none
  int64_t row = 0;          ///< the row of that weight at which its own `out` rows begin; others may have the rest
};

/// How an adapter changes the layers (Hu et al. 2021); the fields are those of PEFT's `LoraConfig`.
struct LoRAConfig {
  int64_t rank = 8;         ///< rank of the low-rank term
  double alpha = 16;        ///< numerator of the scale
  double dropout = 0;       ///< dropout probability of the inputs of the low-rank term, in training
  bool use_rslora = false;  ///< scale alpha / sqrt(rank) (Kalajdzievski 2023) instead of alpha / rank
  /// Names of layers or ends of their paths. The one word `all-linear` names all linear layers except the output layer.
  std::vector<std::string> target_modules = {"all-linear"};
  /// A regular expression that must match a complete path. It is used instead of the names unless it is empty.
  std::string target_pattern;
  ///@{
  /// Layers to exclude although they are named: names or ends of paths, or a regular expression.
  std::vector<std::string> exclude_modules;
  std::string exclude_pattern;
  ///@}
  ///@{
  /// Indices of the only blocks to adapt, where names are ends of paths. An empty list means all blocks. `layers_pattern` names the list of
  /// blocks in a path; if it is empty, any name fits.
  std::vector<int64_t> layers_to_transform;
  std::vector<std::string> layers_pattern;
  ///@}
  ///@{
  /// Ranks and alphas of layers whose path ends in a match of the regular expression. The first one that matches counts. Other layers have
  /// `rank` and `alpha`.
  std::vector<std::pair<std::string, int64_t>> rank_pattern;
  std::vector<std::pair<std::string, double>> alpha_pattern;
  ///@}
  std::string base_model;               ///< where the model came from, for the file
  std::string task_type = "CAUSAL_LM";  ///< PEFT's word for what the model does: this, FEATURE_EXTRACTION or SEQ_CLS
  /// Names of the modules that are trained whole and saved with the adapter, such as a classification head.
  std::vector<std::string> modules_to_save = {};
  /// The factor of the low-rank term: alpha / rank, or as `use_rslora` says.
  double scale() const { return scale_of(rank, alpha); }
  /// The factor of a layer with a rank and alpha of its own.
  double scale_of(int64_t layer_rank, double layer_alpha) const;
  /// Throws ValueError naming what is out of range.
  void check() const;
};

/// Returns the indices of the layers that the configuration adapts, ascending. Throws ValueError for a name that fits no layer.
std::vector<size_t> select_targets(const LoRAConfig& config, std::span<const LinearInfo> layers);

/// A tensor of a model that an adapter may replace as a whole, by the name that PEFT gives it, such as `classifier.weight`.
struct WholeTensor {
  std::string name;  ///< the name
  Tensor value;      ///< its numbers: in the model's files, or trained ones in f32
};

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

  /// Makes a new adapter that changes nothing yet: a is random and b is zero. Throws ValueError.
  static Adapter create(std::span<const LinearInfo> layers, LoRAConfig config, uint64_t seed);
  /// Makes an adapter with the shapes of a new one. All factors are zero and have no memory of their own, which is enough for plans. Throws
  /// ValueError.
  static Adapter of_zeros(std::span<const LinearInfo> layers, LoRAConfig config);
  /// Reads `adapter_config.json` and `adapter_model.safetensors` of a folder as PEFT writes them. Throws IoError. Throws FormatError for
  /// settings that are not supported and for tensors that do not fit the layers, and names them. Factors of layers that the model does not
  /// have, or does not use, are reported as a notice. Names that begin otherwise, as `model.language_model.layers` and `model.layers` do,
  /// are bound by their ends.
  ///
  /// `whole` are the tensors that `modules_to_save` of the file may replace. Throws FormatError for a module that has none of these.
  static Adapter load(const std::string& folder, std::span<const LinearInfo> layers, std::span<const WholeTensor> whole = {});
  /// How many labels the classification head has that `folder` stores whole; 0 without one. Throws IoError and FormatError.
  static int64_t stored_labels(const std::string& folder);
  /// Writes both files, each atomically. PEFT can load the folder. Throws IoError.
  void save(const std::string& folder) const;

  /// The configuration that the adapter was made with.
  const LoRAConfig& config() const { return config_; }
  /// The adapted layers, ascending.
  const std::vector<Pair>& pairs() const { return pairs_; }
  /// The adapted layers that no computation here uses. They are kept for files.
  const std::vector<Pair>& unused_pairs() const { return unused_pairs_; }
  /// The tensors that are trained whole, behind the factors in every list of parameters.
  const std::vector<WholeTensor>& whole() const { return whole_; }
  /// Trains these tensors whole, too, from their values on, as those of the modules of that name. Throws ValueError unless each tensor is
  /// one of these modules.
  void train_whole(std::span<const WholeTensor> tensors, std::vector<std::string> modules);
  /// The number of parameters: two for each pair, and the tensors that are trained whole.
  size_t parameter_tensors() const { return 2 * pairs_.size() + whole_.size(); }
  /// A name for a parameter, by its place in the list.
  std::string parameter_name(size_t index) const;
  /// The number of tensors of the file that were left out because they belong to parts that read images or sound.
  size_t left_out() const { return left_out_; }
  /// The factor of the low-rank term of a layer.
  double scale(const Pair& pair) const { return config_.scale_of(pair.a.dim(0), pair.alpha); }
  /// The number of linear layers of the model, adapted or not.
  size_t layer_count() const { return layer_count_; }
  /// Returns a and b of every pair in turn, and then the whole tensors. All lists of an adapter's parameters have this order.
  std::vector<Tensor> parameters() const;
  /// Replaces the factors. Throws ShapeError unless the shapes are those of this adapter.
  void set_parameters(std::span<const Tensor> parameters);
  /// The number of elements of all factors.
  int64_t parameter_count() const;

 private:
  template <class First, class Second>
  static Adapter with_factors(std::span<const LinearInfo> layers, LoRAConfig config, const First& a, const Second& b);

  LoRAConfig config_;
  std::vector<Pair> pairs_, unused_pairs_;
  std::vector<WholeTensor> whole_;
  std::vector<std::string> saved_targets_;
  size_t layer_count_ = 0;
  size_t left_out_ = 0;
};

/// An adapter as the layers of a model see it during one recording.
class AdapterContext {
 public:
  AdapterContext() = default;
  /// `parameters` has the order of Adapter::parameters. With `dropout_seed` (rank-0 i64) each layer draws a dropout mask of its own.
  AdapterContext(const Adapter& adapter, std::span<const LazyTensor> parameters, const LazyTensor& dropout_seed = {});
  /// Uses the adapter's own tensors, without dropout.
  explicit AdapterContext(const Adapter& adapter);
  /// Uses several adapters of one model in one batch. Entry i of the batch uses adapter `choice`[i], or none if that is -1. `choice`
  /// (batch) is i32 and may be a run-time value. Ranks and layers of the adapters may differ. Uses the adapters' own tensors, without
  /// dropout.
  AdapterContext(std::span<const Adapter> adapters, const LazyTensor& choice);
  /// Uses `parameters` instead: one list for each adapter, in the order of Adapter::parameters.
  AdapterContext(std::span<const Adapter> adapters, std::span<const std::vector<LazyTensor>> parameters, const LazyTensor& choice);
  /// The low-rank term of a layer by its index. Null if the layer is not adapted.
  const LowRank* low_rank(size_t layer) const {
    const int32_t k = layer < slot_.size() ? slot_[layer] : -1;
    return k < 0 ? nullptr : &pairs_[static_cast<size_t>(k)];
  }
  /// The tensor that replaces the model's own of that name. Null if there is none.
  const LazyTensor* whole(std::string_view name) const {
    for (const auto& [own, value] : whole_) {
      if (own == name) return &value;
    }
    return nullptr;
  }
  ///@{
  /// How many of the model's first layers the backward pass recomputes instead of keeping their intermediates.
  int64_t recomputed_layers() const { return recomputed_layers_; }
  void recompute(int64_t layers) { recomputed_layers_ = layers; }
  ///@}

 private:
  std::vector<LowRank> pairs_;
  std::vector<int32_t> slot_;
  std::vector<std::pair<std::string, LazyTensor>> whole_;
  int64_t recomputed_layers_ = 0;
};

}  // namespace lazuli
