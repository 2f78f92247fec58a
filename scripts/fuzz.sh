#!/usr/bin/env bash
# Fuzzes everything that reads input from outside, each target for some seconds, from the seeds in tests/fuzz/corpus and what earlier
# runs found. Inputs that fail are kept in build/fuzz/failures. FUZZ_SEED=N makes a run repeatable.
# Usage: scripts/fuzz.sh [SECONDS (default 600)] [TARGET...]    e.g. scripts/fuzz.sh 60 safetensors_fuzz
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

seconds=${1:-600}
shift || true
./scripts/setup.sh --checks
./scripts/build.sh fuzz -DCMAKE_CXX_COMPILER=clang++-14
targets=("$@")
if [[ ${#targets[@]} -eq 0 ]]; then
  for source in tests/fuzz/*_fuzz.cc; do targets+=("$(basename "$source" .cc)"); done
fi

run_one() {
  local target=$1 seconds=$2 found=build/fuzz/found/$1 log
  mkdir -p "$found" build/fuzz/failures
  log=build/fuzz/$target.log
  if LSAN_OPTIONS=suppressions=cmake/lsan.supp:print_suppressions=0 "build/fuzz/bin/$target" -max_total_time="$seconds" -timeout=20 \
    -rss_limit_mb=3000 -max_len=8192 -seed="${FUZZ_SEED:-0}" -print_final_stats=1 -artifact_prefix="build/fuzz/failures/$target-" "$found" \
    $(find "tests/fuzz/corpus/$target" -maxdepth 0 2>/dev/null || true) >"$log" 2>&1; then
    echo "fuzz: $target: $(sed -nE 's/^stat::number_of_executed_units: *//p' "$log") inputs, nothing found"
  else
    tail -n 60 "$log"
    echo "fuzz: $target: FAILED"
    return 1
  fi
}
export -f run_one

echo "fuzz: ${#targets[@]} targets, $seconds s each, $(nproc) at a time"
printf '%s\n' "${targets[@]}" | xargs -P "$(nproc)" -I{} bash -c 'run_one {} '"$seconds"
