#!/usr/bin/env python3
"""What open streams cost: memory for each, liveness beside them, and how fast an event reaches all.

  tests/bench/streams_bench.py build/release [STREAMS]

Starts a daemon of its own on a private PostgreSQL, opens STREAMS (1,000) Server-Sent Events and as many
WebSockets, and needs load_client (-DGATHERING_BENCH=ON) for liveness.  Daemon, database and clients share the
machine.
"""
import json
import os
import resource
import selectors
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(__file__))
from daemons import daemons  # noqa: E402

build = sys.argv[1]
streams = int(sys.argv[2]) if len(sys.argv) > 2 else 1_000
EVENTS = 50
MARK = b'"type":"circle.created"'  # once in what either kind of stream sends
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)


def liveness(seconds=4):
    out = subprocess.run([f"{build}/tests/load_client", "--address", address, "--connections", "16", "--seconds",
                          str(seconds), "--path", "/health/live", "--json"], capture_output=True, text=True, check=True)
    return json.loads(out.stdout)


def open_stream(head):
    client = socket.create_connection(("127.0.0.1", daemon.port))
    client.sendall(head.encode())
    return client


limits = {"GATHERING_STREAMS_HEARTBEAT": "1h", "GATHERING_HTTP_LIMITS_CONNECTIONS_PER_ADDRESS_MAX": "10000",
          "GATHERING_HTTP_LIMITS_CONNECTIONS_MAX": "10000"}
with daemons(build, 1, limits) as ((daemon,), token):
    address, resident, ask = daemon.address, daemon.resident, daemon.ask
    before = resident()
    alone = liveness()
    after_load = resident()
    sse = [open_stream(f"GET /events/stream HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n")
           for _ in range(streams)]
    while ask("/health/events", token=token)["streams"]["open"] < streams:
        pass
    with_sse = resident()
    sockets = [open_stream("GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                           "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                           f"Authorization: Bearer {token}\r\n\r\n") for _ in range(streams)]
    while ask("/health/events", token=token)["streams"]["open"] < 2 * streams:
        pass
    with_both = resident()
    beside = liveness()

    waiting = selectors.DefaultSelector()
    for client in sse + sockets:
        client.setblocking(False)
        waiting.register(client, selectors.EVENT_READ)
    begin = time.perf_counter()
    for i in range(EVENTS):
        ask("/circles", {"name": f"c{i}"}, token)
    left = EVENTS * 2 * streams
    tails = {}
    while left > 0:
        ready = waiting.select(timeout=30)
        if not ready:
            sys.exit(f"{left} of {EVENTS * 2 * streams} did not arrive")
        for key, _ in ready:
            # What was cut by the last read is looked for again.
            text = tails.get(key.fd, b"") + key.fileobj.recv(1 << 20)
            left -= text.count(MARK)
            tails[key.fd] = text[1 - len(MARK):]
    passed = time.perf_counter() - begin

    print(f"Server-Sent Events  {(with_sse - after_load) / streams:6.1f} KiB each")
    print(f"WebSockets          {(with_both - with_sse) / streams:6.1f} KiB each")
    print(f"all that was taken since the start, load and events included: {(resident() - before) / (2 * streams):.1f} "
          "KiB for each stream")
    print(f"liveness alone      {json.dumps(alone)}")
    print(f"liveness beside     {json.dumps(beside)}")
    print(f"{EVENTS} events to {2 * streams} streams in {passed:.2f} s: {EVENTS * 2 * streams / passed:,.0f} a second")
