// The tuner: coordinate descent over the numbers of cpu::Tuning, on rows of the comparison that they bear on.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <iterator>
#include <string_view>
#include <vector>

#include "backend/cpu/common/tuning.h"
#include "lazuli/error.h"
#include "lazuli/plan_cache.h"
#include "rows.h"

namespace lazuli::rows {

namespace {

using cpu::TunedNumber;
using cpu::Tuning;

constexpr std::string_view kRows[] = {"block_qwen_1",  "block_qwen_128", "block_qwen_512",   "block_768_128",   "block_64_8",
                                      "lora_4096x512", "lora_w_512x512", "softmax_128x4096", "chain_costly_1e6"};
constexpr int kRounds = 5;
constexpr double kSample = 0.02;  ///< seconds
// A smaller gain may be noise.
constexpr double kWorthIt = 0.01;

/// A row's work, planned with some tuning.
struct Candidate {
  Tuning tuning;
  std::vector<Call> calls;  ///< by row
};

Candidate planned(std::span<const Row> rows, const Tuning& tuning) {
  cpu::set_tuning(tuning);
  clear_plan_cache();
  Candidate c{tuning, {}};
  for (const std::string_view name : kRows) {
    const auto row = std::find_if(rows.begin(), rows.end(), [&](const Row& r) { return r.name == name; });
    c.calls.push_back(row->prepare());
  }
  return c;
}

/// The least seconds of each candidate in each row. Candidates take turns, so that all see the same state of the machine.
std::vector<std::vector<double>> measure(std::vector<Candidate>& candidates) {
  std::vector<std::vector<double>> least(candidates.size(), std::vector<double>(std::size(kRows), HUGE_VAL));
  for (size_t row = 0; row < std::size(kRows); ++row) {
    for (int round = 0; round <= kRounds; ++round) {
      for (size_t turn = 0; turn < candidates.size(); ++turn) {
        const size_t c = (turn + static_cast<size_t>(round)) % candidates.size();
        // Rows that are not compiled are planned anew when another candidate's plan has taken their place.
        cpu::set_tuning(candidates[c].tuning);
        clear_plan_cache();
        const Call& call = candidates[c].calls[row];
        call();
        const double once = seconds_of(call, 1);
        const double seconds = seconds_of(call, std::clamp<int64_t>(static_cast<int64_t>(kSample / once), 1, 10000));
        if (round > 0) least[c][row] = std::min(least[c][row], seconds);
      }
    }
  }
  return least;
}

/// Of the first's time over the second's: the geometric mean over the rows.
double speedup(const std::vector<double>& before, const std::vector<double>& after) {
  double sum = 0;
  for (size_t row = 0; row < before.size(); ++row) sum += std::log(before[row] / after[row]);
  return std::exp(sum / static_cast<double>(before.size()));
}

void improve(std::span<const Row> rows, Tuning& best, const TunedNumber& number) {
  std::vector<Candidate> candidates;
  candidates.push_back(planned(rows, best));
  for (const int64_t value : number.candidates) {
    if (value == best.*number.member) continue;
    Tuning other = best;
    other.*number.member = value;
    candidates.push_back(planned(rows, other));
  }
  const auto seconds = measure(candidates);
  size_t chosen = 0;
  double gain = 1 + kWorthIt;
  for (size_t c = 1; c < candidates.size(); ++c) {
    if (const double s = speedup(seconds[0], seconds[c]); s > gain) {
      gain = s;
      chosen = c;
    }
  }
  const Tuning found = candidates[chosen].tuning;
  if (chosen != 0) {
    // The best of several is too good by chance: it has to win once more, made first this time.
    std::vector<Candidate> both;
    both.push_back(planned(rows, found));
    both.push_back(planned(rows, best));
    const auto again = measure(both);
    gain = speedup(again[1], again[0]);
  }
  const auto before = static_cast<long>(best.*number.member), after = static_cast<long>(found.*number.member);
  if (chosen == 0 || gain <= 1 + kWorthIt) {
    std::printf("%-16s stays %ld\n", number.name, before);
  } else {
    std::printf("%-16s %ld -> %ld, %.1f %% faster\n", number.name, before, after, 100 * (gain - 1));
    best = found;
  }
  std::fflush(stdout);
}
}  // namespace

int tune(std::span<const Row> rows, const std::string& profile) {
  if (profile.empty()) throw ValueError("the name of a file for the profile is expected");
  Tuning best;
  for (const TunedNumber& number : cpu::tuned_numbers()) improve(rows, best, number);
  std::vector<Candidate> both;
  both.push_back(planned(rows, {}));
  both.push_back(planned(rows, best));
  const auto seconds = measure(both);
  std::printf("\n%-18s %12s %12s %8s\n", "row", "default us", "tuned us", "gain");
  for (size_t row = 0; row < std::size(kRows); ++row) {
    const double before = seconds[0][row], after = seconds[1][row];
    std::printf("%-18s %12.1f %12.1f %6.1f %%\n", kRows[row].data(), 1e6 * before, 1e6 * after, 100 * (before / after - 1));
  }
  const double gain = speedup(seconds[0], seconds[1]);
  std::printf("all: %.1f %% faster\n", 100 * (gain - 1));
  if (gain <= 1) {
    std::printf("nothing gained: no profile is written\n");
    return 0;
  }
  cpu::write_profile(profile, best);
  std::printf("written to %s\n", profile.c_str());
  return 0;
}

}  // namespace lazuli::rows
