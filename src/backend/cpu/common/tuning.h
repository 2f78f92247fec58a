// Defines Tuning: the numbers of the CPU backend that depend on the machine, and the profile that may hold better ones for it.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace lazuli::cpu {

/// What is not in a profile keeps the value here. Results may differ in rounding between profiles, never between runs with one.
struct Tuning {
  int64_t piece_of_k = 256;       ///< steps of k for which a product packs its operands at once, at most
  int64_t block_rows = 616;       ///< rows of a packed block, at most: a piece of them should stay in the second-level cache
  int64_t few_rows = 28;          ///< rows up to which a row-major right side is read where it is
  int64_t few_dots = 16;          ///< rows or columns up to which a product is made of inner products
  int64_t matrix_unit_rows = 32;  ///< rows and columns from which a product goes through the processor's matrix unit, where it has one
  int64_t task_kiloflops = 4000;  ///< arithmetic that a product's task should have, in thousands of operations
  int64_t threads_ns = 8000;      ///< estimated time above which a wave of kernels is shared among threads
  int64_t inline_ns = 150000;     ///< estimated time below which a plan runs on the thread that asks for it
};

/// A number of Tuning: what it is called in a profile, what is compared with it, what it may be, and what is worth trying.
struct TunedNumber {
  const char* name;
  const char* of;
  int64_t Tuning::*member;
  int64_t low, high;
  std::span<const int64_t> candidates;
};
std::span<const TunedNumber> tuned_numbers();

/// In force: the profile's where there is one for this processor, read once. Throws FormatError naming a file that is no profile.
const Tuning& tuning();
/// For what is planned from now on. No plan may be made at the same time.
void set_tuning(const Tuning& tuning);

/// $LAZULI_PROFILE (empty: none), else cpu_profile.json in $XDG_CONFIG_HOME/lazuli or ~/.config/lazuli. Empty where there is no place for
/// it.
std::string profile_path();
/// Throws IoError, or FormatError for anything that a profile cannot hold. Values made for another processor are left out: the defaults.
Tuning read_profile(const std::string& path);
/// Makes the folder, too. Throws IoError.
void write_profile(const std::string& path, const Tuning& tuning);

}  // namespace lazuli::cpu
