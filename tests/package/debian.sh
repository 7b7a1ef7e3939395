# Sourced by the tests of this directory: a fresh Debian.

this_release() { (. /etc/os-release && echo "$VERSION_CODENAME"); }

# make_debian ROOT CODENAME OPTION...: with debootstrap's options, from where this machine has its own packages.  What
# debootstrap says is shown when it fails.
make_debian() {
  local root=$1 codename=$2 mirror said
  shift 2
  mirror=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Identifier: Packages' |
    awk -v release="$(this_release)" '$2 == release && $3 == "main" { print $1; exit }')
  [ -n "$mirror" ] || { echo "apt has no source of $(this_release) main" >&2; exit 1; }
  echo "making a Debian $codename ..."
  said=$(debootstrap "$@" "$codename" "$root" "$mirror" 2>&1) || { tail <<<"$said"; exit 1; }
  mkdir -p "$root/etc/postgresql-common/createcluster.d"
  echo 'create_main_cluster = false' >"$root/etc/postgresql-common/createcluster.d/none.conf"
}
