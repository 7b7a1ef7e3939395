#!/usr/bin/env bash
# Builds the Debian packages and lives with them as a machine would: lintian judges them, then a fresh Debian of this
# machine's release, in a chroot, installs, serves, upgrades, removes and purges them.
#
#   tests/package/package.sh       as root, for the chroot; takes minutes and a gigabyte below $TMPDIR
#
# Programs that it needs: examples/install-packages.sh --with-packaging
set -euo pipefail

# In namespaces of its own, so that whatever happens nothing stays mounted and no process is left.
if [ "${1:-}" != --inside ]; then
  [ "$(id -u)" -eq 0 ] || { echo "package.sh: run it as root; it makes a chroot" >&2; exit 2; }
  "$(dirname "$0")/../../examples/install-packages.sh" --with-packaging
  exec unshare --mount --pid --fork --mount-proc "$0" --inside
fi
cd "$(dirname "$0")/../.."
. tests/package/checks.sh
. tests/package/debian.sh
listed=$PWD/tests/package/files.txt
work=$(mktemp -d)
root=$work/debian
# The kernel ends the processes; the chroot's /proc and /dev must be gone before its files are.
trap 'umount -R "$root/proc" "$root/dev" 2>/dev/null; rm -rf --one-file-system "$work"' EXIT

# --- the packages ----------------------------------------------------------------------------------
rm -f build/package/*.deb build/package/*.ddeb
cmake --workflow --preset package
program=$(echo build/package/gathering_*.deb)
symbols=$(echo build/package/gathering-dbgsym_*.ddeb)

check "lintian finds neither errors nor warnings" \
  env TMPDIR="$work" lintian --fail-on error,warning --info "$program" "$symbols"
check "the package holds the files listed, and no other" diff "$listed" \
  <(dpkg-deb --fsys-tarfile "$program" | tar -t | sed -n 's|^\./\(.*[^/]\)$|/\1|p' | LC_ALL=C sort)
check "its configuration is a conffile" test "$(dpkg-deb -I "$program" conffiles)" = /etc/gathering/gathering.toml

# --- a machine -------------------------------------------------------------------------------------
make_debian "$root" "$(this_release)" --variant=minbase
mount -t proc proc "$root/proc"
mount --rbind --make-rslave /dev "$root/dev"
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"  # no service manager runs in here
chmod 755 "$root/usr/sbin/policy-rc.d"

inside=(chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive)
in_debian() { "${inside[@]}" "$@"; }
apt_install() { in_debian apt-get install -y -qq --no-install-recommends "$@"; }
# What packages own or leave on the machine, apart from the records of dpkg and apt about themselves.
files() {
  in_debian find / -xdev \( -path /tmp -o -path /var/lib/dpkg -o -path /var/lib/apt -o -path /var/cache \
    -o -path /var/log \) -prune -o -print | LC_ALL=C sort
}
cp "$program" "$root/tmp/gathering.deb"
cp "$symbols" "$root/tmp/gathering-dbgsym.deb"

# What it depends on is there before, so that what is found afterwards is its own; and a PostgreSQL to serve with.
in_debian apt-get update -qq >"$work/log"
needs=$(in_debian apt-get install -s --no-install-recommends /tmp/gathering.deb |
  awk '$1 == "Inst" && $2 != "gathering" { print $2 }')
# shellcheck disable=SC2086  # a list of words
apt_install $needs postgresql >"$work/log" 2>&1 || { tail "$work/log"; exit 1; }
files >"$work/before"
units=(gathering.service gathering.socket gathering-tls.socket)

# --- install, serve --------------------------------------------------------------------------------
check "it installs" apt_install /tmp/gathering.deb
version=$(dpkg-deb -f "$program" Version)
check "gathering --version tells the package's version" test "$(in_debian gathering --version)" = "gathering $version"
check "it makes a user without a shell, at home in its state" \
  test "$(in_debian getent passwd gathering | cut -d : -f 6,7)" = /var/lib/gathering:/usr/sbin/nologin
check "nothing is enabled that nobody chose" refuses in_debian systemctl is-enabled gathering.service
check "the units can be enabled" in_debian systemctl enable "${units[@]}"

# As the unit does it: its user, its directory.  The local change is the address.
conffile=$root/etc/gathering/gathering.toml
echo 'http.listen = ["127.0.0.1:0"]  # here' >>"$conffile"
in_debian install -d -o gathering -g gathering -m 0700 /var/lib/gathering
listening='"msg":"listening","address":"127[^"]*"'
daemon=
serve() {
  "${inside[@]}" STATE_DIRECTORY=/var/lib/gathering setpriv --reuid gathering --regid gathering --init-groups \
    gathering serve >"$work/serve.log" 2>&1 &
  daemon=$!
  timeout 120 grep -qm 1 "$listening" <(exec tail -n +1 -f --pid="$daemon" "$work/serve.log") || cat "$work/serve.log"
}
answers() {
  local address
  address=$(grep -om 1 "$listening" "$work/serve.log" | cut -d '"' -f 8)
  curl -sS --fail --max-time 20 "http://$address/health/live"
}
# Its exit code is in $stopped; not for `check`, whose commands have no children to wait for.
stop() {
  stopped=0
  kill -TERM "$daemon" || true
  wait "$daemon" || stopped=$?
}
serve
check "the daemon serves with the package's configuration" answers
stop
check "and stops in order" test "$stopped" -eq 0

# --- symbols ---------------------------------------------------------------------------------------
line_of_main() {
  gdb -nx -batch -iex "set debug-file-directory $root/usr/lib/debug" -ex 'info line main' "$root/usr/bin/gathering" |
    grep 'cmd/main.cpp'
}
check "the program alone has no symbols" refuses line_of_main
check "its symbols install" in_debian dpkg -i /tmp/gathering-dbgsym.deb
check "with them a debugger names lines of the source" line_of_main

# --- upgrade ---------------------------------------------------------------------------------------
# The same build as a newer version, with another configuration.
mkdir "$work/newer"
dpkg-deb -R "$program" "$work/newer"
sed -i "s/^Version: .*/&+newer/" "$work/newer/DEBIAN/control"
echo '# new in this version' >>"$work/newer/etc/gathering/gathering.toml"
dpkg-deb --root-owner-group -Zgzip -z1 -b "$work/newer" "$root/tmp/newer.deb" >"$work/log"
in_debian dpkg --remove gathering-dbgsym >"$work/log"  # it fits one version only
check "it is upgraded" in_debian dpkg --force-confold -i /tmp/newer.deb
check "to the newer version" test "$(in_debian dpkg-query -W -f '${Version}' gathering)" = "$version+newer"
check "the local change of the configuration survives" grep '# here' "$conffile"
check "the new configuration lies beside it" grep '# new in this version' "$conffile.dpkg-dist"
check "what was enabled stays enabled" in_debian systemctl is-enabled "${units[@]}"
serve
check "the upgraded daemon serves from the same state" answers
stop
check "and stops in order as well" test "$stopped" -eq 0

# --- remove, purge ---------------------------------------------------------------------------------
check "it is removed" in_debian dpkg --remove gathering
check "the program is gone" test ! -e "$root/usr/bin/gathering"
check "the configuration stays" grep '# here' "$conffile"
check "the state stays" test -e "$root/var/lib/gathering/postgres/PG_VERSION"
check "it is installed again" apt_install -o Dpkg::Options::=--force-confold /tmp/newer.deb
check "and is enabled as it was" in_debian systemctl is-enabled "${units[@]}"
check "the configuration is the one that was there" grep '# here' "$conffile"

touch "$root/etc/gathering/secret_key" "$root/etc/gathering/database_url"
serve
in_debian dpkg --remove gathering >"$work/log"
said=$(in_debian dpkg --purge gathering 2>&1) && said="it was purged"
check "while its PostgreSQL serves, it is not purged" grep "/var/lib/gathering stays" <(echo "$said")
check "and its state is untouched" test -e "$root/var/lib/gathering/postgres/PG_VERSION"
stop
check "after that it is purged" in_debian dpkg --purge gathering
check "and leaves nothing behind" diff "$work/before" <(files)
conclude
