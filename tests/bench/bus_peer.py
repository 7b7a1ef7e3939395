#!/usr/bin/env python3
"""An event bus on asyncio with the same promises, as one would write it, to be read beside bus_bench.

Synchronous: publish awaits all handlers, at most 100 at a time.  Batched: up to 100 events or 50 ms are
collected and handed over in one call.  Duplicates are looked for by (type, source, circle, words) within a
second.  The last 1,000 events are kept.
"""
import asyncio
import collections
import dataclasses
import time
import uuid

EVENTS = 100_000


@dataclasses.dataclass
class Event:
    type: str
    data: dict
    source_agent_id: int | None = None
    circle_id: int | None = None
    id: str = dataclasses.field(default_factory=lambda: str(uuid.uuid4()))
    time: float = dataclasses.field(default_factory=time.time)


class Bus:
    def __init__(self, window=0.05, batch=100, concurrency=100, dedup=1.0, history=1_000):
        self.handlers = collections.defaultdict(list)
        self.window, self.batch, self.dedup = window, batch, dedup
        self.limit = asyncio.Semaphore(concurrency)
        self.history = collections.deque(maxlen=history)
        self.seen = collections.OrderedDict()
        self.pending = []
        self.timer = None

    def subscribe(self, event_type, handler):
        self.handlers[event_type].append(handler)

    def duplicate(self, event, words):
        now = time.monotonic()
        while self.seen and next(iter(self.seen.values())) <= now - self.dedup:
            self.seen.popitem(last=False)
        key = (event.type, event.source_agent_id, event.circle_id, words)
        if key in self.seen:
            return True
        self.seen[key] = now
        return False

    async def call(self, handler, events):
        async with self.limit:
            try:
                await handler(events)
            except Exception as error:  # a handler's failure is its own
                print("handler failed:", error)

    async def publish(self, event, words=None, batched=False):
        if words is not None and self.duplicate(event, words):
            return
        self.history.append(event)
        if batched:
            self.pending.append(event)
            if len(self.pending) >= self.batch:
                await self.flush()
            elif self.timer is None:
                self.timer = asyncio.get_running_loop().call_later(
                    self.window, lambda: asyncio.ensure_future(self.flush()))
            return
        handlers = self.handlers[event.type]
        if len(handlers) == 1:
            await self.call(handlers[0], [event])
        else:
            await asyncio.gather(*(self.call(handler, [event]) for handler in handlers))

    async def flush(self):
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        events, self.pending = self.pending, []
        by_type = collections.defaultdict(list)
        for event in events:
            by_type[event.type].append(event)
        await asyncio.gather(*(self.call(handler, group)
                               for kind, group in by_type.items() for handler in self.handlers[kind]))


async def measure(name, subscribers, **how):
    handled = 0

    async def count(events):
        nonlocal handled
        handled += len(events)

    bus = Bus()
    for _ in range(subscribers):
        bus.subscribe("task.created", count)
    words = how.pop("words", False)
    begin = time.perf_counter()
    for i in range(EVENTS):
        event = Event("task.created", {"task_id": 7, "title": "a title of some length"}, circle_id=1)
        await bus.publish(event, words=f"task={i}" if words else None, **how)
    await bus.flush()
    passed = time.perf_counter() - begin
    assert handled == EVENTS * subscribers
    print(f"{name:32} {passed / EVENTS * 1e9:8.0f} ns an event  {EVENTS / passed:10,.0f}/s")


async def main():
    await measure("synchronous, 1 subscriber", 1)
    await measure("synchronous, 10 subscribers", 10)
    await measure("batched", 1, batched=True)
    await measure("synchronous, deduplicated", 1, words=True)
    await measure("batched, deduplicated", 1, batched=True, words=True)


asyncio.run(main())
