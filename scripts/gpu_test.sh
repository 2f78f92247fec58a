#!/usr/bin/env bash
# Builds and runs the tests that need an NVIDIA GPU; the last line says how many passed and failed.
# Usage: scripts/gpu_test.sh [--no-build] [--check TOOL]
#   --no-build    with the programs that build/release/bin holds, or the folder in LAZULI_BIN
#   --check TOOL  once more under compute-sanitizer with memcheck or racecheck (which takes long: on small operands only)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

build=yes
tools=()
while (($#)); do
  case $1 in
    --no-build) build=no ;;
    --check) tools+=("${2:?--check needs memcheck or racecheck}"); shift ;;
    *) echo "gpu_test: unknown option $1" >&2; exit 2 ;;
  esac
  shift
done
if [ $build = yes ]; then ./scripts/build.sh release; fi
program=${LAZULI_BIN:-build/release/bin}/lazuli_tests
device=$("${LAZULI_BIN:-build/release/bin}/lazuli" doctor | sed -n 's/^device *\(cuda.*\)/\1/p')
echo "gpu_test: $device"
case $device in *ready*) ;; *) echo "0 passed, 0 failed: there is no GPU to test on"; exit 1 ;; esac

logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
# Many processes: a kernel is compiled once, on one thread, and kept on disk for the others.
shards=$(($(nproc) < 12 ? $(nproc) : 12))
failed_in_all=0
run() { # NAME FILTER COMMAND...
  local name=$1 filter=$2 k passed failed unfinished=0
  local jobs=()
  shift 2
  for ((k = 0; k < shards; k++)); do
    GTEST_TOTAL_SHARDS=$shards GTEST_SHARD_INDEX=$k "$@" "$program" --gtest_filter="$filter" --gtest_brief=1 >"$logs/$name.$k" 2>&1 &
    jobs+=($!)
  done
  for k in "${!jobs[@]}"; do wait "${jobs[$k]}" || grep -q ' ran\. (' "$logs/$name.$k" || unfinished=$((unfinished + 1)); done
  passed=$(sed -n 's/^\[  PASSED  \] \([0-9]*\) test.*/\1/p' "$logs/$name".* | awk '{n += $1} END {print n + 0}')
  failed=$(cat "$logs/$name".* | grep -c '^\[  FAILED  \] .*ms)$' || true)
  grep -hE '^\[  FAILED  \] .*ms\)$|Failure$|(Invalid|Error|hazard).* (at|of|in) ' "$logs/$name".* | head -40 || true
  local summaries
  summaries=$(cat "$logs/$name".* | grep -cE 'SUMMARY: [1-9]' || true)
  failed=$((failed + unfinished + summaries))
  failed_in_all=$((failed_in_all + failed))
  echo "$name: $passed passed, $failed failed"
}

everything='*Cuda*:*cuda*:ConformanceErrors*'
run tests "$everything" env
for tool in "${tools[@]}"; do
  small=()
  if [ "$tool" = racecheck ]; then small=(env LAZULI_SMALL_CASES=1); fi
  run "$tool" '*CudaConformance.Agrees*' "${small[@]}" compute-sanitizer --tool "$tool" --error-exitcode 1
done
[ "$failed_in_all" = 0 ]
