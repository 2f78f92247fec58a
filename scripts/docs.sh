#!/usr/bin/env bash
# Makes the reference of the public headers in build/docs/html. Fails on a warning of doxygen, such as a public name without a description.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

command -v doxygen >/dev/null || ./scripts/setup.sh --docs
rm -rf build/docs
mkdir -p build/docs
doxygen docs/Doxyfile
echo "docs: build/docs/html/index.html"
