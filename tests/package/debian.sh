# Sourced by the tests of this directory: a fresh Debian of this machine's release.

# make_debian ROOT OPTION...: with debootstrap's options.  What that says is shown when it fails.
make_debian() {
  local root=$1 codename mirror said
  shift
  codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
  mirror=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Identifier: Packages' |
    awk -v release="$codename" '$2 == release && $3 == "main" { print $1; exit }')
  [ -n "$mirror" ] || { echo "apt has no source of $codename main" >&2; exit 1; }
  echo "making a Debian $codename ..."
  said=$(debootstrap "$@" "$codename" "$root" "$mirror" 2>&1) || { tail <<<"$said"; exit 1; }
  mkdir -p "$root/etc/postgresql-common/createcluster.d"
  echo 'create_main_cluster = false' >"$root/etc/postgresql-common/createcluster.d/none.conf"
}
