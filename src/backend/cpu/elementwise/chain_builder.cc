// Compiles elementwise programs to chains: which values need a tile, and which tiles can be shared.
#include <array>

#include "backend/cpu/common/thresholds.h"
#include "backend/cpu/elementwise/chain.h"
#include "backend/cpu/tiles/tile_table.h"
#include "lazuli/op.h"

namespace lazuli::cpu {

namespace {

bool in_tiles(DType t) { return t == DType::f32 || t == DType::bf16 || t == DType::f16 || t == DType::boolean; }
/// f32 holds all their values.
bool small_integer(DType t) { return t == DType::i8 || t == DType::u8; }

/// Of an element, in sums. The C library computes sines and powers one by one.
int64_t cost_of(Op op) {
  if (op == Op::sin || op == Op::cos || op == Op::pow) return 32;
  return has_trait(op, OpTrait::transcendental) ? 4 : 1;
}

DType dtype_of_value(const ChainSource& source, size_t v) {
  const size_t inputs = source.inputs.size();
  return v < inputs ? source.inputs[v].dtype : source.program.code[v - inputs].dtype;
}

}  // namespace

bool Chain::supports(const ChainSource& source) {
  for (const auto& instruction : source.program.code) {
    if (!in_tiles(instruction.dtype)) return false;
    for (int8_t k = 0; k < info(instruction.op).max_inputs; ++k) {
      const DType t = dtype_of_value(source, instruction.operand[k]);
      // Too small a double would become a zero on its way to a boolean.
      if (t == DType::f64 && instruction.dtype == DType::boolean) return false;
      if (instruction.op != Op::cast && !in_tiles(t) && !small_integer(t)) return false;
    }
  }
  for (uint16_t v : source.program.outputs) {
    if (!in_tiles(dtype_of_value(source, v))) return false;
  }
  return true;
}

class ChainBuilder {
 public:
  explicit ChainBuilder(const ChainSource& source) : source_(source), inputs_(source.inputs.size()) {}

  Chain build() {
    chain_.numel_ = source_.space.numel();
    add_inputs();
    for (size_t i = 0; i < source_.program.code.size(); ++i) add_instruction(i);
    source_.outputs.empty() ? keep_result() : add_outputs();
    share_tiles();
    chain_.slots_ = static_cast<uint16_t>(slots_.size());
    return std::move(chain_);
  }

 private:
  enum class Kind : uint8_t { number, tile, moving, waiting };  // waiting: an input that is loaded at its first use
  struct Slot {
    Kind kind;
    int last_use = -1;
    bool shared = true;  // its tile may be given away after the last use
  };

  uint16_t add_slot(Kind kind) {
    slots_.push_back({kind});
    if (kind == Kind::number) chain_.numbers_.push_back(static_cast<uint16_t>(slots_.size() - 1));
    return static_cast<uint16_t>(slots_.size() - 1);
  }

  void add_inputs() {
    for (size_t k = 0; k < inputs_; ++k) {
      const OperandSpec& spec = source_.inputs[k];
      const StridedView view(source_.space, source_.strides[k]);
      const bool is_f32 = spec.dtype == DType::f32;
      const Kind kind = view.contiguous() && is_f32 ? Kind::moving : view.scalar() && !view.contiguous() ? Kind::number : Kind::waiting;
      const uint16_t slot = add_slot(kind);
      slot_of_.push_back(slot);
      if (kind == Kind::moving) chain_.moving_.push_back({slot, slot, false});
      if (kind == Kind::number) chain_.scalars_.push_back(slot);
      if (kind == Kind::waiting && !view.contiguous()) limit_row(view);
      chain_.inputs_.push_back({view, static_cast<uint8_t>(size_of(spec.dtype)), is_f32 ? nullptr : tile_load(spec.dtype)});
    }
  }

  // Tiles that end with the rows of a broadcast operand can read it where it is.
  void limit_row(const StridedView& view) {
    const int64_t size = view.size[view.rank - 1];
    if (size >= 128 && (chain_.row_ == 0 || size < chain_.row_)) chain_.row_ = size;
  }

  void add_instruction(size_t i) {
    const auto& instruction = source_.program.code[i];
    const uint16_t v = instruction.operand[0];
    TileFn fn = nullptr;
    if (instruction.op == Op::cast || instruction.op == Op::copy) {
      const DType from = dtype_of_value(source_, v);
      if (instruction.op == Op::copy || from == instruction.dtype || instruction.dtype == DType::f32 || rounded_when_stored(i)) {
        slot_of_.push_back(slot_of_[v]);
        return;
      }
      fn = instruction.dtype == DType::boolean ? tile_unary_fn(Op::not_equal) : tile_round(instruction.dtype);
    }
    slot_of_.push_back(add_compute(instruction, fn));
  }

  // Whether value i is a cast to a 16-bit float that only a result of that dtype reads.
  bool rounded_when_stored(size_t i) const {
    const auto& program = source_.program;
    if (program.code[i].dtype == DType::boolean || source_.outputs.empty()) return false;
    for (const auto& later : program.code) {
      for (int8_t k = 0; k < info(later.op).max_inputs; ++k) {
        if (later.operand[k] == inputs_ + i) return false;
      }
    }
    return true;
  }

  uint16_t add_compute(const ElementwiseProgram::Instruction& instruction, TileFn fn) {
    const int operands = info(instruction.op).max_inputs;
    std::array<uint16_t, 3> slot{};
    int scalars = 0;
    for (int k = 0; k < operands; ++k) {
      slot[static_cast<size_t>(k)] = slot_of_[instruction.operand[k]];
      if (slots_[slot[static_cast<size_t>(k)]].kind == Kind::number) scalars |= 1 << k;
    }
    Chain::Step step{Chain::Action::compute, 0, 0, 0, 0};
    if (scalars == (1 << operands) - 1) {
      step.fn = fn != nullptr ? fn : tile_fn(instruction.op, 0);
      step.out = add_slot(Kind::number);
      step.a = slot[0], step.b = slot[1], step.c = slot[2];
      chain_.prelude_.push_back(step);
      return step.out;
    }
    for (int keep : {scalars, scalars & ~1, 0}) {
      if (fn == nullptr) fn = tile_fn(instruction.op, keep);
      if (fn == nullptr) continue;
      for (int k = 0; k < operands; ++k) {
        if ((scalars & ~keep & (1 << k)) != 0) slot[static_cast<size_t>(k)] = repeated(slot[static_cast<size_t>(k)]);
      }
      break;
    }
    for (int k = operands; k < 3; ++k) slot[static_cast<size_t>(k)] = slot[0];
    step.fn = fn;
    for (uint16_t s : slot) read(s);
    step.a = slot[0], step.b = slot[1], step.c = slot[2];
    step.out = add_slot(Kind::tile);
    chain_.cost_ += cost_of(instruction.op);
    push(step);
    for (uint16_t s : slot) slots_[s].last_use = last_step();
    slots_[step.out].last_use = last_step();
    return step.out;
  }

  // A tile that repeats a number for loops that lack a scalar operand.
  uint16_t repeated(uint16_t number) {
    const uint16_t slot = add_slot(Kind::tile);
    slots_[slot].shared = false;
    chain_.fills_.push_back({number, slot});
    return slot;
  }

  // Makes sure that an input is in its slot.
  void read(uint16_t slot) {
    if (slots_[slot].kind != Kind::waiting) return;
    slots_[slot].kind = Kind::tile;
    push({Chain::Action::load, slot, 0, 0, slot});
    slots_[slot].last_use = last_step();
  }

  void push(const Chain::Step& step) { chain_.steps_.push_back(step); }
  int last_step() const { return static_cast<int>(chain_.steps_.size()) - 1; }

  void keep_result() {
    uint16_t slot = slot_of_[source_.program.outputs[0]];
    if (slots_[slot].kind == Kind::number) slot = repeated(slot);
    read(slot);
    slots_[slot].shared = false;
    chain_.result_ = slot;
  }

  void add_outputs() {
    std::vector<int> written(source_.outputs.size(), -1);  // step that writes output j
    for (size_t j = 0; j < source_.outputs.size(); ++j) {
      chain_.output_size_.push_back(size_of(source_.outputs[j].dtype));
      if (source_.outputs[j].used && source_.outputs[j].dtype == DType::f32 && !streams(j)) written[j] = write_in_place(j);
    }
    for (size_t j = 0; j < source_.outputs.size(); ++j) {
      if (!source_.outputs[j].used || written[j] >= 0) continue;
      uint16_t slot = slot_of_[source_.program.outputs[j]];
      if (slots_[slot].kind == Kind::number) slot = repeated(slot);
      read(slot);
      Chain::Step step{Chain::Action::store, slot, 0, 0, static_cast<uint16_t>(j)};
      step.store = tile_store(source_.outputs[j].dtype);
      if (streams(j)) {
        step.stream = tile_stream();
        chain_.streams_ = true;
      }
      push(step);
      slots_[slot].last_use = written[j] = last_step();
    }
    choose_in_place(written);
  }

  bool streams(size_t j) const { return source_.outputs[j].dtype == DType::f32 && chain_.numel_ >= threshold::elementwise::kStreamed; }

  // Lets the step that computes an f32 result write it where it belongs; -1 when there is no such step.
  int write_in_place(size_t j) {
    const uint16_t slot = slot_of_[source_.program.outputs[j]];
    if (slots_[slot].kind != Kind::tile || slot < inputs_) return -1;
    for (size_t i = 0; i < chain_.steps_.size(); ++i) {
      const Chain::Step& step = chain_.steps_[i];
      if (step.action != Chain::Action::compute || step.out != slot) continue;
      slots_[slot].kind = Kind::moving;
      chain_.moving_.push_back({slot, static_cast<uint16_t>(j), true});
      return static_cast<int>(i);
    }
    return -1;
  }

  // An output may overwrite an input that no later step reads.
  void choose_in_place(const std::vector<int>& written) {
    std::vector<bool> taken(inputs_, false);
    chain_.in_place_.assign(source_.outputs.size(), -1);
    for (size_t j = 0; j < source_.outputs.size(); ++j) {
      for (size_t k = 0; k < inputs_ && written[j] >= 0 && chain_.in_place_[j] < 0; ++k) {
        const OperandSpec& in = source_.inputs[k];
        const bool same = in.dtype == source_.outputs[j].dtype && in.shape.numel() == chain_.numel_ && chain_.inputs_[k].view.contiguous();
        if (!same || taken[k] || last_read(k) > written[j]) continue;
        chain_.in_place_[j] = static_cast<int>(k);
        taken[k] = true;
      }
    }
  }

  // The last step that reads the memory of input k: its load, or any use of a slot that points there.
  int last_read(size_t k) const {
    if (slots_[k].kind == Kind::moving) return slots_[k].last_use;
    for (size_t i = 0; i < chain_.steps_.size(); ++i) {
      if (chain_.steps_[i].action == Chain::Action::load && chain_.steps_[i].a == k) return static_cast<int>(i);
    }
    return -1;
  }

  // Gives every slot of kind tile a tile, a dead one's where possible: a step may write over its own operands.
  void share_tiles() {
    std::vector<uint16_t> free;
    std::vector<int> tile_of(slots_.size(), -1);
    auto give = [&](uint16_t slot) {
      if (slots_[slot].kind != Kind::tile || tile_of[slot] >= 0) return;
      if (slots_[slot].shared && !free.empty()) {
        tile_of[slot] = free.back();
        free.pop_back();
      } else {
        tile_of[slot] = chain_.buffers_++;
      }
      chain_.buffer_of_.push_back({slot, static_cast<uint16_t>(tile_of[slot])});
    };
    for (const auto& fill : chain_.fills_) give(fill.slot);
    for (size_t i = 0; i < chain_.steps_.size(); ++i) {
      Chain::Step& step = chain_.steps_[i];
      const bool compute = step.action == Chain::Action::compute;
      if (step.action != Chain::Action::load) {
        std::array<uint16_t, 3> ends = {step.a, compute ? step.b : step.a, compute ? step.c : step.a};
        for (size_t k = 0; k < 3; ++k) {
          const Slot& slot = slots_[ends[k]];
          const bool seen = (k > 0 && ends[k] == ends[0]) || (k > 1 && ends[k] == ends[1]);
          if (!seen && slot.shared && tile_of[ends[k]] >= 0 && slot.last_use == static_cast<int>(i)) {
            free.push_back(static_cast<uint16_t>(tile_of[ends[k]]));
          }
        }
      }
      if (step.action != Chain::Action::store) give(step.out);
      if (step.action == Chain::Action::load) step.c = static_cast<uint16_t>(tile_of[step.out]);
      // A value that nothing reads.
      if (compute && slots_[step.out].shared && slots_[step.out].last_use == static_cast<int>(i) && tile_of[step.out] >= 0) {
        free.push_back(static_cast<uint16_t>(tile_of[step.out]));
      }
    }
  }

  const ChainSource& source_;
  const size_t inputs_;
  Chain chain_;
  std::vector<Slot> slots_;
  std::vector<uint16_t> slot_of_;  // of each value
};

Chain Chain::compile(const ChainSource& source) { return ChainBuilder(source).build(); }

}  // namespace lazuli::cpu
