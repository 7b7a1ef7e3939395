#!/usr/bin/env bash
# Lives with the Debian package under a real systemd: a fresh Debian of this machine's release boots in a container
# without a network, and its service manager starts, reloads, restarts, watches and stops the daemon.
#
#   tests/package/systemd.sh       as root, where systemd-nspawn may boot; takes minutes and a gigabyte below $TMPDIR
#
# Programs that it needs: examples/install-packages.sh --with-packaging
set -euo pipefail

[ "$(id -u)" -eq 0 ] || { echo "systemd.sh: run it as root; it boots a container" >&2; exit 2; }
cd "$(dirname "$0")/../.."
examples/install-packages.sh --with-packaging
. tests/package/checks.sh
. tests/package/debian.sh
work=$(mktemp -d)
root=$work/debian
machine=
leave() {
  if [ -n "$machine" ]; then
    kill "$machine" 2>/dev/null || true  # which powers it off
    wait "$machine" || true
  fi
  rm -rf --one-file-system "$work"
}
trap leave EXIT
trap 'echo "systemd.sh: line $LINENO: $BASH_COMMAND" >&2; tail "$work/log" >&2' ERR

# --- a machine -------------------------------------------------------------------------------------
rm -f build/package/*.deb build/package/*.ddeb
cmake --workflow --preset package
make_debian "$root" "$(this_release)" --include=systemd,systemd-sysv,dbus,procps,curl,jq
cp build/package/gathering_*.deb "$root/tmp/gathering.deb"
chroot "$root" env DEBIAN_FRONTEND=noninteractive apt-get update -qq
chroot "$root" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql \
  /tmp/gathering.deb >"$work/log" 2>&1 || { tail "$work/log"; exit 1; }

systemd-nspawn -q -D "$root" --boot --private-network --register=no --keep-unit --console=pipe >"$work/console" 2>&1 &
machine=$!
leader=
on() { nsenter -t "$leader" -m -p -u -i -n env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 "$@"; }
# eventually COMMAND...: within a minute.
eventually() {
  local end=$((SECONDS + 60))
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$end" ] || { "$@"; return; }
    sleep 0.1
  done
}
find_leader() { leader=$(pgrep -P "$machine" -x systemd); }
eventually find_leader || { cat "$work/console"; echo "systemd.sh: no container can be booted here" >&2; exit 2; }
booted() { on systemctl is-system-running | grep -E 'running|degraded'; }
eventually booted

unit() { on systemctl show -P "$1" gathering.service; }
is() { [ "$(unit "$1")" = "$2" ] || { echo "$1: $(unit "$1")"; return 1; }; }
has() { unit "$1" | grep -F "$2" || { echo "$1: $(unit "$1")"; return 1; }; }
answers() { on curl -sS --fail --max-time 20 http://127.0.0.1:8000/health/ready; }
journal() { on journalctl -q -u gathering.service --no-pager "$@"; }

# --- a private PostgreSQL --------------------------------------------------------------------------
dropins=$root/etc/systemd/system/gathering.service.d
install -Dm 644 -t "$dropins" examples/systemd/gathering.service.d/embedded.conf
on systemctl daemon-reload
check "the socket and the service start" on systemctl enable --now gathering.socket gathering.service
check "which is over when the daemon serves" answers
check "it is active" is ActiveState active
check "its status says what it serves" has StatusText "serving on"
check "nothing failed on the machine" refuses eval 'on systemctl --failed --plain --no-legend | grep .'
check "its hardening is rated as promised" on systemd-analyze security --threshold=20 gathering.service
lines() { journal -o json | jq -r 'select(.MESSAGE | startswith("{")) | "\(.PRIORITY) \(.MESSAGE | fromjson.level)"' | sort -u; }
check "the journal has its lines with their priority" grep -x '6 info' <(lines)
check "and without the mark of it" refuses grep '^<' <(journal -o cat)

# --- reload ----------------------------------------------------------------------------------------
configuration=$root/etc/gathering/gathering.toml
cp "$configuration" "$work/gathering.toml"
echo 'log.level = "debug"' >>"$configuration"
check "a configuration is read again" on systemctl reload gathering.service
check "and the journal says so" eventually eval 'journal -o cat | grep "configuration read again"'
echo 'nonsense = 1' >>"$configuration"
check "a broken one is no failure" on systemctl reload gathering.service
check "and its status says that it is not in force" eventually has StatusText "was not read again"
check "it serves all the same" answers
cp "$work/gathering.toml" "$configuration"

# --- TLS -------------------------------------------------------------------------------------------
# certify NUMBER: where the configuration says, for the name that clients use.
certify() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -set_serial "$1" -subj /CN=gathering \
    -addext subjectAltName=DNS:gathering.example -keyout "$work/key.pem" -out "$work/certificate.pem" 2>"$work/log"
  install -m 0640 -g "$(stat -c %g "$root/var/lib/gathering")" "$work/key.pem" "$work/certificate.pem" "$root/etc/gathering/"
}
under_tls() {
  on curl -sS --fail --max-time 20 --cacert /etc/gathering/certificate.pem --resolve gathering.example:443:127.0.0.1 \
    https://gathering.example/health/ready
}
certify 1
printf 'http.tls.certificate = "/etc/gathering/certificate.pem"\nhttp.tls.key = "/etc/gathering/key.pem"\n' >>"$configuration"
on systemctl stop gathering.socket gathering.service  # a socket of a service that runs is not opened
check "the socket for TLS is opened" on systemctl enable --now gathering-tls.socket
check "and the service takes it" on systemctl start gathering.socket gathering.service
check "it answers under TLS at port 443" under_tls
certify 2
check "a renewed certificate is not shown at once" refuses under_tls
check "it is read again" on systemctl reload gathering.service
check "and shown" eventually under_tls
check "what needs no TLS goes on" answers

# --- restart, watchdog, crash ----------------------------------------------------------------------
# ask FILE: until that file is gone; a line in it for each request that failed.
ask() {
  while [ -e "$1" ]; do on curl -sS --fail --max-time 60 http://127.0.0.1:8000/health/live >/dev/null 2>>"$1.failed" || true; done
}
touch "$work/asking"
ask "$work/asking" & first=$!
ask "$work/asking" & second=$!
for restart in 1 2 3; do
  check "restart $restart under requests" on systemctl restart gathering.service
done
rm "$work/asking"
wait "$first" "$second"
check "no request failed meanwhile" diff /dev/null "$work/asking.failed"

printf '[Service]\nWatchdogSec=2\n' >"$dropins/watchdog.conf"
on systemctl daemon-reload
on systemctl restart gathering.service
stuck=$(unit MainPID)
another() { [ "$(unit MainPID)" != "$stuck" ] && is ActiveState active; }
on kill -STOP "$stuck"
check "a daemon that hangs is replaced by its watchdog" eventually another
check "and its successor serves" answers
rm "$dropins/watchdog.conf"
on systemctl daemon-reload
stuck=$(unit MainPID)
on kill -KILL "$stuck"
check "a daemon that was killed is started again" eventually another
check "and serves" answers

# --- stop ------------------------------------------------------------------------------------------
on systemctl disable --now gathering-tls.socket
on systemctl stop gathering.socket gathering.service
check "it stops in order" is Result success
check "with exit code 0" is ExecMainStatus 0
check "and leaves no process behind" refuses on pgrep -u gathering

# --- a database elsewhere --------------------------------------------------------------------------
rm "$dropins/embedded.conf"
on systemctl daemon-reload
on pg_createcluster "$(ls "$root/usr/lib/postgresql")" main --start >"$work/log" 2>&1
database='postgresql:///gathering?host=/run/postgresql'
secret=$(on sh -c 'head -c 24 /dev/urandom | base64')
(umask 077 && echo "$secret-$secret" >"$root/etc/gathering/secret_key" &&
  echo "$database" >"$root/etc/gathering/database_url")
on runuser -u postgres -- createuser gathering
on runuser -u postgres -- createdb -O gathering gathering
on runuser -u gathering -- env DATABASE_URL="$database" gathering migrate up >"$work/log"
check "with credentials it serves on another PostgreSQL" on systemctl start gathering.socket gathering.service
check "and answers" answers
check "of which its environment holds nothing" refuses on grep -aF "$secret" "/proc/$(unit MainPID)/environ"
check "it stops in order as well" on systemctl stop gathering.socket gathering.service
check "with success" is Result success
conclude
