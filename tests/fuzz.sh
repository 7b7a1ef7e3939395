#!/usr/bin/env bash
# Feeds every reader of what others wrote with noise, the long tier of tests/fuzz/.  Needs clang++.
#
#   tests/fuzz.sh              a minute each, two at a time
#   tests/fuzz.sh 600          ten minutes each
#   tests/fuzz.sh 60 gate json
#
# Begins with tests/fuzz/corpus/<target>/ and keeps what it learns in build/fuzz/found/<target>/.  An input that
# breaks a promise stays as build/fuzz/crashes/<target>-…; mended, it belongs into the corpus.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${1:-60}
case $seconds in
  '' | 0* | *[!0-9]*) echo "tests/fuzz.sh: '$seconds' is no number of seconds; use tests/fuzz.sh [SECONDS [TARGET…]]" >&2; exit 2 ;;
esac
shift || true
cmake --preset fuzz >/dev/null
targets=("$@")
[ $# -gt 0 ] || mapfile -t targets < <(basename -a -s _fuzz.cpp tests/fuzz/*_fuzz.cpp)
for target in "${targets[@]}"; do
  [ -f "tests/fuzz/${target}_fuzz.cpp" ] || { echo "tests/fuzz.sh: there is no target '$target' in tests/fuzz/" >&2; exit 2; }
done
cmake --build --preset fuzz --target "${targets[@]/%/_fuzz}"

# One target.  It is also stopped when it takes 10 s for an input or 2 GiB of memory.
run() {
  local target=$1 log=build/fuzz/logs/$1
  mkdir -p "build/fuzz/found/$target" build/fuzz/crashes build/fuzz/logs
  local dictionary=() input
  [ -f "tests/fuzz/$target.dict" ] && dictionary=(-dict="tests/fuzz/$target.dict")
  if "build/fuzz/tests/${target}_fuzz" "${dictionary[@]}" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
    -artifact_prefix="build/fuzz/crashes/$target-" "build/fuzz/found/$target" "tests/fuzz/corpus/$target" >"$log" 2>&1; then
    echo "passed $target: $(grep -oE 'Done [0-9]+ runs' "$log" | cut -d' ' -f2) inputs"
    return
  fi
  echo "FAILED $target"
  grep -E 'broken promise|runtime error|ERROR: ' "$log" | head -3 | sed 's/^ */  /' || true
  input=$(grep -oE 'build/fuzz/crashes/[^ ]+$' "$log" | tail -1 || true)
  echo "  to see it again: build/fuzz/tests/${target}_fuzz $input     (the log: $log)"
}
export -f run
export seconds

results=$(printf '%s\n' "${targets[@]}" | xargs -P 2 -I{} bash -c 'run {}' | tee /dev/stderr)
failed=$(grep -c '^FAILED' <<<"$results" || true)
echo "$((${#targets[@]} - failed)) passed, $failed failed"
[ "$failed" -eq 0 ]
