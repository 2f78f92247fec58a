// Defines PickleMachine, the stack machine of the pickle format with the instructions that a state dict needs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lazuli {

enum class PickleKind : uint8_t { none, boolean, integer, real, text, tuple, list, dict, callable, storage, tensor };

/// A value of a pickle. Values refer to others by their numbers, so none is ever copied, however often a pickle repeats it.
struct PickleValue {
  PickleKind kind = PickleKind::none;
  int64_t number = 0;                ///< of integers, and booleans as 0 or 1
  std::string_view text = {};        ///< of texts and callables, a part of the pickle
  std::vector<uint32_t> items = {};  ///< of tuples and lists; keys and values in turn of dicts; the arguments of storages and tensors
};

class PickleMachine {
 public:
  PickleMachine(const std::string& path, std::string_view pickle) : path_(path), pickle_(pickle) {}
  /// Runs all instructions; the number of the value that is the result. Throws FormatError.
  uint32_t run();
  const PickleValue& at(uint32_t value) const { return values_[value]; }
  [[noreturn]] void fail(std::string_view message) const;

 private:
  void step(uint8_t code);
  void push_text(uint64_t length);
  void push_number(uint8_t code);
  void push_callable();
  void make_tuple(size_t from);
  void append(size_t from);
  void set_items(size_t from);
  void call();
  void build();
  void remember(uint32_t index);
  void recall(uint32_t index);

  uint64_t little_endian(size_t bytes);
  std::string_view take(uint64_t bytes);
  std::string_view line();
  uint32_t add(PickleValue value);
  void push(PickleValue value) { stack_.push_back(add(std::move(value))); }
  void require(size_t values, std::string_view message) const;
  uint32_t pop();
  size_t pop_mark();

  const std::string& path_;
  std::string_view pickle_;
  size_t place_ = 0, start_ = 0;  ///< the next byte, and the instruction that is carried out
  bool done_ = false;
  std::vector<PickleValue> values_;
  std::vector<uint32_t> stack_, memo_;
  std::vector<size_t> marks_;
};

}  // namespace lazuli
