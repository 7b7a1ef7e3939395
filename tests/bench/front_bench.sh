#!/bin/sh
# How much of a bare epoll responder's rate the HTTP front reaches on liveness.
#
#   front_bench.sh BUILD_DIR [ROUNDS [SECONDS [CONNECTIONS]]]
#
# BUILD_DIR holds a Release build with -DGATHERING_BENCH=ON.  The two servers run at the same time and
# are asked in turn, so that whatever else the machine does hits both.  Needs wrk.
set -eu
build=${1:?usage: front_bench.sh BUILD_DIR [ROUNDS [SECONDS [CONNECTIONS]]]}
rounds=${2:-5} seconds=${3:-4} connections=${4:-64}
loops=2 bare_port=19411 front_port=19412

"$build/tests/epoll_responder" $bare_port $loops & bare=$!
"$build/tests/front_responder" $front_port $loops & front=$!
trap 'kill $bare $front 2>/dev/null' EXIT
ask() { wrk -t1 -c"$connections" -d"$2" --latency "http://127.0.0.1:$1/health/live"; }
rate() { ask "$1" "$2" | awk '/Requests\/sec/ {r = $2} / 99% / {p = $2} END {print r, p}'; }
until ask $bare_port 1 >/dev/null && ask $front_port 1 >/dev/null; do :; done

i=0
while [ $i -lt "$rounds" ]; do
  b=$(rate $bare_port "$seconds"); f=$(rate $front_port "$seconds")
  echo "$b $f"
  i=$((i + 1))
done | awk '
  { printf "bare %8.0f/s (p99 %s)   front %8.0f/s (p99 %s)   %.0f %%\n", $1, $2, $3, $4, 100 * $3 / $1
    share[NR] = 100 * $3 / $1 }
  END { n = asort_plain(share, NR); printf "median: %.0f %% of the bare responder\n", share[int((NR + 1) / 2)] }
  function asort_plain(a, n,   i, j, t) {
    for (i = 2; i <= n; i++) { t = a[i]; for (j = i - 1; j > 0 && a[j] > t; j--) a[j + 1] = a[j]; a[j + 1] = t }
    return n
  }'
