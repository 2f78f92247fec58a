#!/usr/bin/env bash
# Counts the instructions that recording and evaluating take (valgrind's callgrind; no timing) and compares them with bench/instructions.txt:
# 5 % more of one is a failure that names it.
# Usage: bench/instructions.sh [--write]    --write stores the counts instead.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

stored=bench/instructions.txt
if [[ $(uname -m) != x86_64 ]] || ! command -v valgrind >/dev/null; then
  echo "instructions: skipped, valgrind on x86-64 is needed"
  exit 0
fi
export CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=1
{ cmake --preset release -DLAZULI_BENCH=ON && cmake --build --preset release --target lazuli_record_eval; } >/dev/null
program=build/release/bin/lazuli_record_eval

# One machine's choice of instructions must not be another's, in the C library neither.
export ONEDNN_MAX_CPU_ISA=SSE41
export GLIBC_TUNABLES=glibc.cpu.hwcaps=-AVX2_Usable,-AVX2,-ERMS,-AVX_Fast_Unaligned_Load,-BMI2,-EVEX

# Of one call, the mean of many.
per_call() {
  local count
  count=$(valgrind --tool=callgrind --callgrind-out-file=/dev/null --toggle-collect=lazuli_counted "$program" "$1" 200 2>&1 |
    sed -nE 's/.*Collected : ([0-9]+)$/\1/p')
  [[ -n $count ]] || { echo "instructions: $1 does not run under valgrind" >&2; return 1; }
  echo $((count / 200))
}

failed=0 counts=()
for name in $("$program"); do
  count=$(per_call "$name")
  counts+=("$name $count")
  wanted=$(sed -nE "s/^$name ([0-9]+)$/\1/p" "$stored" 2>/dev/null || true)
  if [[ ${1:-} == --write ]]; then
    echo "$name: $count instructions"
  elif [[ -z $wanted ]]; then
    echo "$name: $count instructions, FAILED: $stored has no count of it"
    failed=1
  elif ((count * 100 > wanted * 105)); then
    echo "$name: $count instructions, FAILED: at most 5 % above $wanted are expected"
    failed=1
  else
    echo "$name: $count instructions, $wanted stored"
  fi
done
if [[ ${1:-} == --write ]]; then printf '%s\n' "${counts[@]}" >"$stored"; fi
exit "$failed"
