// Defines SlotSession: texts of one model that go on side by side, each in a slot with positions, rules and an adapter of its own.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "generate/decode_pass.h"
#include "generate/slot_state.h"
#include "generate/token_read.h"
#include "lazuli/generate.h"
#include "lazuli/memory.h"
#include "lazuli/model.h"
#include "lazuli/transforms.h"

namespace lazuli {

/// What the layers keep enters every run whole and is donated, so a run neither copies nor allocates it, and all runs of single tokens
/// share one plan, whatever slots are in use. Chosen tokens stay where the model runs and can be fed before the host has read them.
class SlotSession {
 public:
  /// There is no room for texts before `reserve`.
  SlotSession(std::shared_ptr<const LanguageModel> model, SlotAdapters adapters, int64_t slots);
  /// Drops all texts and makes room for some of up to `capacity` tokens each, of which prompts have at most `longest`. Throws OutOfMemory
  /// where that needs more than there may be. Plans what will run.
  void reserve(int64_t capacity, int64_t longest);
  int64_t slots() const { return static_cast<int64_t>(slots_.size()); }
  int64_t capacity() const { return state_.capacity(); }
  /// What all runs take at most, what the layers keep included.
  const MemoryNeed& need() const { return need_; }

  /// A free slot for a text, or nothing where all are taken. `prompt`: tokens of its prompt; those after them are chosen by the rules of
  /// `sampler`. `adapter`: index of one, or -1.
  std::optional<int64_t> add(const SamplerOptions& sampler, int64_t prompt, int32_t adapter = -1);
  /// Frees the slot; tokens that were chosen for it and not read are dropped.
  void remove(int64_t slot);
  /// Reads part of the slot's prompt. With its `end` the slot's first token is chosen, and the slot takes part in steps from then on.
  void prefill(int64_t slot, std::span<const int32_t> ids, bool end);
  /// Takes back the last `count` tokens of a slot, whose prompt then goes on from there. Tokens are to be read before. Throws ValueError
  /// for more than `most_rolled_back`.
  void roll_back(int64_t slot, int64_t count);
  int64_t most_rolled_back(int64_t slot) const { return state_.most_rolled_back(slot, position(slot)); }
  /// What a slot has so far, for any slot of this session until the next `reserve`.
  SavedState save(int64_t slot) { return state_.save(slot, position(slot)); }
  /// A slot whose prompt has not begun goes on from what was saved.
  void restore(int64_t slot, const SavedState& saved);
  /// Whether some slot can take a step.
  bool can_step() const;
  /// Chooses a token more for each slot whose prompt was read and that has room.
  void step();
  struct Chosen {
    int64_t slot;
    int32_t token;  ///< -1 where the logits have NaN
  };
  /// The tokens of the oldest run that were not read yet, each with its slot. Empty when there are none. Waits for that run alone.
  std::vector<Chosen> read();
  /// Runs whose tokens were not read.
  size_t unread() const { return runs_.size(); }
  /// Whether slots changed since the last run: then its tokens are to be read before the next one.
  bool changed() const { return stale_; }
  /// Whether `step` returns while the run still goes on, so that feeding ahead of reading saves time.
  bool runs_ahead() const;
  /// Tokens of the slot so far.
  int64_t position(int64_t slot) const { return slots_.at(static_cast<size_t>(slot)).position; }
  /// Logits that the slot's last token was chosen from. Throws ValueError where the last run was not of that slot.
  std::vector<float> logits(int64_t slot) const;
  /// How many times the forward pass was traced.
  size_t traces() const { return forward_.traces(); }

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
  /// Feeds tokens of one slot's prompt in chunks.
  void feed(int64_t slot, std::span<const int32_t> ids);
  /// Puts what the host knows of the slots into the arguments of the next step.
  void renew();
  void drop_texts();

  std::shared_ptr<const LanguageModel> model_;
  Device device_;  ///< of all runs, whatever the calling thread's default
  DecodePass pass_;
  CompiledFunction forward_;
  SlotState state_;
  DecodeValues<Tensor> args_;  ///< but for what `state_` holds
  std::vector<Tensor> list_, results_;
  std::vector<Slot> slots_;
  std::vector<float> rules_;
  std::vector<int64_t> counts_;
  std::vector<int32_t> choice_;
  std::deque<Run> runs_;
  MemoryNeed need_;
  uint64_t texts_ = 0;
  std::optional<int64_t> prompt_of_;  ///< the slot whose prompt the last run was of
  bool stale_ = true;                 ///< the arguments of a step are not what the last run left
};

}  // namespace lazuli
