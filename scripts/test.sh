#!/usr/bin/env bash
# Builds the release preset and runs every test; the last lines say how many passed and failed.
# Usage: scripts/test.sh [CTEST OPTION...]    for example: scripts/test.sh -R Tokenizer
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

./scripts/build.sh release || exit 1
log=$(mktemp)
trap 'rm -f "$log"' EXIT
ctest --preset release --parallel "$(nproc)" "$@" | tee "$log"
status=${PIPESTATUS[0]}
failed=$(sed -nE 's/.* ([0-9]+) tests? failed out of ([0-9]+).*/\1/p' "$log" | tail -n 1)
total=$(sed -nE 's/.* ([0-9]+) tests? failed out of ([0-9]+).*/\2/p' "$log" | tail -n 1)
echo "$((${total:-0} - ${failed:-0})) passed, ${failed:-0} failed"
exit "$status"
