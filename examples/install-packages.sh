#!/usr/bin/env bash
# Installs the Debian packages that building and running needs; does nothing when all are there.
#
#   examples/install-packages.sh                    to build and run
#   examples/install-packages.sh --with-tests       also what the tests need
#   examples/install-packages.sh --with-packaging   also what the scripts in tests/package need
set -euo pipefail

# Which PostgreSQL is the release's: its packages are named by their number.
postgres=$(. /etc/os-release && case ${VERSION_ID:-} in 12) echo -15 ;; 13) echo -17 ;; esac)

packages=(
  build-essential cmake ninja-build pkg-config ca-certificates
  libcli11-dev libpqxx-dev libpq-dev libcpp-httplib-dev nlohmann-json3-dev libspdlog-dev libtomlplusplus-dev
  libboost-context-dev libargon2-dev libcrypt-dev libssl-dev libhiredis-dev
  postgresql$postgres postgresql-client$postgres curl jq
)
for argument in "$@"; do
  case $argument in
    --with-packaging) packages+=(debootstrap dpkg-dev gdb lintian openssl systemd-container) ;;
    --with-tests) packages+=(bash-completion bsdutils catch2 chromium-headless-shell fish mandoc nginx openssl
                             prometheus redis-server zsh) ;;
    *) echo "install-packages.sh: unknown argument '$argument'" >&2; exit 2 ;;
  esac
done

missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q '^install ok installed$' || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || { echo "install-packages.sh: run as root or install sudo" >&2; exit 1; }
  as_root=(sudo)
fi
echo "Installing ${#missing[@]} packages: ${missing[*]}" >&2
export DEBIAN_FRONTEND=noninteractive
"${as_root[@]}" apt-get update -qq
# The private cluster is ours to make: keep Debian from creating and starting one of its own.
if [ ! -e /etc/postgresql-common/createcluster.conf ] && [ ! -d /etc/postgresql ]; then
  "${as_root[@]}" mkdir -p /etc/postgresql-common/createcluster.d
  echo 'create_main_cluster = false' | "${as_root[@]}" tee /etc/postgresql-common/createcluster.d/gathering.conf >/dev/null
fi
# Only the tests use these, each its own or none: keep Debian's services from starting, now and at the next boot.
new_services=()
for service in nginx prometheus redis-server; do
  [[ " ${missing[*]} " != *" $service "* ]] || new_services+=("$service")
done
if [ ${#new_services[@]} -gt 0 ] && [ ! -e /usr/sbin/policy-rc.d ]; then
  trap '"${as_root[@]}" rm -f /usr/sbin/policy-rc.d' EXIT
  printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee /usr/sbin/policy-rc.d >/dev/null
  "${as_root[@]}" chmod 755 /usr/sbin/policy-rc.d
fi
"${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2
for service in "${new_services[@]}"; do "${as_root[@]}" update-rc.d "$service" disable >&2; done
