#!/usr/bin/env bash
# Installs what is missing, builds everything and runs every test.
#
#   tests/run.sh              the check preset
#   tests/run.sh --preset asan
set -euo pipefail
cd "$(dirname "$0")/.."

preset=check
while [ $# -gt 0 ]; do
  case $1 in
    --preset) preset=${2:?--preset needs a name}; shift 2 ;;
    *) echo "tests/run.sh: unknown argument '$1'; use --preset NAME" >&2; exit 2 ;;
  esac
done

examples/install-packages.sh --with-tests
cmake --preset "$preset" >/dev/null
cmake --build --preset "$preset"
ctest --preset "$preset"
