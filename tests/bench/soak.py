#!/usr/bin/env python3
"""Whether two daemons stay what they are under mixed traffic for a long time.

  tests/bench/soak.py build/release [--minutes 30] [--sse 100] [--websockets 200]

Two daemons on one PostgreSQL and one Redis, all started here, on loopback and in a directory of their own:
reads, writes with Idempotency-Keys, logins, and streams that come and go.  At each sixth of the time something
is restarted: PostgreSQL in order, Redis by a kill, the second daemon, PostgreSQL by a crash, Redis.  Memory,
descriptors, threads and queues of both daemons are sampled each second.

At the end there is a table, and the verdicts: memory does not grow (judged where one process ran for 10 minutes
behind its warm-up), descriptors and threads neither, queues are empty when the traffic ends, every write that was
answered is there once, and nobody was answered a 5xx, save 503 while a server was away.
Exit code: 0 all hold, 1 one does not, 2 it could not be run.
"""
import argparse
import base64
import collections
import contextlib
import glob
import http.client
import json
import os
import pwd
import random
import re
import selectors
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid

sys.path.insert(0, os.path.dirname(__file__))
from daemons import Daemon  # noqa: E402

CIRCLES = 20
READERS = 4
WRITERS = 3
PAUSE = 0.02                 # of a client between two requests
PATIENCE = 40                # seconds for an answer; the daemon gives up before
AWAY = 15                    # seconds after a restart in which 503 is an answer
DOWN = 2                     # seconds a restarted server is away
WARM_UP = 180                # seconds of each process, or a sixth of the time
SLOPE_MAX = 1024             # KiB in 10 minutes
JUDGED = 600                 # seconds of one process that a slope is judged by
DESCRIPTORS_MORE = 8         # beside connections
LOGIN_EVERY = 1.0
STREAM_LIVES = (3, 40)       # seconds
ACCOUNT = {"email": "admin@localhost", "password": "a soak of a while"}
PASSWORD_HASH = "$2b$04$pJHICIVwNyWb4YfxupAehe1JKoEKbWFSpGCb08cmGH3Umxcn5sfPS"
QUEUES = {"gathering_db_pool_waiting": 0, "gathering_db_jobs_waiting": 0, "gathering_db_pipeline_queued": 0,
          "gathering_event_subscription_queued": 0, "gathering_event_bus_publishers_waiting": 0,
          "gathering_http_requests_in_progress": 1}  # who asks is one
CONNECTIONS = ("gathering_http_connections", "gathering_db_pool_connections", "gathering_db_pipeline_connections")


# --- servers -----------------------------------------------------------------------------------------------------

class Server:
    """A child that is stopped and started again.  Whoever ends everything finds it in `servers`."""

    def __init__(self, servers, arguments, ready, log, **options):
        self.arguments, self.ready, self.log, self.options = arguments, ready, open(log, "ab"), options
        self.process = None
        servers.append(self)
        self.start()

    def start(self):
        self.process = subprocess.Popen(self.arguments, stdout=self.log, stderr=self.log, **self.options)
        deadline = time.monotonic() + 60
        while subprocess.run(self.ready, capture_output=True).returncode != 0:
            if self.process.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"{self.arguments[0]} did not start; see {self.log.name}")
            time.sleep(0.1)

    def stop(self, number):
        if self.process and self.process.poll() is None:
            self.process.send_signal(number)
            end(self.process)


def end(process):
    """It was asked to, and has a minute."""
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def start_postgres(root, servers):
    """Fast, but as durable as its defaults."""
    binaries = max(glob.glob("/usr/lib/postgresql/*/bin"), default=None, key=lambda path: int(path.split("/")[-2]))
    if binaries is None:
        print("soak.py: PostgreSQL is missing; run examples/install-packages.sh", file=sys.stderr)
        sys.exit(2)
    place = os.path.join(root, "postgres")
    os.mkdir(place)
    options = {}
    if os.geteuid() == 0:  # the server refuses root
        owner = pwd.getpwnam("postgres")
        os.chown(place, owner.pw_uid, owner.pw_gid)
        options = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}
    data = os.path.join(place, "data")
    subprocess.run([f"{binaries}/initdb", "-D", data, "-U", "gathering", "-A", "trust", "-E", "UTF8", "--locale=C"],
                   check=True, stdout=subprocess.DEVNULL, cwd=place, **options)
    server = Server(servers, [f"{binaries}/postgres", "-D", data, "-k", place, "-c", "listen_addresses="],
                    [f"{binaries}/psql", "-h", place, "-U", "gathering", "-Atc", "SELECT 1", "postgres"],
                    os.path.join(root, "postgres.log"), cwd=place, **options)

    def ask(sql, database="gathering"):
        return subprocess.run([f"{binaries}/psql", "-h", place, "-U", "gathering", "-Atc", sql, database], check=True,
                              capture_output=True, text=True).stdout.splitlines()

    ask("CREATE DATABASE gathering", "postgres")
    return server, ask, f"host={place} user=gathering dbname=gathering"


def start_redis(root, servers):
    program = shutil.which("redis-server")
    if program is None:
        print("soak.py: redis-server is missing; run examples/install-packages.sh --with-tests", file=sys.stderr)
        sys.exit(2)
    place = os.path.join(root, "redis.sock")
    server = Server(servers, [program, "--port", "0", "--unixsocket", place, "--save", "", "--dir", root],
                    ["redis-cli", "-s", place, "PING"], os.path.join(root, "redis.log"))
    return server, f"unix://{place}"


# --- the world ---------------------------------------------------------------------------------------------------

class World:
    """What all clients share: the daemons, a token, and what happened."""

    def __init__(self):
        self.daemons = []
        self.gone = set()             # of the daemons, while one is restarted
        self.away = []                # [from, to] in which a server was away, with time to come back
        self.token = None
        self.over = threading.Event()
        self.lock = threading.Lock()
        self.answers = collections.Counter()
        self.complaints = collections.Counter()
        self.written = []             # titles that were answered with 201
        self.streams = collections.Counter()

    def is_away(self, begin):
        """Whether something was away while an answer was waited for."""
        now = time.monotonic()
        with self.lock:
            return any(first <= now and begin <= last for first, last in self.away)

    def complain(self, what):
        with self.lock:
            self.complaints[what] += 1

    def note(self, status, begin, what):
        with self.lock:
            self.answers[status] += 1
        if status >= 500 and not (status == 503 and self.is_away(begin)):
            self.complain(f"{status} to {what}")

    @contextlib.contextmanager
    def absence(self):
        with self.lock:
            times = [time.monotonic(), float("inf")]
            self.away.append(times)
        yield
        times[1] = time.monotonic() + AWAY


class Client:
    """One connection at a time, to either daemon."""

    def __init__(self, world, seed):
        self.world, self.random = world, random.Random(seed)
        self.connection = self.daemon = None

    def close(self):
        if self.connection:
            self.connection.close()
        self.connection = None

    def ask(self, method, path, body=None, key=None, token=None):
        """Status and JSON; 0 when the connection was lost."""
        world = self.world
        if self.connection is None or self.daemon in world.gone or self.random.random() < 0.01:
            self.close()
            self.daemon = self.random.choice([d for d in world.daemons if d not in world.gone])
            self.connection = http.client.HTTPConnection("127.0.0.1", self.daemon.port, timeout=PATIENCE)
        headers = {"Authorization": f"Bearer {token or world.token}", "Content-Type": "application/json"}
        if key:
            headers["Idempotency-Key"] = key
        begin = time.monotonic()
        try:
            self.connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = self.connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            # A kept connection may be closed at any time; only who gets no answer at all is a matter.
            if isinstance(error, TimeoutError):
                world.complain(f"no answer to {method} {re.sub('[0-9]+', 'N', path)}")
            return 0, None
        world.note(answer.status, begin, f"{method} {re.sub('[0-9]+', 'N', path)}")
        if answer.will_close:
            self.close()
        return answer.status, json.loads(text) if text and answer.status < 300 and text[:1] in b"[{" else None


def read(world, number):
    client = Client(world, number)
    while not world.over.wait(PAUSE):
        circle = f"/circles/soak-{client.random.randrange(CIRCLES)}"
        client.ask("GET", client.random.choice(["/circles", "/agents", "/providers", "/dashboard/stats", "/health/ready",
                                                circle, f"{circle}/tasks?limit=20", "/events"]))
    client.close()


def write(world, number):
    """The same task with the same key until there is an answer that is one."""
    client = Client(world, 1_000 + number)
    while not world.over.wait(PAUSE):
        title, key = f"task {uuid.uuid4()}", str(uuid.uuid4())
        path = f"/circles/soak-{client.random.randrange(CIRCLES)}/tasks"
        deadline = time.monotonic() + 120
        while True:
            status, _ = client.ask("POST", path, {"title": title, "description": "x" * 200}, key)
            if status == 201:
                with world.lock:
                    world.written.append(title)
                break
            if status not in (0, 503) or time.monotonic() > deadline:
                world.complain(f"a write ended with {status}")
                break
            time.sleep(0.2)
    client.close()


def log_in(world):
    """New tokens, of which one serves all for a while; the others are revoked."""
    client = Client(world, 2_000)
    renewed = 0.0
    while not world.over.wait(LOGIN_EVERY):
        status, body = client.ask("POST", "/auth/login/json", ACCOUNT)
        if status != 200:
            if status not in (0, 503):
                world.complain(f"a login ended with {status}")
            continue
        token = body["access_token"]
        if time.monotonic() - renewed > 60:
            world.token, renewed = token, time.monotonic()
            continue
        status, _ = client.ask("POST", "/auth/logout", token=token)
        if status == 200:
            status, _ = client.ask("GET", "/auth/me", token=token)
            if status not in (0, 401, 503):
                world.complain(f"a revoked token was answered {status}")
    client.close()


# --- streams -----------------------------------------------------------------------------------------------------

class StreamClient:
    """One stream.  It reads what comes, answers pings, and goes when its time is over."""

    def __init__(self, world, kind, daemon, chance):
        self.world, self.kind, self.daemon = world, kind, daemon
        self.ends = time.monotonic() + chance.uniform(*STREAM_LIVES)
        self.begin = time.monotonic()
        self.buffer, self.head, self.refused = b"", None, False
        self.socket = socket.create_connection(("127.0.0.1", self.daemon.port), timeout=PATIENCE)
        path, fields = "/events/stream", ""
        if kind == "websocket":
            path = "/ws"
            fields = ("Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
                      f"{base64.b64encode(os.urandom(16)).decode()}\r\n")
        fields += f"Host: x\r\nAuthorization: Bearer {world.token}\r\n"
        self.socket.sendall(f"GET {path} HTTP/1.1\r\n{fields}\r\n".encode())
        self.socket.setblocking(False)

    def read(self):
        """False when it is over."""
        try:
            data = self.socket.recv(1 << 16)
        except BlockingIOError:
            return True
        except OSError:
            data = b""
        if not data:
            if self.head is None and not self.world.is_away(self.begin) and self.daemon not in self.world.gone:
                self.world.complain(f"a {self.kind} was closed without an answer")
            return False
        self.buffer += data
        if self.head is None:
            if b"\r\n\r\n" not in self.buffer:
                return True
            self.head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
            status = int(self.head.split(b" ", 2)[1])
            self.world.note(status, self.begin, f"a {self.kind}")
            if status not in (101, 200):
                self.refused = True
                if status != 503:
                    self.world.complain(f"a {self.kind} was answered {status}")
                return False
        if self.kind == "sse":
            self.world.streams["events"] += self.buffer.count(b"\nevent: ")
            self.buffer = self.buffer[-7:] if not self.buffer.endswith(b"\n\n") else b""
            return True
        return self.take_frames()

    def take_frames(self):
        while len(self.buffer) >= 2:
            opcode, size, at = self.buffer[0] & 15, self.buffer[1] & 127, 2
            if size >= 126:
                more = 2 if size == 126 else 8
                if len(self.buffer) < at + more:
                    return True
                size, at = int.from_bytes(self.buffer[at:at + more], "big"), at + more
            if len(self.buffer) < at + size:
                return True
            payload, self.buffer = self.buffer[at:at + size], self.buffer[at + size:]
            self.world.streams["frames"] += 1
            if opcode == 8:
                return False
            if opcode == 9:  # the mask of zeros changes nothing
                self.send(bytes([0x8A, 0x80 | len(payload)]) + bytes(4) + payload)
        return True

    def send(self, data):
        with contextlib.suppress(OSError):
            self.socket.send(data)

    def close(self):
        if self.kind == "websocket" and self.head is not None:
            self.send(b"\x88\x82" + bytes(4) + b"\x03\xe8")
        self.socket.close()


def stream(world, counts):
    chance, waiting = random.Random(7), selectors.DefaultSelector()
    open_now = {kind: set() for kind in counts}

    refused = 0.0  # the last time

    def drop(client):
        waiting.unregister(client.socket)
        client.close()
        open_now[client.kind].discard(client)

    def emptiest(kind):
        here = collections.Counter(client.daemon for client in open_now[kind])
        return min((d for d in world.daemons if d not in world.gone), key=lambda daemon: here[daemon])

    while not world.over.is_set():
        for kind, count in counts.items():
            # A few at a time, so that they do not all come and go together; later, where one was refused.
            for _ in range(min(10, count - len(open_now[kind])) if time.monotonic() > refused + 1 else 0):
                try:
                    client = StreamClient(world, kind, emptiest(kind), chance)
                except OSError:
                    refused = time.monotonic()  # the daemon is about to go, or to come
                    break
                open_now[kind].add(client)
                world.streams[kind] += 1
                waiting.register(client.socket, selectors.EVENT_READ, client)
        for key, _ in waiting.select(timeout=0.1):
            if not key.data.read():
                drop(key.data)
                refused = time.monotonic() if key.data.refused else refused
        now = time.monotonic()
        for client in [c for clients in open_now.values() for c in clients if c.ends < now]:
            drop(client)
    for client in [c for clients in open_now.values() for c in clients]:
        drop(client)


# --- samples -----------------------------------------------------------------------------------------------------

def look(daemon, token):
    """What the process takes, and what waits in it.  None: it is gone, or does not answer."""
    place = f"/proc/{daemon.process.pid}"
    try:
        status = open(f"{place}/status").read()
        def number(name):
            return int(re.search(rf"{name}:\s+(\d+)", status)[1])

        taken = {"RSS KiB": number("VmRSS"), "anonymous KiB": number("RssAnon"), "threads": number("Threads"),
                 "descriptors": len(os.listdir(f"{place}/fd"))}
        connection = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=PATIENCE)
        connection.request("GET", "/metrics", headers={"Authorization": f"Bearer {token}"})
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        if answer.status != 200:
            return None
        for name in (*QUEUES, *CONNECTIONS):
            found = re.findall(rf"^{name}(?:\{{[^}}]*\}})? (\S+)$", text, re.MULTILINE)
            if not found:
                raise KeyError(f"/metrics has no {name}")
            taken[name] = sum(float(value) for value in found)
        taken["other descriptors"] = taken["descriptors"] - sum(taken[name] for name in CONNECTIONS)
        return taken
    except (OSError, TypeError, http.client.HTTPException):
        return None


def sample(world, samples):
    while not world.over.wait(1):
        for daemon in list(world.daemons):
            if daemon not in world.gone and (taken := look(daemon, world.token)):
                samples[daemon].append((time.monotonic(), taken))


def slope(points):
    """By the least squares, in 10 minutes."""
    xs, ys = zip(*points)
    middle = statistics.fmean(xs)
    spread = sum((x - middle) ** 2 for x in xs)
    return 600 * sum((x - middle) * y for x, y in points) / spread if spread else 0.0


def settled(points):
    """The median of each quarter of a minute: a login takes memory for a moment, and gives it back."""
    return [(points[at][0], statistics.median(v for _, v in points[at:at + 15])) for at in range(0, len(points), 15)]


class Verdicts:
    def __init__(self):
        self.failed = 0

    def say(self, holds, what):
        self.failed += 0 if holds else 1
        print(f"{'holds ' if holds else 'BROKEN'}  {what}")


def judge_process(name, taken, warm_up, verdicts):
    steady = [(at, values) for at, values in taken if at >= taken[0][0] + warm_up]
    if len(steady) < 20:
        print(f"{name:<10} too few samples behind its warm-up: {len(steady)}")
        return
    seconds = steady[-1][0] - steady[0][0]
    for what in ("RSS KiB", "anonymous KiB", "threads", "descriptors", "other descriptors"):
        points = [(at, values[what]) for at, values in steady]
        window = max(len(points) // 10, 5)
        first, last = (statistics.median(v for _, v in part) for part in (points[:window], points[-window:]))
        trend = slope(settled(points))
        print(f"{name:<10} {what:<18} {first:>10,.0f} {last:>10,.0f} {trend:>12,.1f}")
        if what == "RSS KiB" and seconds >= JUDGED:
            verdicts.say(trend < SLOPE_MAX, f"{name}: memory grows by less than {SLOPE_MAX} KiB in 10 minutes")
        if what == "threads":
            verdicts.say(last <= first, f"{name}: threads stay as many")
        if what == "other descriptors":
            verdicts.say(last <= first + DESCRIPTORS_MORE, f"{name}: descriptors stay as many, beside connections")


def judge(world, samples, names, rows, quiet, warm_up):
    verdicts = Verdicts()
    print(f"{'':<10} {'':<18} {'first':>10} {'last':>10} {'in 10 min':>12}")
    for daemon, taken in samples.items():
        judge_process(names[daemon], taken, warm_up, verdicts)
    for daemon, left in quiet.items():
        verdicts.say(not left, f"{names[daemon]}: queues are empty at the end {left or ''}")
    counted = collections.Counter(rows)
    lost = [title for title in world.written if counted[title] == 0]
    twice = [title for title, count in counted.items() if count > 1]
    verdicts.say(not lost and not twice, f"{len(world.written):,} writes are there once ({len(lost)} lost, "
                                         f"{len(twice)} twice)")
    verdicts.say(not world.complaints, "nothing was answered as it should not be")
    for what, count in world.complaints.most_common(20):
        print(f"        {count:>6} x {what}")
    answers = ", ".join(f"{count:,} x {status}" for status, count in sorted(world.answers.items()))
    print(f"answers: {answers}; streams opened: {world.streams['sse']:,} SSE with {world.streams['events']:,} events, "
          f"{world.streams['websocket']:,} WebSockets with {world.streams['frames']:,} frames")
    return verdicts.failed


def wait_for_quiet(daemon, token):
    """What still waits 30 s after the traffic."""
    deadline = time.monotonic() + 30
    while True:
        taken = look(daemon, token)
        left = {name: taken[name] for name, rest in QUEUES.items() if taken[name] > rest} if taken else {"answers": 0}
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.5)


# --- the run -----------------------------------------------------------------------------------------------------

class Soak:
    def __init__(self, options):
        self.options, self.world = options, World()
        self.samples, self.names = collections.defaultdict(list), {}
        self.root = tempfile.mkdtemp(prefix="soak-")
        os.chmod(self.root, 0o711)
        self.servers, self.environment = [], {}

    def start_daemon(self):
        number = len(self.names)
        directory = os.path.join(self.root, f"daemon-{number}")
        os.mkdir(directory)
        daemon = Daemon(self.options.build, directory, self.environment)
        self.names[daemon] = f"daemon {number + 1}"
        self.servers.append(daemon)
        daemon.wait(needs_password=False)
        self.world.daemons.append(daemon)
        return daemon

    def start(self):
        self.postgres, self.sql, url = start_postgres(self.root, self.servers)
        self.redis, redis_url = start_redis(self.root, self.servers)
        generous = "100000/second"
        self.environment = {
            "DATABASE_URL": url, "SECRET_KEY": uuid.uuid4().hex, "REDIS_URL": redis_url,
            "ADMIN_EMAIL": ACCOUNT["email"], "ADMIN_PASSWORD_HASH": PASSWORD_HASH,
            "GATHERING_CACHES_TOKENS_ENTRIES": "64",  # full within minutes: its filling is no growth
            "GATHERING_RATE_LIMITS_ENABLED": "true", "GATHERING_HTTP_LIMITS_CONNECTIONS_PER_ADDRESS_MAX": "2000",
            **{f"GATHERING_RATE_LIMITS_{tier}": generous for tier in ("AUTH", "WRITE", "READ", "HEALTH", "DEFAULT")}}
        subprocess.run([f"{self.options.build}/gathering", "migrate", "up"], check=True, stdout=subprocess.DEVNULL,
                       env={**os.environ, "DATABASE_URL": url})
        first = self.start_daemon()
        self.world.token = first.ask("/auth/login/json", ACCOUNT)["access_token"]
        for number in range(CIRCLES):
            first.ask("/circles", {"name": f"soak-{number}"}, self.world.token)
            first.ask(f"/circles/soak-{number}/start", {}, self.world.token)
        self.start_daemon()

    def restart_server(self, server, number):
        with self.world.absence():
            server.stop(number)
            self.world.over.wait(DOWN)
            server.start()

    def restart_daemon(self):
        old = self.world.daemons[-1]
        with self.world.absence():
            self.world.gone.add(old)
            old.process.send_signal(signal.SIGTERM)
            if (code := old.process.wait(60)) != 0:
                self.world.complain(f"a daemon ended with {code}")
            self.world.daemons.remove(old)
            self.start_daemon()

    def run(self):
        seconds = 60 * self.options.minutes
        counts = {"sse": self.options.sse, "websocket": self.options.websockets}
        jobs = [(read, number) for number in range(READERS)] + [(write, number) for number in range(WRITERS)]
        jobs += [(log_in,), (stream, counts), (sample, self.samples)]
        threads = [threading.Thread(target=self.guarded, args=job, daemon=True) for job in jobs]
        for thread in threads:
            thread.start()
        restarts = [("PostgreSQL", lambda: self.restart_server(self.postgres, signal.SIGINT)),
                    ("Redis", lambda: self.restart_server(self.redis, signal.SIGKILL)),
                    ("daemon 2", self.restart_daemon),
                    ("PostgreSQL, by a crash", lambda: self.restart_server(self.postgres, signal.SIGQUIT)),
                    ("Redis", lambda: self.restart_server(self.redis, signal.SIGTERM))]
        begin = time.monotonic()
        for place, (name, restart) in enumerate(restarts, 1):
            self.world.over.wait(max(0, begin + seconds * place / (len(restarts) + 1) - time.monotonic()))
            if self.world.over.is_set():
                break
            restart()
            print(f"{time.monotonic() - begin:6.0f} s  {name} was restarted; {len(self.world.written):,} writes so far",
                  flush=True)
        self.world.over.wait(max(0, begin + seconds - time.monotonic()))
        self.world.over.set()
        for thread in threads:
            thread.join(PATIENCE + 120)
        quiet = {daemon: wait_for_quiet(daemon, self.world.token) for daemon in self.world.daemons}
        rows = self.sql("SELECT title FROM tasks")
        return judge(self.world, self.samples, self.names, rows, quiet, min(WARM_UP, seconds / 6))

    def guarded(self, job, *arguments):
        try:
            job(self.world, *arguments)
        except Exception as error:  # a client that ends is a run without it
            self.world.complain(f"the client '{job.__name__}' ended: {error!r}")
            self.world.over.set()
            raise

    def write_samples(self):
        with open(os.path.join(self.root, "samples.jsonl"), "w") as out:
            for daemon, taken in self.samples.items():
                for at, values in taken:
                    print(json.dumps({"daemon": self.names[daemon], "at": round(at, 1), **values}), file=out)

    def stop(self):
        self.world.over.set()
        for server in reversed(self.servers):
            if isinstance(server, Server):
                server.stop(signal.SIGINT)
            elif server.process.poll() is None:
                server.process.terminate()
                end(server.process)
        if self.options.keep:
            self.write_samples()
            print(f"logs and samples are in {self.root}")
        else:
            shutil.rmtree(self.root, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build", help="where gathering is, such as build/release")
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--sse", type=int, default=100, help="Server-Sent Events open at a time")
    parser.add_argument("--websockets", type=int, default=200, help="WebSockets open at a time")
    parser.add_argument("--keep", action="store_true", help="keep the logs of all servers, and what was sampled")
    options = parser.parse_args()
    if not os.access(f"{options.build}/gathering", os.X_OK):
        print(f"soak.py: there is no {options.build}/gathering; build it first", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(2))
    soak = Soak(options)
    try:
        soak.start()
        return 1 if soak.run() else 0
    finally:
        soak.stop()


if __name__ == "__main__":
    sys.exit(main())
