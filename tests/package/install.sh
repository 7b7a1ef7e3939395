#!/usr/bin/env bash
# What `cmake --install` puts into place is what tests/package/files.txt lists, and is well formed.
#
#   tests/package/install.sh BUILD_DIRECTORY
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
build=${1:?usage: install.sh BUILD_DIRECTORY}
. "$here/checks.sh"

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
prefix=$(sed -n 's/^CMAKE_INSTALL_PREFIX:PATH=//p' "$build/CMakeCache.txt")
DESTDIR=$root cmake --install "$build" >"$root.log" 2>&1 || { cat "$root.log"; rm -f "$root.log"; exit 1; }
rm -f "$root.log"

# As if the prefix were /usr; a configuration below another prefix belongs to it.
installed() {
  (cd "$root" && find . ! -type d) | sed "s|^\.||; s|^$prefix/|/usr/|; s|^/usr/etc/|/etc/|" | LC_ALL=C sort
}
doc=$root$prefix/share/doc/gathering

check "every file listed is installed, and no other" diff "$here/files.txt" <(installed)
check "no file is open to be written by others" test -z "$(find "$root" ! -type l -perm /022)"
if command -v dpkg-parsechangelog >/dev/null; then
  gzip -dc "$doc/changelog.gz" >"$root/changelog"
  check "Debian reads the changelog" bash -c \
    'said=$(dpkg-parsechangelog -l "$1" 2>&1 >/dev/null); echo "$said"; test -z "$said"' - "$root/changelog"
  version=$("$root$prefix/bin/gathering" --version | cut -d " " -f 2)
  check "its newest entry is the program's version" \
    test "$(dpkg-parsechangelog -l "$root/changelog" -S Version)" = "$version"
else
  echo "skipped: dpkg-parsechangelog is not here; install dpkg-dev"
fi
check "the licence in the copyright file is LICENSE" diff \
  <(sed 1,4d "$here/../../LICENSE") <(sed -n '/^License:/,$ s/^ //p' "$doc/copyright" | sed 's/^\.$//')
for script in postinst prerm postrm; do
  check "$script is a script that a POSIX shell reads" sh -n "$here/../../examples/debian/$script"
done
check "the configuration is one the program takes" env -i \
  "$root$prefix/bin/gathering" config validate --config "$(find "$root" -path '*/etc/gathering/gathering.toml')"
conclude
