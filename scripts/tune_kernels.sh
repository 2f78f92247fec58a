#!/usr/bin/env bash
# Looks for the tile sizes, thread grains and choices of algorithm that are fastest on this machine, writes them into a profile that the
# program picks up from then on, and prints what was gained. Takes some minutes; nothing else should run meanwhile.
# Usage: scripts/tune_kernels.sh [PROFILE [THREADS]]    PROFILE is $LAZULI_PROFILE or ~/.config/lazuli/cpu_profile.json if not given.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

profile=${1:-${LAZULI_PROFILE:-${XDG_CONFIG_HOME:-$HOME/.config}/lazuli/cpu_profile.json}}
echo "building the rows that are timed"
./scripts/build.sh release -DLAZULI_BENCH=ON >/dev/null
LAZULI_PROFILE='' exec build/release/bin/lazuli_rows --tune "$profile" "${@:2:1}"
