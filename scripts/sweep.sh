#!/usr/bin/env bash
# Tries kernels on random sizes around the numbers at which they take another way, from another seed each time, and the cases around these
# numbers that take seconds each. A failure names the seed that brings it back. On a machine with an NVIDIA GPU also its kernels.
# Usage: scripts/sweep.sh [SECONDS]    default: 600
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

seconds=${1:-600}
./scripts/build.sh release
export LAZULI_SWEEP_SEED=${LAZULI_SWEEP_SEED:-$(date +%s)000000}
echo "seed $LAZULI_SWEEP_SEED, $seconds s"
failed=0
LAZULI_LARGE_CASES=1 build/release/bin/lazuli_tests --gtest_brief=1 --gtest_filter='*Thresholds.Are*' || failed=1
LAZULI_SWEEP_SECONDS=$seconds build/release/bin/lazuli_tests --gtest_brief=1 --gtest_filter='*Sweep.Random*' || failed=1
exit $failed
