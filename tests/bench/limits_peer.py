#!/usr/bin/env python3
"""Decisions of python `limits` in memory, to be read beside limits_bench.

Install it with `apt-get install python3-limits` or `pip install limits`; without it nothing is measured.
"""
import sys
import threading
import time

try:
    import limits
    import limits.strategies
except ImportError:
    print("limits_peer.py: python `limits` is not installed: apt-get install python3-limits")
    sys.exit(0)

KEYS = 1_000
SECONDS = 2.0


def decisions(strategy, item, subjects, until, counts, place):
    count = 0
    while time.perf_counter() < until:
        for subject in subjects:
            strategy.hit(item, subject)
        count += len(subjects)
    counts[place] = count


def measure(name, kind, threads):
    strategy = kind(limits.storage.MemoryStorage())
    item = limits.parse("120/minute")
    subjects = [f"user:{i}" for i in range(KEYS)]
    counts = [0] * threads
    begin = time.perf_counter()
    workers = [
        threading.Thread(target=decisions, args=(strategy, item, subjects, begin + SECONDS, counts, place))
        for place in range(threads)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    passed = time.perf_counter() - begin
    print(f"{name:24} threads {threads}  {passed / sum(counts) * 1e9:10.0f} ns a decision")


print(f"python limits {limits.__version__}, {KEYS} keys")
for name, kind in (
    ("fixed window", limits.strategies.FixedWindowRateLimiter),
    ("moving window", limits.strategies.MovingWindowRateLimiter),
):
    for threads in (1, 2):
        measure(name, kind, threads)
