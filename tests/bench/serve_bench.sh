#!/usr/bin/env bash
# What the daemon promises under load, measured on the daemon itself.
#
#   serve_bench.sh BUILD_DIR
#
# BUILD_DIR holds a Release build with -DGATHERING_TESTS=ON -DGATHERING_BENCH=ON.  Starts `gathering serve`
# with two loops, without rate limits until those are measured, with more connections for one address, on a
# data directory and a PostgreSQL of its own, and ends it.  Takes about two minutes; needs curl, psql and
# 2,000 open files; asks with wrk where it is installed.  Exit code 1: a target was missed (on a machine that
# had time for it?).
set -euo pipefail
build=$(cd "${1:?usage: serve_bench.sh BUILD_DIR}" && pwd)
loops=2 rounds=3
email=admin@example.com password=Correct-Admin-2026  # the hash is cheap: this is no login benchmark
hash='$2b$05$abcdefghijklmnopqrstuuBKTK.qTk510AXsl7sY1owdL2ZgkpwSq'

ulimit -n "$(ulimit -Hn)"
[ "$(ulimit -n)" = unlimited ] || [ "$(ulimit -n)" -ge 2000 ] || { echo "needs 2,000 open files" >&2; exit 2; }
work=$(mktemp -d "${TMPDIR:-/tmp}/serve_bench.XXXXXX")
chmod 711 "$work"  # started by root, the database runs as another user
started=()
finish() {
  for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; done
  for pid in "${started[@]}"; do wait "$pid" 2>/dev/null || true; done
  rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM

# --- tools ---------------------------------------------------------------------------------------

# wait_for SECONDS COMMAND...
wait_for() {
  local end=$((SECONDS + $1)); shift
  until "$@"; do
    [ $SECONDS -lt $end ] || { echo "serve_bench: waited in vain: $*" >&2; tail -n 3 "$work"/*.log >&2; exit 2; }
    sleep 0.05
  done
}

missed=0
# verdict WHAT CONDITION, a condition for awk
verdict() {
  if awk "BEGIN { exit !($2) }"; then echo "  target: $1: met"; else echo "  target: $1: MISSED"; missed=1; fi
}

# load CONNECTIONS SECONDS PATH [OPTION...]
load() {
  local connections=$1 seconds=$2 path=$3; shift 3
  "$build/tests/load_client" --address "$address" --connections "$connections" --seconds "$seconds" \
    --path "$path" "$@"
}

# figure LINE NAME: from what load_client printed on stdin
figure() { awk -v line="$1" -v name="$2" '$1 == line { for (i = 2; i < NF; i += 2) if ($i == name) v = $(i + 1) }
                                          END { print v + 0 }'; }

# rate ADDRESS SECONDS: of liveness with 64 connections
rate() {
  if command -v wrk >/dev/null; then
    wrk -t1 -c64 -d"$2" "http://$1/health/live" | awk '/Requests\/sec/ { print $2 }'
  else
    address=$1 load 64 "$2" /health/live | figure totals requests_per_second
  fi
}

# api METHOD PATH [JSON]
api() {
  curl -fsS -o /dev/null -X "$1" -H "$bearer" ${3:+-H 'Content-Type: application/json' -d "$3"} "http://$address$2"
}

sql() { psql -qXAt -h "$(sed -n 2p "$work/data/gathering.lock")" -U gathering -d gathering "$@"; }

# --- the daemon and what it holds ----------------------------------------------------------------

configure() { printf '[rate_limits]\nenabled = %s\nhealth = "1000000/second"\n' "$1" >"$work/gathering.toml"; }
configure false
env -i PATH="$PATH" ADMIN_EMAIL=$email ADMIN_PASSWORD_HASH="$hash" \
  GATHERING_HTTP_LOOPS=$loops GATHERING_HTTP_LIMITS_CONNECTIONS_PER_ADDRESS_MAX=2000 \
  "$build/gathering" serve --config "$work/gathering.toml" --listen 127.0.0.1:0 --data-dir "$work/data" \
  --log-format json >"$work/daemon.log" 2>&1 &
started+=($!)
listens() { grep -q '"msg":"listening"' "$work/daemon.log" || ! kill -0 "${started[0]}" 2>/dev/null; }
wait_for 60 listens
address=$(sed -n 's/.*"msg":"listening","address":"\([^"]*\)".*/\1/p' "$work/daemon.log")
[ "$address" ] || { tail -n 3 "$work/daemon.log" >&2; exit 2; }
token=$(curl -fsS --data-urlencode username=$email --data-urlencode password=$password "http://$address/auth/login" |
  sed -n 's/.*"access_token":"\([^"]*\)".*/\1/p')
bearer="Authorization: Bearer $token"
api POST /agents '{"persona":{"name":"Ada","role":"Developer"},"config":{"competencies":["python"]}}'
api POST /circles '{"name":"crew"}'
for member in {1..20}; do
  api POST "/circles/crew/agents?agent_id=$member&agent_name=Agent$member&competencies=python"
done
api POST /circles/crew/start

curl -fsS -i --raw -o "$work/answer" "http://$address/health/live"
"$build/tests/epoll_responder" 0 $loops --answer "$work/answer" >"$work/bare.address" &
started+=($!)
wait_for 5 test -s "$work/bare.address"
bare=$(cat "$work/bare.address")
echo "$("$build/gathering" --version), $loops loops, $(nproc) cores, load $(cut -d' ' -f1-3 /proc/loadavg)"

# --- a. liveness against the least a server can do -----------------------------------------------

echo "a. liveness, 64 connections, against a bare epoll responder of the same $(stat -c %s "$work/answer") bytes"
rate "$address" 1 >/dev/null
: >"$work/shares"
for ((i = 0; i < rounds; ++i)); do
  echo "$(rate "$bare" 3) $(rate "$address" 3)" |
    awk '{ printf "  bare %.0f/s  daemon %.0f/s  %.0f %%\n", $1, $2, 100 * $2 / $1 }' | tee -a "$work/shares"
done
share=$(awk '{ print $(NF - 1) }' "$work/shares" | sort -n | sed -n $(((rounds + 1) / 2))p)
echo "  median: $share %"
verdict "at least 60 %" "$share >= 60"

# --- b. fairness ---------------------------------------------------------------------------------

echo "b. 1,000 keep-alive clients, answers for each in 5 s"
load 1000 5 /health/live --spread >"$work/spread"
sed 's/^/  /' "$work/spread"
verdict "the least served client has half of the median" \
  "$(figure spread min <"$work/spread") >= $(figure spread median <"$work/spread") / 2"

# --- c. liveness beside a stuck database ---------------------------------------------------------

echo "c. liveness, 8 connections, beside 500 requests that wait for a locked table"
load 8 4 /health/live >"$work/alone"
mkfifo "$work/sql"
sql <"$work/sql" & started+=($!)
exec 3>"$work/sql"
echo "BEGIN; LOCK TABLE circles;" >&3
locks() { [ "$(sql -c "SELECT count(*) FROM pg_locks WHERE relation = 'circles'::regclass AND $1")" -ge "$2" ]; }
wait_for 10 locks granted 1
load 500 9 /circles --header "$bearer" >"$work/waiters" & waiters=$!
started+=($waiters)
wait_for 5 locks 'NOT granted' 4
load 8 5 /health/live >"$work/beside"
echo "COMMIT;" >&3
exec 3>&-
wait $waiters
for run in alone beside; do printf '  %-8s' $run; grep latency_us "$work/$run"; done
echo "  the waiters, asking again and again, the table free for the last seconds:"
sed 's/^/  /' "$work/waiters"
verdict "p99 under 20 ms beside them" "$(figure latency_us p99 <"$work/beside") < 20000"
verdict "every waiter was answered, with 200 or 503" \
  "$(figure statuses 200 <"$work/waiters") >= 500 && $(figure totals errors <"$work/waiters") == 0 \
   && $(figure statuses 200 <"$work/waiters") + $(figure statuses 503 <"$work/waiters") \
   == $(figure totals requests <"$work/waiters")"

# --- d. requests that work -----------------------------------------------------------------------

echo "d. with the database, 64 connections, 4 s"
# measure WHAT PATH [OPTION...]
measure() {
  local what=$1 path=$2; shift 2
  # Warms the caches and the connections.
  load 64 1 "$path" --header "$bearer" "$@" >/dev/null || true
  load 64 4 "$path" --header "$bearer" "$@" >"$work/run"
  printf '  %-24s %6d/s  p50 %d us  p99 %d us  ' "$what" "$(figure totals requests_per_second <"$work/run")" \
    "$(figure latency_us p50 <"$work/run")" "$(figure latency_us p99 <"$work/run")"
  grep statuses "$work/run"
}
measure "an agent" /agents/1
measure "a circle of 20 members" /circles/crew
measure "a new task" /circles/crew/tasks --method POST --body '{"title":"measure","required_competencies":["python"]}'

# --- e. what limits cost -------------------------------------------------------------------------

echo "e. liveness, 64 connections, with limits and without, changed by SIGHUP"
# limits true|false
limits() {
  configure "$1"
  kill -HUP "${started[0]}"
  wait_for 5 limited "$1"
}
limited() {
  local shown=false
  curl -fsS -i "http://$address/health/live" | grep -qi '^x-ratelimit-limit' && shown=true
  [ $shown = "$1" ]
}
: >"$work/costs"
for ((i = 0; i < 2 * rounds + 1; ++i)); do
  limits false; without=$(rate "$address" 2)
  limits true; with=$(rate "$address" 2)
  echo "$without $with" |
    awk '{ printf "  without %.0f/s  with %.0f/s  %.1f %%\n", $1, $2, 100 * $2 / $1 }' | tee -a "$work/costs"
done
share=$(awk '{ print $(NF - 1) }' "$work/costs" | sort -n | sed -n $((rounds + 1))p)
echo "  median: $share %"
verdict "within 3 %" "$share >= 97"
exit $missed
