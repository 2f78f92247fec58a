// Defines PackedWeight: the panels of a weight that products read instead of the weight itself, filled by the products that pack it anyway.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "backend/cpu/common/thresholds.h"
#include "lazuli/tensor.h"

namespace lazuli::cpu {

/// A matrix of f32 whose values stay as they are, and room for its panels: 32 rows, or 32 columns, whose values at one place of the other
/// dim follow each other, with zeros beyond the last one. Which of the two, the first product that keeps panels says. A product that sums
/// over that other dim reads panels as its right side; one that sums over the rows or columns of the panels, the gradient's, reads them as
/// its left side, computing the transpose of its result. So one copy serves both.
///
/// Thread-safe: a panel is filled by whoever claims it and read once it is done.
class PackedWeight {
 public:
  /// What 32 of are in a panel.
  enum class By : uint8_t { nothing, rows, columns };

  /// `in_file`: the values can be read again from a mapped file, whose pages are given back when all panels are done.
  PackedWeight(const float* values, int64_t rows, int64_t columns, bool in_file);
  PackedWeight(const PackedWeight&) = delete;
  PackedWeight& operator=(const PackedWeight&) = delete;
  ~PackedWeight();
  /// Whether there is room. Address space alone: memory is taken as panels are filled.
  bool has_room() const { return panels_ != nullptr; }

  /// The one whose values are there, of that many rows and columns, or null. Valid while the weight's tensor lives, as it does during a
  /// run.
  static PackedWeight* find(const void* values, int64_t rows, int64_t columns);
  ///@{
  /// What find() finds. False: there is no place for more.
  bool enter();
  void leave();
  ///@}

  /// Says that a product of so many rows is about to read the weight in panels. Panels are kept once there have been kRowsBefore rows:
  /// those who read a weight a few times do not pay for a second copy.
  void count(By by, int64_t rows);
  By by() const { return by_.load(std::memory_order_acquire); }
  /// Whether all panels are done, and their pages of the file given back.
  bool complete() const { return left_.load(std::memory_order_acquire) == 0; }
  /// Values from one panel to the next.
  int64_t panel_floats() const;
  float* panel(int64_t k) const { return panels_ + k * panel_floats(); }
  bool done(int64_t k) const { return states_[static_cast<size_t>(k)].load(std::memory_order_acquire) == State::done; }
  /// True: the caller fills the panel and then calls fill_done().
  bool claim(int64_t k);
  void fill_done(int64_t k);

  static constexpr int64_t kRowsBefore = threshold::kept::kRowsBefore;

 private:
  enum class State : uint8_t { empty, claimed, done };

  const float* values_;
  int64_t rows_, columns_;
  bool in_file_;
  float* panels_ = nullptr;
  size_t mapped_bytes_ = 0;
  std::atomic<By> by_{By::nothing};
  std::atomic<int64_t> seen_{0};      ///< rows, until by_ is set
  std::atomic<bool> weighed_{false};  ///< whether panels are to be kept has been decided
  std::atomic<int64_t> left_{1};      ///< panels that are not done, once by_ is set
  std::unique_ptr<std::atomic<State>[]> states_;
};

/// The same values in memory that find() finds, as keep_packed has it.
Tensor keep_panels(const Tensor& weight, bool in_file);

}  // namespace lazuli::cpu
