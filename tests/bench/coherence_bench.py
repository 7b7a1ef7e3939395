#!/usr/bin/env python3
"""How soon one daemon says what was changed on another.

  tests/bench/coherence_bench.py build/release [CHANGES]

Two daemons on one private PostgreSQL.  An agent and a circle are changed on the first, CHANGES (500) times each,
and read from the second over one connection until it says so: the time from the change's answer.  Daemons,
database and client share the machine.
"""
import http.client
import json
import os
import statistics
import sys
import time

sys.path.insert(0, os.path.dirname(__file__))
from daemons import daemons  # noqa: E402

build = sys.argv[1]
changes = int(sys.argv[2]) if len(sys.argv) > 2 else 500


class Client:
    def __init__(self, daemon, token):
        self.connection = http.client.HTTPConnection("127.0.0.1", daemon.port)
        self.headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def ask(self, method, path, body=None):
        self.connection.request(method, path, None if body is None else json.dumps(body), self.headers)
        answer = self.connection.getresponse()
        text = answer.read()
        if answer.status >= 300:
            sys.exit(f"{method} {path}: {answer.status} {text.decode()}")
        return json.loads(text or "null")


def report(what, delays):
    delays = sorted(1_000 * delay for delay in delays)
    print(f"{what}: p50 {statistics.median(delays):.1f} ms, p99 {delays[len(delays) * 99 // 100]:.1f} ms, "
          f"at most {delays[-1]:.1f} ms")


with daemons(build, 2) as (running, token):
    here, there = (Client(daemon, token) for daemon in running)
    here.ask("POST", "/agents", {"persona": {"name": "Ada", "role": "Developer"}})
    here.ask("POST", "/circles", {"name": "crew"})
    here.ask("POST", "/circles/crew/start")
    agent, circle = [], []
    for i in range(1, changes + 1):
        here.ask("POST", f"/agents/1/session/set-task?task_id={i}&title=t{i}")
        begin = time.perf_counter()
        while there.ask("GET", "/agents/1")["current_task"] != f"t{i}":
            pass
        agent.append(time.perf_counter() - begin)
        here.ask("POST", "/circles/crew/tasks", {"title": f"t{i}"})
        begin = time.perf_counter()
        while there.ask("GET", "/circles/crew")["task_count"] != i:
            pass
        circle.append(time.perf_counter() - begin)
    report("an agent", agent)
    report("a circle", circle)
    caches = {cache["name"]: cache for cache in there.ask("GET", "/health/caches")["caches"]}
    for name in ("agents", "circles"):
        print(f"{name} on the second daemon: {caches[name]['hits']} from memory, {caches[name]['loads']} asked for")
