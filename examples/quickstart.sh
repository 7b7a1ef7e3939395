#!/usr/bin/env bash
# From a fresh machine to a running daemon: installs packages, builds, and serves on a private PostgreSQL.
#
#   examples/quickstart.sh [arguments of gathering serve]
set -euo pipefail
cd "$(dirname "$0")/.."

examples/install-packages.sh
cmake --preset release -DGATHERING_TESTS=OFF >/dev/null
cmake --build --preset release
exec build/release/gathering serve "$@"
