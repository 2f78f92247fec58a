#!/usr/bin/env bash
# What takes too long for every change: fuzzers, random sizes around thresholds, mutants, whole models on the reference backend, each file
# compiled alone, new systems. Every stage runs even when an earlier one failed; the end lists the failures. All of it takes about four
# hours on two cores.
# Usage: scripts/nightly.sh [STAGE...]    e.g. scripts/nightly.sh fuzz sweep
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

# Each line of this list is a stage: its name, then its command.
stages=(
  "fuzz ./scripts/fuzz.sh 300"
  "sweep ./scripts/sweep.sh 1800"
  "thresholds ./scripts/thresholds.sh"
  "models ./scripts/check_whole_models.sh"
  "mutants ./scripts/mutants.py --count 60 --jobs 2"
  "packages ./scripts/package.sh --check"
  "headers ./scripts/build.sh clang -DCMAKE_CXX_COMPILER=clang++-14"
  "systems ./scripts/fresh.sh root strict-user user strict-root"
)

names=()
for stage in "${stages[@]}"; do names+=("${stage%% *}"); done
for wanted in "$@"; do
  [[ " ${names[*]} " == *" $wanted "* ]] || {
    echo "nightly: no stage '$wanted'; there are: ${names[*]}" >&2
    exit 2
  }
done

failures=()
for stage in "${stages[@]}"; do
  name=${stage%% *} start=$SECONDS
  [[ $# -eq 0 || " $* " == *" $name "* ]] || continue
  echo "=== $name"
  # The words of a command are separated by single spaces, and none has spaces of its own.
  read -ra command <<<"${stage#* }"
  if "${command[@]}"; then
    echo "=== $name: passed in $((SECONDS - start)) s"
  else
    echo "=== $name: FAILED after $((SECONDS - start)) s"
    failures+=("$name")
  fi
done
if [[ ${#failures[@]} -gt 0 ]]; then
  echo "nightly: failed: ${failures[*]}"
  exit 1
fi
echo "nightly: all stages passed"
