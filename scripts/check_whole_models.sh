#!/usr/bin/env bash
# Runs the checks of whole models (tests/models/whole_model_test.cc) on the reference backend; the last line says how many passed and failed.
# That takes an hour or two of processor time, so it is no part of the test suite or of CI, where the same checks run on the CPU and on a GPU.
# Usage: scripts/check_whole_models.sh [--no-build] [FILTER...]
#   --no-build    with the programs that build/release/bin holds, or the folder in LAZULI_BIN
#   FILTER        some of them: 'WholeLogits*' 'WholeGreedyTokens*' 'WholeTraining.*' 'WholeVectors.*' '*bf16'
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

build=yes
filters=()
while (($#)); do
  case $1 in
    --no-build) build=no ;;
    -*) echo "check_whole_models: unknown option $1" >&2; exit 2 ;;
    *) filters+=("$1") ;;
  esac
  shift
done
if [ $build = yes ]; then ./scripts/build.sh release; fi
program=${LAZULI_BIN:-build/release/bin}/lazuli_tests
if ((${#filters[@]} == 0)); then filters=('Whole*'); fi
filter=$(printf ':Reference/%s' "${filters[@]}")

# One process a check, as many at once as there are processors: the reference backend uses one thread.
export LAZULI_WHOLE_MODELS_ON_REFERENCE=1
mapfile -t names < <("$program" --gtest_filter="${filter#:}" --gtest_list_tests | awk '/^[^ ]/ {suite = $1; next} /^ / {print suite $1}')
((${#names[@]} > 0)) || { echo "check_whole_models: no check is called ${filters[*]}" >&2; exit 2; }
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
check() { # NAME
  local log start=$SECONDS
  log=$logs/$(tr / . <<<"$1")
  if "$program" --gtest_filter="$1" --gtest_brief=1 >"$log" 2>&1 && grep -q 'PASSED  \] 1 test' "$log"; then
    echo "passed in $((SECONDS - start)) s: $1"
  else
    cat "$log"
    echo "FAILED after $((SECONDS - start)) s: $1"
  fi
}
export -f check
export program logs
printf '%s\0' "${names[@]}" | xargs -0 -n 1 -P "$(nproc)" bash -c 'check "$1"' _ | tee "$logs/all"
failed=$(grep -c '^FAILED after' "$logs/all" || true)
echo "check_whole_models: $((${#names[@]} - failed)) passed, $failed failed on the reference backend"
[ "$failed" = 0 ]
