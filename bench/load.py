"""How late business events are, and what a million events and 10,000 open calls cost."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import median

import orjson
import pika
import psutil

from bench.replay import Plan, Replay
from bench.stacks import directory
from bench.stream import SCENARIOS, stream
from bench.table import Row, number, percentile, spread
from bench.telling import Held, environment, held, named, rabbit, started
from bench.waiting import BenchError, until
from services.events.life import SUBSCRIPTION, SwitchLife
from shared.broker import topology
from shared.switch.address import SwitchAddress
from shared.switch.frames import FrameReader
from shared.switch.handshake import connect

RATE = 300.0
RATE_CALLS = 1200  # a minute of them
GOALS_MS = {0.5: 5.0, 0.99: 25.0}
FEW, MANY = 10, 10_000
COST_CALLS = 18_000
GOAL_COST = 1.25
MEMORY_CALLS = 96_000
GOAL_MEMORY = 1.1
_PIECE = 100_000
_FULL_AFTER = 7  # pieces, by when all that is remembered of ended calls is full
_SECONDS = 300
_MB = 1 << 20
_PRODUCT = [sys.executable, "-m", "services.events"]


def run(rounds: int) -> list[Row]:
    """Measure, telling each step as it is done."""
    with directory() as made, rabbit(made) as url:
        return [*_delay(url, made, rounds), *_cost(url, made, rounds), _memory(url, made)]


# -- how late ------------------------------------------------------------------------------------


def _delay(url: str, made: Path, rounds: int) -> list[Row]:
    print(f"load: {rounds} rounds of {RATE_CALLS:,} calls, {RATE:g} events/s, beside a bare reader")
    added: list[list[float]] = []
    for rank in range(rounds):
        added.append(_delays(url, made))
        said = ", ".join(f"p{s * 100:g} {number(percentile(added[-1], s))} ms" for s in GOALS_MS)
        print(f"  round {rank + 1}: {len(added[-1]):,} business events, added: {said}")
    rows = []
    for share, goal in GOALS_MS.items():
        figures = [percentile(one, share) for one in added]
        rows.append(
            Row(
                what=f"a business event at {RATE:g} switch events/s, p{share * 100:g}",
                measured=f"{spread(figures, ' ms')} after the switch's event",
                beside="a bare reader of the same event, in the same moment",
                compared=f"{spread(figures, ' ms')} added",
                goal=f"at most {goal:g} ms added",
                met=median(figures) <= goal,
            )
        )
    return rows


def _delays(url: str, made: Path) -> list[float]:
    """Return by how many milliseconds each business event came later than its cause."""
    with Replay(Plan(RATE_CALLS, readers=2, rate=RATE)) as replay:
        address = named(replay.address())
        causes = _causes(address.name)
        read = _Reader(address)
        received = _Subscriber(url, causes)
        settings = environment(address, url, made / "state", RATE_CALLS)
        with held(url) as kept, started("the product", _PRODUCT, settings, made / "product.log"):
            kept.wait_for_switch()
            read.start()
            received.start()
            replay.wait_subscribed()
            replay.go()
            replay.wait_sent(_SECONDS)
            until(lambda: received.is_done, "the last business event", seconds=30, pause=0.1)
    read.join()
    received.join()
    return [(at - read.at[causes[event]]) * 1000 for event, at in received.at.items()]


def _causes(switch: str) -> dict[str, int]:
    """Return by which of the stream's events each business event is caused."""
    life = SwitchLife(switch)
    causes: dict[str, int] = {}
    for rank, heard in enumerate(stream(SUBSCRIPTION, RATE_CALLS)):
        causes |= {event.id: rank for event in life.observe(orjson.loads(heard))}
    return causes


class _Reader(threading.Thread):
    """Reads the stream, and notes when each event was there."""

    def __init__(self, address: SwitchAddress) -> None:
        super().__init__(daemon=True)
        self._address = address
        self.at: list[float] = []

    def run(self) -> None:
        """Read until the stream's link ends."""
        frames = FrameReader()
        with connect(self._address, timeout=5) as link, suppress(ConnectionError):
            link.settimeout(None)
            link.sendall(f"event json {' '.join(SUBSCRIPTION)}\n\n".encode())
            while data := link.recv(1 << 16):
                for frame in frames.feed(data):
                    if frame.kind == "text/event-json":
                        self.at.append(time.monotonic())


class _Subscriber(threading.Thread):
    """Receives business events, and notes when each was there."""

    def __init__(self, url: str, wanted: dict[str, int]) -> None:
        super().__init__(daemon=True)
        self._wanted = wanted
        self._connection = pika.BlockingConnection(pika.URLParameters(url))
        self._channel = self._connection.channel()
        self._queue = str(self._channel.queue_declare("", exclusive=True).method.queue)
        self._channel.queue_bind(self._queue, topology.EVENTS, "#")
        self.at: dict[str, float] = {}

    @property
    def is_done(self) -> bool:
        """Whether every business event was received."""
        return len(self.at) == len(self._wanted)

    def run(self) -> None:
        """Receive until all are there."""
        for _, properties, _ in self._channel.consume(self._queue, auto_ack=True):
            if properties is not None and properties.message_id in self._wanted:
                self.at.setdefault(properties.message_id, time.monotonic())
            if self.is_done:
                break
        self._connection.close()


# -- what it costs -------------------------------------------------------------------------------


def _cost(url: str, made: Path, rounds: int) -> list[Row]:
    print(f"load: {rounds} rounds of {COST_CALLS:,} calls, {FEW} and {MANY:,} at a time")
    costs: dict[int, list[float]] = {FEW: [], MANY: []}
    for rank in range(rounds):
        for lanes in (FEW, MANY)[:: -1 if rank % 2 else 1]:
            costs[lanes].append(_cost_of(url, made, lanes))
            cost = number(costs[lanes][-1])
            print(f"  round {rank + 1}: {lanes:,} calls at a time: {cost} us of processor an event")
    ratios = [many / few for many, few in zip(costs[MANY], costs[FEW], strict=True)]
    return [
        Row(
            what=f"processor time for a switch event with {MANY:,} calls open",
            measured=spread(costs[MANY], " us"),
            beside=f"with {FEW} calls open: {spread(costs[FEW], ' us')}",
            compared=f"{spread(ratios)} x",
            goal=f"at most {GOAL_COST:g} x",
            met=median(ratios) <= GOAL_COST,
        )
    ]


def _cost_of(url: str, made: Path, lanes: int) -> float:
    """Return the microseconds of the product's processor time for each event."""
    plan = Plan(COST_CALLS, lanes=lanes, lazily=True)
    with _running(url, made, plan) as run:
        run.send(_events_of(MANY) // 2)  # the calls begin, and it is warm
        before = run.processor_seconds()
        run.send(_PIECE)
        return (run.processor_seconds() - before) / _PIECE * 1e6


def _memory(url: str, made: Path) -> Row:
    pieces = _events_of(MEMORY_CALLS) // _PIECE
    print(f"load: {pieces * _PIECE:,} events, {MANY:,} calls at a time")
    sizes = []
    with _running(url, made, Plan(MEMORY_CALLS, lanes=MANY, lazily=True)) as run:
        for rank in range(pieces):
            run.send(_PIECE)
            sizes.append(run.memory())
            print(f"  {(rank + 1) * _PIECE:,} events: {number(sizes[-1])} MB")
        run.finish(MEMORY_CALLS)
    first, last = sizes[_FULL_AFTER - 1], sizes[-1]
    return Row(
        what=f"memory after {pieces * _PIECE:,} events, {MANY:,} calls open",
        measured=f"{number(last)} MB",
        beside=f"after {_FULL_AFTER * _PIECE:,} events: {number(first)} MB",
        compared=f"{number(last / first)} x",
        goal=f"at most {GOAL_MEMORY:g} x",
        met=last / first <= GOAL_MEMORY,
    )


class _Run:
    """The product, hearing a stream in pieces."""

    def __init__(self, replay: Replay, kept: Held, process: psutil.Process) -> None:
        self._replay = replay
        self._held = kept
        self._process = process
        self._told = 0

    def send(self, events: int | None = None) -> None:
        """Have so many events sent, or all that are left, and nearly all of them heard."""
        self._replay.go(events)
        self._replay.wait_sent(_SECONDS)
        self._told += self._held.purge()

    def processor_seconds(self) -> float:
        """Return how much processor time the product has used so far."""
        times = self._process.cpu_times()
        return times.user + times.system

    def memory(self) -> float:
        """Return the product's resident memory, in MB."""
        return self._process.memory_info().rss / _MB

    def finish(self, calls: int) -> None:
        """Send what is left, and make sure that every call was told whole."""
        self.send()
        expected = _told_of(calls)
        until(
            lambda: self._told + self._held.queued >= expected,
            f"{expected:,} business events",
            seconds=_SECONDS,
            pause=0.5,
        )
        told = self._told + self._held.queued
        if told != expected:
            raise BenchError(f"{told:,} business events for {expected:,}")


@contextmanager
def _running(url: str, made: Path, plan: Plan) -> Iterator[_Run]:
    with Replay(plan) as replay, held(url) as kept:
        address = named(replay.address())
        settings = environment(address, url, made / "state", plan.calls)
        with started("the product", _PRODUCT, settings, made / "product.log") as product:
            replay.wait_subscribed()
            kept.wait_for_switch()
            yield _Run(replay, kept, psutil.Process(product.pid))


def _events_of(calls: int) -> int:
    """Return how many events of the switch so many calls have."""
    return len(stream(SUBSCRIPTION, len(SCENARIOS))) * calls // len(SCENARIOS)


def _told_of(calls: int) -> int:
    """Return how many business events they mean: the phones of the first ones are new."""
    few, more = (
        sum(len(life.observe(orjson.loads(heard))) for heard in stream(SUBSCRIPTION, count))
        for life, count in ((SwitchLife("fs1"), rounds * len(SCENARIOS)) for rounds in (1, 2))
    )
    return few + (more - few) * (calls // len(SCENARIOS) - 1)
