// Defines SlotSession: several texts of one model that go on side by side, each in a slot with positions, rules and an adapter of its own.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "generate/slot_state.h"
#include "generate/token_read.h"
#include "lazuli/generate.h"
#include "lazuli/memory.h"
#include "lazuli/model.h"
#include "lazuli/transforms.h"

namespace lazuli {

/// What every run of a SlotSession is given and leaves, by name. T is LazyTensor, Tensor or TensorSpec.
template <class T>
struct SlotValues {
  T ids;                  ///< (slots, 1), or (1, tokens) of one slot's prompt
  T offset;               ///< (slots): position of each slot's token; or rank 0
  T last;                 ///< rank 0: index of the prompt's last token in ids
  T slot;                 ///< rank 0: whose prompt it is
  T advance;              ///< (slots): 1 for slots that go on, 0 for others, whose position stays
  T choice;               ///< (slots): index of each slot's adapter; -1: none
  T rules;                ///< (slots, 4) as the op sample takes them
  T counts;               ///< (slots, 4) as the op sample takes them
  T history;              ///< (slots, capacity): ids at their positions; donated
  std::vector<T> starts;  ///< of each group of SlotState: (slots), positions of the first keys
  std::vector<T> kv;      ///< as SlotState::kv; donated

  std::vector<T> list() const;
  static SlotValues from(std::span<const T> values, size_t groups);
  /// Numbers of the donated values.
  static std::vector<int> donated(size_t groups, size_t tensors);
};

/// What a run leaves.
struct SlotResults {
  static constexpr size_t kTokens = 0, kNextIds = 1, kNextOffset = 2, kHistory = 3, kCache = 4;
};

/// A run without ids of several slots is one of tokens of one slot's prompt. Slots never see each other. All runs of single tokens share
/// one plan, whatever slots are in use.
class SlotSession {
 public:
  /// Room for `slots` texts of up to `capacity` positions each. Throws OutOfMemory where runs with prompts of `longest` tokens need more
  /// than there may be.
  SlotSession(std::shared_ptr<const LanguageModel> model, std::vector<Adapter> adapters, int64_t slots, int64_t capacity, int64_t longest);
  int64_t slots() const { return static_cast<int64_t>(slots_.size()); }
  int64_t capacity() const { return capacity_; }
  /// What all runs take at most, the cache included.
  const MemoryNeed& need() const { return need_; }

  /// A free slot for a text, or nothing where all are taken. `adapter`: index of one, or -1.
  std::optional<int64_t> add(const SamplerOptions& sampler, int64_t prompt, int32_t adapter = -1);
  /// Frees the slot; tokens that were chosen for it and not read are dropped.
  void remove(int64_t slot);
  /// Reads part of the slot's prompt. With its `end` the slot's first token is chosen, and the slot takes part in steps from then on.
  void prefill(int64_t slot, std::span<const int32_t> ids, bool end);
  /// Takes back the last `count` tokens of a slot, whose prompt then goes on from there. Tokens are to be read before. Throws ValueError
  /// for more than `most_rolled_back`.
  void roll_back(int64_t slot, int64_t count);
  int64_t most_rolled_back(int64_t slot) const { return state_.most_rolled_back(slot, position(slot)); }
  /// What a slot has so far, for any slot of this session.
  struct SavedSlot {
    SavedState state;
    int64_t position = 0;
  };
  SavedSlot save(int64_t slot) { return {state_.save(slot), position(slot)}; }
  /// A slot whose prompt has not begun goes on from what was saved.
  void restore(int64_t slot, const SavedSlot& saved);
  /// Whether some slot can take a step.
  bool can_step() const;
  /// Chooses a token more for each slot whose prompt was read and that has room.
  void step();
  struct Chosen {
    int64_t slot;
    int32_t token;  ///< -1 where the logits have NaN
  };
  /// The tokens of the oldest run that were not read yet, each with its slot. Empty when there are none.
  std::vector<Chosen> read();
  /// Runs whose tokens were not read.
  size_t unread() const { return runs_.size(); }
  /// Whether slots changed since the last run: then its tokens are to be read before the next one.
  bool changed() const { return stale_; }
  /// Whether `step` returns while the run still goes on.
  bool runs_ahead() const;
  /// Tokens of the slot so far.
  int64_t position(int64_t slot) const { return slots_.at(static_cast<size_t>(slot)).position; }

 private:
  enum class State : uint8_t { free, prompt, decoding };
  struct Slot {
    State state = State::free;
    int64_t position = 0;  ///< tokens fed
    int32_t token = 0;     ///< chosen last, as far as the host knows
    uint64_t text = 0;     ///< number of the text in it
  };
  /// A run on its way, and the texts that get a token of it.
  struct Run {
    TokenRead tokens;
    std::vector<std::pair<int64_t, uint64_t>> texts;  ///< slot and number of the text
    bool one = false;                                 ///< of a prompt: the only token
  };
  void run();
  /// Puts what the host knows of the slots into the arguments of the next step.
  void renew();
  /// What a run with this many tokens of a prompt (0: a step) is given.
  SlotValues<TensorSpec> specs(int64_t prompt) const;

  std::shared_ptr<const LanguageModel> model_;
  Device device_;
  CompiledFunction forward_;
  SlotState state_;
  SlotValues<Tensor> args_;  ///< but for what `state_` holds
  std::vector<Tensor> list_, results_;
  std::vector<Slot> slots_;
  std::vector<float> rules_;
  std::vector<int64_t> counts_;
  std::vector<int32_t> choice_;
  std::deque<Run> runs_;
  MemoryNeed need_;
  int64_t capacity_;
  uint64_t texts_ = 0;
  bool stale_ = true;  ///< the arguments of a step are not what the last run left
};

}  // namespace lazuli
