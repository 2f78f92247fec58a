# shellcheck shell=bash
# Sourced by package.sh and fresh.sh. `make_system` makes a new Debian system in a folder of its own, which goes when the script ends, and
# sets `system` to it; `inside COMMAND...` runs a command there. Both need root, the first the network too.

# What `inside` mounts below $system first, where the machine allows mounts: the command alone sees it, and it ends with it.
mounts='mount -t proc proc "$system/proc"'

make_system() {
  [[ $EUID -eq 0 ]] || { echo "$1: needs root" >&2; exit 1; }
  command -v debootstrap >/dev/null || apt-get install -y -qq --no-install-recommends debootstrap >/dev/null
  local release file
  release=$(. /etc/os-release && echo "$VERSION_CODENAME")
  system=$(mktemp -d)
  trap 'rm -rf --one-file-system "$system"' EXIT
  chmod 755 "$system"
  echo "$1: making a $release system in $system"
  debootstrap --variant=minbase "$release" "$system" >"$system.log" 2>&1 || { tail "$system.log"; exit 1; }
  rm -f "$system.log" "$system/etc/apt/sources.list"
  for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.sources /etc/apt/apt.conf.d/*proxy* /etc/resolv.conf; do
    if [[ -f $file ]]; then cp "$file" "$system$file"; fi
  done
  inside apt-get update -qq
}

inside() {
  local enter=(env)
  if unshare --mount true 2>/dev/null; then enter=(unshare --mount env); fi
  "${enter[@]}" system="$system" mounts="$mounts" bash -c 'if [[ $1 == unshare ]]; then eval "$mounts"; fi; shift
    exec chroot "$system" env -i DEBIAN_FRONTEND=noninteractive HOME=/root LANG=C.UTF-8 \
      PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@"' inside "${enter[0]}" "$@" </dev/null
}
