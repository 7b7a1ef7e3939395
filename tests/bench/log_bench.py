#!/usr/bin/env python3
"""How fast events go through the log to the streams of two daemons, and how long one takes.

  tests/bench/log_bench.py build/release [EVENTS]

Starts two daemons on one private PostgreSQL.  First EVENTS (50,000) are replayed into the log and counted on a
stream of each daemon; then circles are made on one daemon, one after the other, and heard on both: the time
from the answer to the event.  Daemons, database and client share the machine.
"""
import json
import os
import socket
import statistics
import subprocess
import sys
import threading
import time
import uuid

sys.path.insert(0, os.path.dirname(__file__))
from daemons import daemons  # noqa: E402

build = sys.argv[1]
events = int(sys.argv[2]) if len(sys.argv) > 2 else 50_000
ONE_BY_ONE = 500


class Ears(threading.Thread):
    """Notes when each event was heard."""

    def __init__(self, daemon, token, type_):
        super().__init__(daemon=True)
        self.client = socket.create_connection(("127.0.0.1", daemon.port))
        self.client.sendall(f"GET /events/stream?type={type_} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n"
                            .encode())
        self.client.recv(1 << 16)
        self.times = []
        self.news = threading.Condition()
        self.start()

    def run(self):
        tail = b""
        while data := self.client.recv(1 << 20):
            now = time.perf_counter()
            text = tail + data
            count = text.count(b"\nevent: ")
            tail = text[-7:]
            if count:
                with self.news:
                    self.times += [now] * count
                    self.news.notify_all()

    def wait_for(self, count):
        with self.news:
            if not self.news.wait_for(lambda: len(self.times) >= count, 120):
                sys.exit(f"{len(self.times)} of {count} were heard")


with daemons(build, 2, {"GATHERING_STREAMS_BUFFER_BYTES_MAX": str(1 << 26)}) as (running, token):
    one = running[0]
    ears = [Ears(daemon, token, "memory.*") for daemon in running]
    source = os.path.join(one.directory, "events.jsonl")
    with open(source, "w") as out:
        for i in range(events):
            out.write(json.dumps({"sequence": i + 1, "event_id": str(uuid.uuid4()), "type": "memory.created",
                                  "data": {"agent": i % 100, "text": "x" * 100}, "source_agent_id": i % 100,
                                  "circle_id": None, "project_id": None, "timestamp": "2026-01-01T00:00:00Z"}) + "\n")
    begin = time.perf_counter()
    replay = subprocess.run([f"{build}/gathering", "replay-events", "--input", source, "--data-dir",
                             one.directory, "--quiet"],
                            capture_output=True, text=True)
    if replay.returncode != 0:
        sys.exit(replay.stderr)
    committed = time.perf_counter() - begin
    for ear in ears:
        ear.wait_for(events)
    heard = max(ear.times[events - 1] for ear in ears) - begin
    print(f"{events:,} events committed in {committed:.2f} s, {events / committed:,.0f} a second; "
          f"heard on both daemons in {heard:.2f} s, {events / heard:,.0f} a second")

    ears = [Ears(daemon, token, "circle.created") for daemon in running]
    answered = []
    for i in range(ONE_BY_ONE):
        one.ask("/circles", {"name": f"c{i}"}, token)
        answered.append(time.perf_counter())
        for ear in ears:
            ear.wait_for(i + 1)
    for name, ear in zip(("the same daemon", "the other daemon"), ears):
        delays = sorted((heard - done) * 1_000 for heard, done in zip(ear.times, answered))
        print(f"from the answer to the event on {name}: p50 {statistics.median(delays):.1f} ms, "
              f"p99 {delays[len(delays) * 99 // 100]:.1f} ms")
