// Defines TextPart, the weights of the language model inside a model of images or sound and text.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lazuli/weight_source.h"

namespace lazuli {

/// Gives tensors out by the names that the language model alone has, whatever layout the file has: `model.language_model.layers` with
/// `lm_head`, `language_model.model.layers` with `language_model.lm_head`, `language_model.layers`, or `model.layers`.
class TextPart : public WeightSource {
 public:
  /// Throws FormatError when no embeddings, or two, are there under the names of the layouts.
  explicit TextPart(std::shared_ptr<const WeightSource> whole);
  std::vector<std::string> names() const override;
  bool contains(std::string_view name) const override { return stored_.find(name) != stored_.end(); }
  const TensorInfo& info(std::string_view name) const override { return whole_->info(stored_name(name)); }
  Tensor tensor(std::string_view name) const override { return whole_->tensor(stored_name(name)); }
  QuantizedWeight quantized(std::string_view name) const override { return whole_->quantized(stored_name(name)); }
  const std::string& file_of(std::string_view name) const override { return whole_->file_of(stored_name(name)); }
  const std::string& place() const override { return whole_->place(); }
  std::string stored_name(std::string_view name) const override;

  /// The parts beside it by what their names begin with, and how many tensors each has.
  const std::map<std::string, size_t>& others() const { return others_; }
  /// What is left out, in words; empty for nothing.
  std::string others_text() const;

 private:
  std::shared_ptr<const WeightSource> whole_;
  std::string prefix_;                                      ///< stands in the file for `model.`
  std::string head_;                                        ///< stands in the file for `lm_head.`
  std::map<std::string, std::string, std::less<>> stored_;  ///< by the names that are given out
  std::map<std::string, size_t> others_;
};

}  // namespace lazuli
