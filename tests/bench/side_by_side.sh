#!/usr/bin/env bash
# `gathering serve` and the Python stack one would otherwise run, measured side by side.
#
#   side_by_side.sh BUILD_DIR PEER [--seconds N] [--rounds N] [--peer-workers N]
#
# BUILD_DIR holds a Release build with -DGATHERING_TESTS=ON -DGATHERING_BENCH=ON.  PEER is a Python program
# that serves the same four routes from the PostgreSQL at DATABASE_URL: `PEER --seed` makes 1,000 agents and
# the circle `crew` with 20 members, `PEER --port P --workers N` listens.  Starts the daemon with two loops,
# without rate limits, on a data directory and a PostgreSQL of its own, which the peer shares; drives both
# in turn with `wrk -t1 -c64`, N rounds (5) of N seconds (4) for each route, and ends them.
# Exit code 1: a target was missed (on a machine that had time for it?); 2: nothing was measured, or a
# request failed and the figures mean nothing.
set -euo pipefail
usage='usage: side_by_side.sh BUILD_DIR PEER [--seconds N] [--rounds N] [--peer-workers N]'
build=$(cd "${1:?$usage}" && pwd)
peer_program=$(realpath -e "${2:?$usage}")
shift 2
loops=2 seconds=4 rounds=5 peer_workers=1
while [ $# -gt 0 ]; do
  [[ ${2:-} =~ ^[1-9][0-9]?$ ]] || { echo "$usage" >&2; exit 2; }
  case $1 in
    --seconds) seconds=$2 ;;
    --rounds) rounds=$2 ;;
    --peer-workers) peer_workers=$2 ;;
    *) echo "$usage" >&2; exit 2 ;;
  esac
  shift 2
done
python=/usr/bin/python3  # Debian's, which finds Debian's packages
email=admin@example.com password=Correct-Admin-2026  # the hash is cheap: this is no login benchmark
# shellcheck disable=SC2016  # a dollar is a dollar
hash='$2b$05$abcdefghijklmnopqrstuuBKTK.qTk510AXsl7sY1owdL2ZgkpwSq'

# --- what must be there --------------------------------------------------------------------------

packages=(python3-fastapi python3-uvicorn python3-uvloop python3-httptools python3-psycopg python3-psycopg-pool
  python3-limits)
missing=()
for package in "${packages[@]}"; do
  module=${package#python3-}
  "$python" -c "import ${module//-/_}" 2>/dev/null || missing+=("$package")
done
for tool in wrk curl; do command -v $tool >/dev/null || missing+=("$tool"); done
command -v psql >/dev/null || missing+=(postgresql-client)
[ ${#missing[@]} = 0 ] || { echo "side_by_side: first: apt-get install ${missing[*]}" >&2; exit 2; }
for program in gathering tests/epoll_responder; do
  [ -x "$build/$program" ] || { echo "side_by_side: no $program in $build" >&2; exit 2; }
done

work=$(mktemp -d "${TMPDIR:-/tmp}/side_by_side.XXXXXX")
chmod 711 "$work"  # started by root, the database runs as another user
started=()
# shellcheck disable=SC2317  # the trap calls it
finish() {
  # The last one first: the daemon's PostgreSQL serves the peer.
  for ((i = ${#started[@]} - 1; i >= 0; --i)); do
    kill "${started[i]}" 2>/dev/null || true
    wait "${started[i]}" 2>/dev/null || true
  done
  rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM

# --- tools ---------------------------------------------------------------------------------------

give_up() { echo "side_by_side: $*" >&2; tail -n 5 "$work"/*.log >&2; exit 2; }

# wait_for SECONDS PID COMMAND...: as long as the process lives
wait_for() {
  local end=$((SECONDS + $1)) pid=$2; shift 2
  until "$@"; do
    { [ $SECONDS -lt $end ] && kill -0 "$pid" 2>/dev/null; } || give_up "waited in vain: $*"
    sleep 0.05
  done
}

missed=0
# verdict WHAT CONDITION, a condition for awk
verdict() {
  if awk "BEGIN { exit !($2) }"; then echo "  target: $1: met"; else echo "  target: $1: MISSED"; missed=1; fi
}

sql() { psql -qXAt -h "$(sed -n 2p "$work/data/gathering.lock")" -U gathering -d gathering "$@"; }

free_port() {
  "$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# api METHOD PATH [JSON]
api() {
  curl -fsS -o /dev/null -X "$1" -H "$bearer" ${3:+-H 'Content-Type: application/json' -d "$3"} "http://$daemon$2"
}

# middle FILE COLUMN: the median; least and most likewise
middle() {
  cut -d' ' -f"$2" "$1" | sort -g |
    awk '{ v[NR] = $1 } END { print (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2 }'
}
least() { cut -d' ' -f"$2" "$1" | sort -g | head -n 1; }
most() { cut -d' ' -f"$2" "$1" | sort -g | tail -n 1; }
sum() { awk -v c="$2" '{ s += $c } END { print s + 0 }' "$1"; }

# Says "rate p50_us p99_us refusals errors" in one line; posts when there is a body.
cat >"$work/drive.lua" <<'LUA'
local body = os.getenv("BODY")
if body and body ~= "" then
  wrk.method = "POST"
  wrk.body = body
  wrk.headers["Content-Type"] = "application/json"
end
local bearer = os.getenv("BEARER")
if bearer and bearer ~= "" then wrk.headers["Authorization"] = bearer end
function done(summary, latency)
  local e = summary.errors
  io.write(string.format("figures %.1f %.0f %.0f %d %d\n", summary.requests * 1e6 / summary.duration,
    latency:percentile(50), latency:percentile(99), e.status, e.connect + e.read + e.write + e.timeout))
end
LUA

# drive WHO SECONDS PATH [BODY]
drive() {
  local address=$peer token=
  case $1 in
    gathering) address=$daemon token=${bearer#*: } ;;
    bare) address=$bare ;;
  esac
  BODY=${4:-} BEARER=$token wrk -t1 -c64 -d"$2" --timeout 10 -s "$work/drive.lua" "http://$address$3" |
    sed -n 's/^figures //p'
}

# answer WHO PATH [BODY]: one answer into a file; its size.  wrk counts only what is above 399 as refused.
answer() {
  local address=$peer; [ "$1" = peer ] || address=$daemon
  local said
  said=$(curl -sS -o "$work/$1.answer" -w '%{http_code} %{size_download}' -H "$bearer" \
    ${3:+-H 'Content-Type: application/json' -d "$3"} "http://$address$2") || give_up "$1 does not answer $2"
  [[ $said = 20[01]\ * ]] || give_up "$1 answers $2 with $said: $(cat "$work/$1.answer")"
  echo "${said#* }"
}

# --- both servers and what they hold -------------------------------------------------------------

# Neither of the two writes a line for each request.
daemon=127.0.0.1:$(free_port)
env -i PATH="$PATH" ADMIN_EMAIL=$email ADMIN_PASSWORD_HASH="$hash" GATHERING_HTTP_LOOPS=$loops \
  GATHERING_RATE_LIMITS_ENABLED=false \
  "$build/gathering" serve --config /dev/null --listen "$daemon" --data-dir "$work/data" \
  --log-format json --log-level warning >"$work/daemon.log" 2>&1 &
started+=($!)
wait_for 60 $! curl -fs -o /dev/null "http://$daemon/health/live"
token=$(curl -fsS --data-urlencode username=$email --data-urlencode password=$password "http://$daemon/auth/login" |
  sed -n 's/.*"access_token":"\([^"]*\)".*/\1/p')
bearer="Authorization: Bearer $token"
for number in {1..1000}; do
  printf 'url = "http://%s/agents"\nheader = "%s"\nheader = "Content-Type: application/json"\n' "$daemon" "$bearer"
  printf 'data = "{\\"persona\\":{\\"name\\":\\"agent-%s\\",\\"role\\":\\"Developer\\"},' "$number"
  printf '\\"config\\":{\\"competencies\\":[\\"python\\",\\"sql\\",\\"review\\"]}}"\n'
  printf 'output = /dev/null\nfail\n'
  [ "$number" = 1000 ] || echo next
done >"$work/agents.curl"
curl -sS --config "$work/agents.curl"
api POST /circles '{"name":"crew"}'
for member in {1..20}; do
  api POST "/circles/crew/agents?agent_id=$member&agent_name=agent-$member&competencies=python"
done
api POST /circles/crew/start

curl -fsS -i --raw -o "$work/live" "http://$daemon/health/live"
"$build/tests/epoll_responder" 0 $loops --answer "$work/live" >"$work/bare.address" &
started+=($!)
wait_for 5 $! test -s "$work/bare.address"
bare=$(cat "$work/bare.address")

# No function: in the background its pid would be that of a shell in front of the peer.
as_peer=(env -i PATH="$PATH" PYTHONDONTWRITEBYTECODE=1
  DATABASE_URL="host='$(sed -n 2p "$work/data/gathering.lock")' user=gathering dbname=gathering")
"${as_peer[@]}" timeout 60 "$python" "$peer_program" --seed >"$work/seed.log" 2>&1 || give_up "the peer cannot be seeded"
port=$(free_port)
peer=127.0.0.1:$port
"${as_peer[@]}" "$python" "$peer_program" --port "$port" --workers "$peer_workers" >"$work/peer.log" 2>&1 &
started+=($!)
wait_for 30 $! curl -fs -o "$work/peer.answer" "http://$peer/health/live"

versions=$(for package in "${packages[@]}"; do dpkg-query -W -f '${Package} ${Version}, ' "$package"; done)
echo "$("$build/gathering" --version), $loops loops;" \
  "peer: $("$python" --version), $peer_workers worker(s), ${versions%, };" \
  "PostgreSQL $(sql -c 'SHOW server_version'), fsync $(sql -c 'SHOW fsync')," \
  "synchronous_commit $(sql -c 'SHOW synchronous_commit');" \
  "$(nproc) cores, load $(cut -d' ' -f1-3 /proc/loadavg); wrk -t1 -c64, $rounds rounds of $seconds s"

# --- the measurement -----------------------------------------------------------------------------

failed=0
# figures WHO
figures() {
  printf '  %-10s %9.0f/s  p50 %8.2f ms  p99 %8.2f ms\n' "$1" "$(middle "$work/$1" 1)" \
    "$(middle "$work/$1" 2 | awk '{ print $1 / 1000 }')" "$(middle "$work/$1" 3 | awk '{ print $1 / 1000 }')"
  local refusals errors
  refusals=$(sum "$work/$1" 4) errors=$(sum "$work/$1" 5)
  [ "$refusals $errors" = "0 0" ] || { echo "  $1: $refusals answers were no success, $errors errors"; failed=1; }
}

# compare WHAT TIMES PATH [BODY]
compare() {
  local what=$1 times=$2 who order="gathering peer"; shift 2
  local ours theirs
  ours=$(answer gathering "$@") theirs=$(answer peer "$@")
  echo "$what, answers of $ours and $theirs bytes"
  [ "$1" != /health/live ] || order="gathering peer bare"
  for who in $order; do drive "$who" 1 "$@" >/dev/null; : >"$work/$who"; done
  for ((round = 0; round < rounds; ++round)); do
    for who in $order; do drive "$who" "$seconds" "$@" >>"$work/$who"; done
    order=$(tr ' ' '\n' <<<"$order" | tac | paste -sd' ')  # whoever was last is first
  done
  paste -d' ' "$work/gathering" "$work/peer" | awk '{ print $1 / $6 }' >"$work/ratios"
  figures gathering
  figures peer
  local ratio
  ratio=$(awk "BEGIN { print $(middle "$work/gathering" 1) / $(middle "$work/peer" 1) }")
  printf '  ratio of the medians %.1f (in one round %.1f to %.1f)\n' "$ratio" "$(least "$work/ratios" 1)" \
    "$(most "$work/ratios" 1)"
  verdict "$times times the peer's rate" "$ratio >= $times"
  verdict "p99 below the peer's p50" "$(middle "$work/gathering" 3) < $(middle "$work/peer" 2)"
  [ "$1" = /health/live ] || return 0
  figures bare
  paste -d' ' "$work/gathering" "$work/bare" | awk '{ print 100 * $1 / $6 }' >"$work/shares"
  printf '  of a bare epoll responder with the same answer: %.0f %% (%.0f to %.0f)\n' \
    "$(middle "$work/shares" 1)" "$(least "$work/shares" 1)" "$(most "$work/shares" 1)"
  verdict "at least 60 %" "$(middle "$work/shares" 1) >= 60"
}

compare "liveness" 8 /health/live
compare "an agent by id" 30 /agents/1
compare "a circle with 20 members" 20 /circles/crew
compare "a new task in one circle" 15 /circles/crew/tasks '{"title":"measure"}'
[ $failed = 0 ] || { echo "side_by_side: requests failed, the figures mean nothing" >&2; exit 2; }
exit $missed
