#!/usr/bin/env bash
# Makes the Debian packages `lazuli` and `liblazuli-dev` in build/packages.
# Usage: scripts/package.sh [--check]    --check installs them in a new Debian system in a folder (debootstrap; needs root and the
#                                        network), and there generates a text and builds a program with the library.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

./scripts/build.sh release -DLAZULI_TESTS=ON
mkdir -p build/packages
rm -f build/packages/*.deb
log=$(mktemp)
(cd build/release && cpack -B ../packages) >"$log" 2>&1 || { cat "$log"; exit 1; }
rm -rf build/packages/_CPack_Packages "$log"
ls -1 build/packages/*.deb
[[ ${1:-} == --check ]] || exit 0

. scripts/new_system.sh
make_system package
mkdir -p "$system/packages"
cp build/packages/*.deb "$system/packages"
cp -r models/pycoder-16m "$system/model"
cp examples/lazy_basics.cc "$system/packages"
cat >"$system/packages/CMakeLists.txt" <<'END'
cmake_minimum_required(VERSION 3.25)
project(user CXX)
find_package(lazuli REQUIRED)
add_executable(my-program lazy_basics.cc)
target_link_libraries(my-program lazuli::lazuli)
END
inside sh -c 'apt-get install -y -qq --no-install-recommends /packages/lazuli_*.deb >/dev/null 2>&1'
inside lazuli --version
inside lazuli generate --model /model --prompt 'def fibonacci(n):' --max-tokens 16
inside sh -c 'apt-get install -y -qq --no-install-recommends /packages/liblazuli-dev_*.deb g++ cmake make >/dev/null 2>&1'
inside sh -c 'cmake -S /packages -B /built >/dev/null && cmake --build /built >/dev/null && /built/my-program'
echo "package: both packages install and work"
