#!/usr/bin/env bash
# Shows every number at which a kernel takes another way, what is compared with it, and how many conformance cases stand around it.
# Usage: scripts/thresholds.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

./scripts/build.sh release >&2
LAZULI_SHOW_THRESHOLDS=1 build/release/bin/lazuli_tests --gtest_filter='Thresholds.Table' | grep -v '^\[\|^Note\|^Running\|^$'
