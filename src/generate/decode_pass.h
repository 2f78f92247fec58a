// Defines DecodePass, the forward pass of texts in slots, which ends in the next token of each.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "generate/state_layout.h"
#include "lazuli/model.h"
#include "lazuli/transforms.h"

namespace lazuli {

/// What a run is given, by name. T is LazyTensor, Tensor or TensorSpec.
template <class T>
struct DecodeValues {
  T ids;                   ///< (slots, 1), or (1, tokens) of one slot's prompt
  T offset;                ///< (slots): position of each slot's token; or rank 0
  T last;                  ///< rank 0: index of the prompt's last token in ids
  T slot;                  ///< rank 0: whose prompt it is
  T advance;               ///< (slots): 1 for slots that go on, 0 for others, whose position stays
  T choice;                ///< (slots): index of each slot's adapter; -1: none
  T rules;                 ///< (slots, 4) as the op sample takes them
  T counts;                ///< (slots, 4) as the op sample takes them
  T history;               ///< (slots, capacity): ids at their positions; donated
  std::vector<T> starts;   ///< of each window: (slots), positions of the first keys
  std::vector<T> tensors;  ///< what the layers keep, as StateLayout::specs; donated

  /// All in the order above, put behind `out`. What is donated is moved.
  void move_into(std::vector<T>& out);
  static DecodeValues from(std::span<const T> values, size_t windows);
};

/// Numbers of the results; those from `kTensors` on are what the layers keep.
struct DecodeResults {
  static constexpr size_t kTokens = 0,  ///< (slots) or (1): chosen ids; -1 where the logits have NaN
      kNextIds = 1,                     ///< (slots, 1): the same as ids of the next step
      kNextOffset = 2,                  ///< (slots) or (1): positions of the next step
      kLogits = 3,                      ///< (slots or 1, vocabulary)
      kHistory = 4, kTensors = 5;
};

/// The adapters of the texts.
struct SlotAdapters {
  /// One for all texts, or none.
  static SlotAdapters shared(std::optional<Adapter> adapter) {
    SlotAdapters out{{}, false};
    if (adapter) out.adapters.push_back(std::move(*adapter));
    return out;
  }
  std::vector<Adapter> adapters = {};
  bool by_slot = true;  ///< each text names one, or none; else there is at most one, which all texts have
};

/// A run without ids of several slots is one of tokens of one slot's prompt. Slots never see each other.
class DecodePass {
 public:
  DecodePass(std::shared_ptr<const LanguageModel> model, SlotAdapters adapters);
  const StateLayout& layout() const { return layout_; }
  /// A step of all slots, or a part of a prompt where the offset has rank 0.
  std::vector<LazyTensor> operator()(std::span<const LazyTensor> arguments) const;
  /// What it is given for `prompt` tokens of one slot's prompt, or for a step where that is 0.
  DecodeValues<TensorSpec> arguments(int64_t slots, int64_t capacity, int64_t prompt) const;
  /// Numbers of the donated arguments.
  std::vector<int> donated() const;

 private:
  using Values = DecodeValues<LazyTensor>;
  std::vector<LazyTensor> step(Values& v) const;
  std::vector<LazyTensor> prompt(Values& v) const;
  LazyTensor logits(const Values& v, const LazyTensor& choice, DecodingState& state) const;
  DecodingState state_with(std::span<const LazyTensor> starts, int64_t positions) const;

  std::shared_ptr<const LanguageModel> model_;
  StateLayout layout_;
  std::vector<Adapter> choices_;                  ///< that texts choose of
  std::shared_ptr<const AdapterContext> shared_;  ///< that all texts have
};

}  // namespace lazuli
