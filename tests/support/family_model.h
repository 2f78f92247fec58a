// Defines FamilyModel: a small model of some architecture whose weights are a formula, and what transformers and PEFT compute with it.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/json.h"
#include "lazuli/adapter.h"
#include "lazuli/tensor.h"
#include "support/temp_folder.h"

namespace lazuli::test {

/// The tensor whose name, shape, shift and scale are given, in an object or in an array.
Tensor formula(const std::string& name, const JsonValue& parts);

/// Writes the model into a folder of its own, which goes away with the object.
class FamilyModel {
 public:
  /// A name of tests/data/families, or of another folder beside it.
  explicit FamilyModel(const std::string& name, const std::string& folder = "families");
  std::string folder() const { return folder_.path(); }
  JsonValue expected() const { return document_.root(); }
  /// A list of numbers of the file.
  std::vector<double> numbers(const char* key) const;
  std::vector<int32_t> ids(const char* key) const;
  /// The adapter that training begins with, on all linear layers.
  Adapter adapter(std::span<const LinearInfo> layers) const;
  /// The ids of a batch of training, (batch, tokens + 1).
  Tensor batch(int64_t step) const;

 private:
  std::string name_;
  JsonDocument document_;
  TempFolder folder_;
};

}  // namespace lazuli::test
