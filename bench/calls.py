"""How many click-to-calls a second the whole product carries, and for how long.

Open loop: calls are asked for when they are due, whether or not earlier ones were answered. A rate
holds if nothing is refused, nothing lost, nothing told twice, and nothing comes late.
"""

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import orjson
import pika
from sqlalchemy import Engine, func, select

from bench.crm import Crm
from bench.stacks import cpu_seconds, product
from bench.table import Row, number, percentile, spread
from bench.waiting import BenchError, until
from deploy.local.stack import Stack
from shared.broker import topology
from shared.database.engine import open_engine
from shared.database.tables import CdrRow

LONGEST_LAG = 9.0  # seconds: 3 of talk, 1 of ringing, and 5 more
STEP = 10
_STEP_SECONDS = 15
_NUMBER = "13800138903"  # the simulated customer with this ending hangs up after 3 s
_EXTENSIONS = [str(extension) for extension in range(1200, 1250)]
_LEGS = 2
_THREADS_PER_RATE = 5  # a click may take so many seconds, and the next ones are still in time
_SETTLE_SECONDS = 60
_REPEATS_SECONDS = 1.0  # what is told twice is told twice soon
_LATEST_CLICK = 1.0


@dataclass(slots=True)
class Hold:
    """What became of the calls of one load."""

    rate: int
    seconds: int
    accepted: list[str] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    answer_ms: list[float] = field(default_factory=list)
    latest_click: float = 0.0  # how much later than due we asked, at worst
    lag: float | None = None  # seconds from the last click to the last call.ended
    sequences: dict[str, list[int]] = field(default_factory=dict)
    ended: Counter[str] = field(default_factory=Counter)
    cdrs: Mapping[str, int] = field(default_factory=dict)
    cpu: Mapping[str, float] = field(default_factory=dict)  # share of one core

    @property
    def problems(self) -> list[str]:
        """Say why the rate does not hold; nothing where it does."""
        told = {call: self.sequences.get(call, []) for call in self.accepted}
        counts = {
            "clicks refused": sum(self.refused.values()),
            "calls without their one call.ended": sum(
                self.ended[call] != 1 for call in self.accepted
            ),
            "calls with gaps, repeats or disorder in their events": sum(
                sequence != list(range(1, len(sequence) + 1)) for sequence in told.values()
            ),
            "calls without their two CDRs": sum(
                self.cdrs.get(call, 0) != _LEGS for call in self.accepted
            ),
        }
        found = [f"{count:,} {what}" for what, count in counts.items() if count]
        if self.refused:
            found.append(
                ", ".join(f"{count} x {why}" for why, count in self.refused.most_common(3))
            )
        if not self.accepted:
            found.append("no call at all")
        if self.lag is None or self.lag > LONGEST_LAG:
            lag = "never" if self.lag is None else f"{self.lag:.1f} s after the last click"
            found.append(f"the last call.ended came {lag}")
        if self.latest_click > _LATEST_CLICK:
            found.append(f"a click could only be sent {self.latest_click:.1f} s late")
        return found

    @property
    def holds(self) -> bool:
        """Whether the product carries this rate."""
        return not self.problems


def run(holds: int, seconds: int, goal: int) -> list[Row]:
    """Search the highest rate in short steps; hold it, and the goal, for the whole time."""
    print(f"calls: the highest rate in steps of {STEP} ({_STEP_SECONDS} s each), then {seconds} s")
    with product() as stack:
        highest = _search(stack, goal)
    highest, at_highest = _confirm(highest, holds, seconds)
    at_goal = at_highest if highest == goal else _held(goal, holds, seconds)
    if highest < goal and all(hold.holds for hold in at_goal):
        highest, at_highest = goal, at_goal
    return _rows(goal, seconds, at_goal, at_highest)


def _search(stack: Stack, goal: int) -> int:
    """Return the highest rate that holds for a short time, upwards from the goal if that does."""
    load = _Load(stack)
    step = STEP if load(goal, _STEP_SECONDS).holds else -STEP
    rate = goal
    while rate + step > 0:
        held = load(rate + step, _STEP_SECONDS).holds
        if step > 0 and not held:
            break
        rate += step
        if step < 0 and held:
            break
    return rate


def _confirm(rate: int, holds: int, seconds: int) -> tuple[int, list[Hold]]:
    """Return the highest rate, from this one downwards, that holds for the whole time."""
    while True:
        held = _held(rate, holds, seconds)
        if all(hold.holds for hold in held) or rate <= STEP:
            return rate, held
        rate -= STEP


def _held(rate: int, holds: int, seconds: int) -> list[Hold]:
    """Load the product as often as told, each time a new one: nothing is left of the last."""
    held = []
    for _ in range(holds):
        with product() as stack:
            held.append(_Load(stack)(rate, seconds))
    return held


class _Load:
    """Loads one stack, as often as it is called."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._settings = stack.settings
        crm = Crm(self._settings)
        for extension in _EXTENSIONS:
            crm.create_user(extension)
        crm.close()

    def __call__(self, rate: int, seconds: int) -> Hold:
        """Ask for so many calls a second, for so long; return what became of them."""
        hold = Hold(rate, seconds)
        engine = open_engine(self._settings["VOICE_DATABASE_URL"])
        try:
            with _subscriber(self._settings["VOICE_AMQP_URL"]) as heard:
                before = cpu_seconds(self._stack)
                began = time.monotonic()
                last_click = self._click(hold, began)
                took = time.monotonic() - began
                after = cpu_seconds(self._stack)
                hold.cpu = {name: (after[name] - before.get(name, 0)) / took for name in after}
                self._settle(hold, engine, heard)
            heard.judge(hold, last_click)
            hold.cdrs = _cdrs(engine)
        finally:
            engine.dispose()
        _tell(hold)
        return hold

    def _click(self, hold: Hold, began: float) -> float:
        """Click in as many threads as it takes; return when the last click was sent."""
        count = _THREADS_PER_RATE * hold.rate
        calls = hold.rate * hold.seconds
        results: list[list[tuple[float, float, str | None, str]]] = [[] for _ in range(count)]

        def click(lane: int) -> None:
            crm = Crm(self._settings)
            for rank in range(lane, calls, count):
                due = began + rank / hold.rate
                time.sleep(max(0.0, due - time.monotonic()))
                sent = time.monotonic()
                try:
                    answer = crm.click(_EXTENSIONS[rank % len(_EXTENSIONS)], _NUMBER)
                    call_id, said = answer.call_id, f"{answer.status} {answer.text[:80]}"
                except OSError as error:
                    call_id, said = None, repr(error)
                    crm.close()
                results[lane].append((sent, sent - due, call_id, said))
                took.append((time.monotonic() - sent) * 1000)

        took = hold.answer_ms
        threads = [threading.Thread(target=click, args=(lane,)) for lane in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        clicks = [click for lane in results for click in lane]
        for _, late, call_id, said in clicks:
            hold.latest_click = max(hold.latest_click, late)
            if call_id is None:
                hold.refused[said] += 1
            else:
                hold.accepted.append(call_id)
        return max(sent for sent, *_ in clicks)

    def _settle(self, hold: Hold, engine: Engine, heard: "_Heard") -> None:
        """Wait until all is told and stored; what is not in time is found missing afterwards."""
        wanted = set(hold.accepted)
        try:
            until(
                lambda: heard.ended >= len(wanted),
                "every call.ended",
                seconds=_SETTLE_SECONDS,
                pause=0.05,
            )
            until(
                lambda: (
                    sum(n for call, n in _cdrs(engine).items() if call in wanted)
                    >= _LEGS * len(wanted)
                ),
                "every CDR",
                seconds=_SETTLE_SECONDS,
                pause=0.5,
            )
        except BenchError as error:
            print(f"    {error}")
        time.sleep(_REPEATS_SECONDS)


class _Heard:
    """What a subscriber was delivered, and when."""

    def __init__(self) -> None:
        self.ended = 0
        self._deliveries: list[tuple[float, bytes]] = []

    def take(self, key: str, body: bytes) -> None:
        """Note a delivery; it is read when there is time."""
        self._deliveries.append((time.monotonic(), body))
        self.ended += key == "call.ended"

    def judge(self, hold: Hold, last_click: float) -> None:
        """Enter into the hold what was heard of its calls."""
        wanted = set(hold.accepted)
        sequences: dict[str, list[int]] = defaultdict(list)
        for at, body in self._deliveries:
            event: dict[str, Any] = orjson.loads(body)
            if (call_id := event["subject"]) not in wanted:
                continue
            sequences[call_id].append(int(event["sequence"]))
            if event["type"] == "call.ended":
                hold.ended[call_id] += 1
                hold.lag = at - last_click
        hold.sequences = dict(sequences)
        if len(hold.ended) < len(wanted):
            hold.lag = None


@contextmanager
def _subscriber(url: str) -> Iterator[_Heard]:
    """Hear every business event in a queue as a CRM would have it, durable and replicated."""
    heard = _Heard()
    connection = pika.BlockingConnection(pika.URLParameters(url))
    channel = connection.channel()
    queue = f"bench-{uuid4().hex}"
    channel.queue_declare(queue, durable=True, arguments={"x-queue-type": "quorum"})
    channel.queue_bind(queue, topology.EVENTS, "#")
    done = threading.Event()

    def listen() -> None:
        for method, _, body in channel.consume(queue, auto_ack=True, inactivity_timeout=0.2):
            if method is not None and body is not None:
                heard.take(method.routing_key or "", body)
            elif done.is_set():
                return

    thread = threading.Thread(target=listen, name="subscriber")
    thread.start()
    try:
        yield heard
    finally:
        done.set()
        thread.join(30)
        channel.queue_delete(queue)
        connection.close()


def _cdrs(engine: Engine) -> dict[str, int]:
    """Return how many CDRs each call has."""
    query = select(CdrRow.call_id, func.count()).group_by(CdrRow.call_id)
    with engine.connect() as connection:
        return {row[0]: row[1] for row in connection.execute(query)}


def _tell(hold: Hold) -> None:
    calls = hold.rate * hold.seconds
    lag = "-" if hold.lag is None else f"{hold.lag:.1f} s"
    p50, p99 = (number(percentile(hold.answer_ms, share)) for share in (0.5, 0.99))
    print(
        f"  {hold.rate}/s for {hold.seconds} s: {calls:,} clicks, {len(hold.accepted):,} accepted, "
        f"{sum(hold.ended.values()):,} call.ended, the last {lag} after the last click; "
        f"answers p50 {p50} ms, p99 {p99} ms: {'holds' if hold.holds else 'does not hold'}"
    )
    for problem in hold.problems:
        print(f"    {problem}")
    used = sorted(hold.cpu.items(), key=lambda item: -item[1])
    shares = ", ".join(f"{name} {share:.0%}" for name, share in used)
    print(f"    processor: {sum(hold.cpu.values()):.0%} of one core: {shares}")


def _rows(
    goal: int, seconds: int, at_goal: Sequence[Hold], at_highest: Sequence[Hold]
) -> list[Row]:
    rows = []
    for what, held in (
        (f"click-to-calls a second for {seconds} s, at the goal", at_goal),
        (f"the highest that held for {seconds} s, in steps of {STEP}", at_highest),
    ):
        held_all = all(hold.holds for hold in held)
        rate = held[0].rate
        calls = sum(len(hold.accepted) for hold in held)
        ended = sum(sum(hold.ended.values()) for hold in held)
        cdrs = sum(hold.cdrs.get(call, 0) for hold in held for call in hold.accepted)
        answers = [
            number(percentile([ms for hold in held for ms in hold.answer_ms], p))
            for p in (0.5, 0.99)
        ]
        lags = [hold.lag for hold in held if hold.lag is not None]
        rows.append(
            Row(
                what=what,
                measured=f"{rate}/s {'held' if held_all else 'did not hold'} "
                f"({len(held)} of {seconds} s): {calls:,} calls, {ended:,} `call.ended`, "
                f"{cdrs:,} CDRs",
                beside=f"last `call.ended` {spread(lags, ' s') if lags else 'never'} after the "
                f"last click, limit {LONGEST_LAG:g} s; "
                f"answers p50 {answers[0]} ms, p99 {answers[1]} ms; "
                f"{spread([sum(hold.cpu.values()) for hold in held])} cores used",
                compared=f"{number(rate / goal)} x the goal",
                goal=f"{goal}/s",
                met=held_all and rate >= goal,
            )
        )
    return rows
