#!/usr/bin/env bash
# Installs what is missing, then configures and builds one preset.
# Usage: scripts/build.sh [PRESET] [CMAKE OPTION...]    PRESET is release, program, debug, asan, tsan, clang or odr.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

preset=${1:-release}
shift || true
# Objects found by ccache stay valid in another checkout.
export CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=1
./scripts/setup.sh
log=$(mktemp)
trap 'rm -f "$log"' EXIT
cmake --preset "$preset" "$@" >"$log" 2>&1 || { cat "$log"; exit 1; }
cmake --build --preset "$preset"
