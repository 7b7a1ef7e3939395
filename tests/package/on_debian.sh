#!/usr/bin/env bash
# Builds the last commit and runs every test on another release of Debian, in a chroot: tests/run.sh, as on a machine.
#
#   tests/package/on_debian.sh trixie              Debian 13; as root, takes minutes and gigabytes below $TMPDIR
#   tests/package/on_debian.sh trixie DIRECTORY    keeps the chroot there, and uses it again
#
# Programs that it needs: examples/install-packages.sh --with-packaging
set -euo pipefail

[ $# -ge 1 ] || { echo "on_debian.sh: name a release, as in: tests/package/on_debian.sh trixie" >&2; exit 2; }
# In namespaces of its own, so that whatever happens nothing stays mounted and no process is left.
if [ "$1" != --inside ]; then
  [ "$(id -u)" -eq 0 ] || { echo "on_debian.sh: run it as root; it makes a chroot" >&2; exit 2; }
  [ $# -eq 1 ] || mkdir -p "$2"
  root=${2:+$(realpath "$2")}
  cd "$(dirname "$0")/../.."
  examples/install-packages.sh --with-packaging
  exec unshare --mount --pid --fork --mount-proc tests/package/on_debian.sh --inside "$1" "$root"
fi
codename=$2
. tests/package/debian.sh
if [ -n "$3" ]; then
  root=$3
else
  work=$(mktemp -d)
  root=$work/debian
  # The kernel ends the processes; the chroot's /proc and /dev must be gone before its files are.
  trap 'umount -R "$root/proc" "$root/dev" 2>/dev/null; rm -rf --one-file-system "$work"' EXIT
fi

[ -e "$root/etc/debian_version" ] || make_debian "$root" "$codename" --variant=minbase --include=ca-certificates,git
mount -t proc proc "$root/proc"
mount --rbind --make-rslave /dev "$root/dev"
cp -L /etc/resolv.conf "$root/etc/resolv.conf"
source=$root/src/gathering
if [ -e "$source/.git" ]; then
  git -C "$source" fetch -q "$PWD" HEAD
  git -C "$source" reset -q --hard FETCH_HEAD
else
  git clone -q . "$source"
fi
chroot "$root" env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 /src/gathering/tests/run.sh
