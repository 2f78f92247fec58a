#!/usr/bin/env bash
# Tries what is committed on a fresh machine: a new Debian system (debootstrap; needs root, mounts and the network), the source below a home
# of mode 700.
# Usage: scripts/fresh.sh [--ccache DIR] [RUN...]    the runs, all but `demo` by default:
#   demo          scripts/demo.sh where nothing is installed, with the time that it takes
#   root, user    scripts/test.sh by root, and by an ordinary user whose folder's name has a space
#   strict-root, strict-user    the suite again with one core, a source that cannot be written, 64 KB of /dev/shm, no terminal, no home,
#                 a Turkish locale, another time zone, umask 077, a TMPDIR with a space, and settings of the user's own for Lazuli
#   --ccache DIR  starts with a copy of this compiler cache, to save time. Logs are in build/fresh/.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
. scripts/new_system.sh

cache=
if [[ ${1:-} == --ccache ]]; then cache=${2:?a folder}; shift 2; fi
runs=("$@")
[[ ${#runs[@]} -gt 0 ]] || runs=(root strict-root user strict-user)
for run in "${runs[@]}"; do
  [[ $run =~ ^(demo|(strict-)?(root|user))$ ]] || { sed -nE '2,/^set/s/^# ?//p' "$0" >&2; exit 2; }
done
unshare --mount true || { echo "fresh: needs mounts, for a source that cannot be written" >&2; exit 1; }
logs=$PWD/build/fresh
rm -rf "$logs"
mkdir -p "$logs"
failures=()

as_root=(env CCACHE_DIR=/var/cache/ccache CCACHE_UMASK=000)
as_user=(setpriv --reuid=someone --regid=someone --init-groups env HOME=/home/someone CCACHE_DIR=/var/cache/ccache CCACHE_UMASK=000)
folder_of_root=/root/lazuli folder_of_user='/home/someone/a folder/lazuli'

# What is committed, as `who` would have it after a clone; once for all of their runs.
put_source() {
  local who=$1 folder=$2
  [[ ! -d $system$folder ]] || return 0
  mkdir -p "$system$folder"
  git archive HEAD | tar -x -C "$system$folder"
  if [[ $who == someone ]]; then
    inside chown -R someone:someone /home/someone
    chmod 700 "$system/home/someone"
  else
    chmod 700 "$system/root"
  fi
}

# Runs a command in a folder of the system; its last line or, where it fails, its last lines are shown.
report() {
  local run=$1 start=$SECONDS
  shift
  echo "=== $run"
  if "$@" >"$logs/$run.log" 2>&1; then
    tail -n 1 "$logs/$run.log"
    echo "=== $run: passed in $((SECONDS - start)) s"
  else
    tail -n 40 "$logs/$run.log"
    echo "=== $run: FAILED after $((SECONDS - start)) s, see $logs/$run.log"
    failures+=("$run")
  fi
}

strict() {
  local folder=$1 core
  local -x source=$system$1
  shift
  local mounts='set -e; mount -t proc proc "$system/proc"; mount -t tmpfs -o size=64k tmpfs "$system/dev/shm"
    mount --bind "$source" "$source"; mount --bind "$source/build" "$source/build"; mount -o remount,bind,ro "$source"'
  core=$(taskset -cp $$ | sed -E 's/.*: *([0-9]+).*/\1/')
  inside "$@" setsid --wait taskset -c "$core" env HOME=/nonexistent LC_ALL=tr_TR.UTF-8 LANGUAGE=tr TZ=XST-14:45 'TMPDIR=/var/tmp/a folder' TERM=dumb \
    COLUMNS=20 XDG_CONFIG_HOME=/var/tmp/settings XDG_CACHE_HOME=/proc LAZULI_PASSES=-chains \
    bash -c 'umask 077; cd "$1" && ! touch CMakeLists.txt 2>/dev/null && ctest --preset release --parallel "$(nproc)"' strict "$folder"
}

make_system fresh
if [[ " ${runs[*]} " == *" demo "* ]]; then
  put_source root "$folder_of_root"
  report demo inside "${as_root[@]}" bash -c 'cd /root/lazuli && ./scripts/demo.sh'
  runs=("${runs[@]/#demo/}")
fi
inside apt-get install -y -qq --no-install-recommends locales >"$logs/packages.log" 2>&1
inside localedef -i tr_TR -f UTF-8 tr_TR.UTF-8
inside useradd --create-home someone
mkdir -p "$system/var/tmp/a folder" "$system/var/tmp/settings/lazuli" "$system/var/cache/ccache"
# What a user's profile may say; tests must neither follow nor fear it.
echo '{"no": "profile"' >"$system/var/tmp/settings/lazuli/cpu_profile.json"
if [[ -n $cache ]]; then cp -r "$cache/." "$system/var/cache/ccache"; fi
chmod -R a+rwX "$system/var/cache/ccache" "$system/var/tmp/a folder"

for run in "${runs[@]}"; do
  who=root folder=$folder_of_root as=("${as_root[@]}")
  if [[ $run == *user ]]; then who=someone folder=$folder_of_user as=("${as_user[@]}"); fi
  case $run in
    root | user) put_source "$who" "$folder"; inside bash -c "cd $(printf %q "$folder") && ./scripts/setup.sh" >>"$logs/packages.log" 2>&1
                 report "$run" inside "${as[@]}" bash -c 'cd "$1" && ./scripts/test.sh' run "$folder" ;;
    strict-*) [[ -d $system$folder/build/release ]] || { put_source "$who" "$folder"
                inside bash -c "cd $(printf %q "$folder") && ./scripts/setup.sh" >>"$logs/packages.log" 2>&1
                inside "${as[@]}" bash -c 'cd "$1" && ./scripts/build.sh release' build "$folder" >"$logs/$run-build.log" 2>&1; }
              report "$run" strict "$folder" "${as[@]}" ;;
  esac
done

if [[ ${#failures[@]} -gt 0 ]]; then
  printf 'FAILED: %s\n' "${failures[@]}"
  exit 1
fi
echo "fresh: all runs passed"
