#!/usr/bin/env bash
# Installs the packages that Lazuli is built from (Debian 12 or newer, Ubuntu 24.04 or newer).
# Usage: scripts/setup.sh [--checks] [--docs]    --checks adds what only .ci/run needs (clang and its tools, valgrind); --docs adds doxygen.
set -euo pipefail

packages=(
  g++ cmake ninja-build ccache mold                                         # tools
  libdnnl-dev ocl-icd-opencl-dev libhwy-dev                                 # matrix products and SIMD
  libutf8proc-dev libpcre2-dev libsimdjson-dev                              # text and JSON
  libcli11-dev libfmt-dev                                                   # the program
  libgtest-dev libgmock-dev libbenchmark-dev                                # tests and benchmarks
)
for argument in "$@"; do
  case "$argument" in
    --checks) packages+=(clang-14 libclang-rt-14-dev clang-format-14 clang-tidy-14 valgrind) ;;
    --docs) packages+=(doxygen) ;;
    *) echo "usage: scripts/setup.sh [--checks] [--docs]" >&2; exit 2 ;;
  esac
done

missing=()
for package in "${packages[@]}"; do
  [[ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)" == installed ]] || missing+=("$package")
done
if [[ ${#missing[@]} -eq 0 ]]; then
  echo "setup: all ${#packages[@]} packages are installed"
  exit 0
fi

echo "setup: installing ${missing[*]}"
as_root=()
if [[ $EUID -ne 0 ]]; then
  command -v sudo >/dev/null || { echo "setup: run as root, or install sudo" >&2; exit 1; }
  as_root=(sudo)
fi
"${as_root[@]}" apt-get update -qq </dev/null
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" </dev/null >/dev/null
echo "setup: done"
