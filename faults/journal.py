"""The journal of business events, read as any subscriber may: from its beginning, and live."""

import contextlib
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import orjson
import pika
from pika.exceptions import AMQPError

from bench.waiting import BenchError
from faults.check import ended
from shared.broker import topology
from shared.broker.dead_letters import REASON
from tests.shared.broker.amqp import channel_to

_PREFETCH = 1000
_POLL_SECONDS = 0.2
_RETRY_SECONDS = 0.1
_WITHDRAWN = "expired"

Stored = tuple[int, bytes]  # its offset, and the event


def read_all(url: str, last: int) -> list[dict[str, Any]]:
    """Return all events from the first one to the one at the offset `last`."""
    found: dict[int, bytes] = {}
    while last >= 0 and last not in found:
        for offset, body in _consume(url, "first"):
            found[offset] = body
            if offset >= last:
                break
    if len(found) != last + 1:
        raise BenchError(f"{last + 1 - len(found)} of {last + 1} events could not be read")
    return [orjson.loads(found[offset]) for offset in sorted(found)]


class Watcher:
    """Reads along, through every outage of the broker, and notes when what arrived."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.last = -1  # the offset of the last event
        self.ended: set[str] = set()
        self._arrivals: list[float] = [time.monotonic()]  # of what is told of calls
        self._last_arrival = self._arrivals[0]
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="journal")

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def stop(self) -> None:
        """Read no more."""
        self._stopping.set()
        self._thread.join(10)

    @property
    def quiet_for(self) -> float:
        """How many seconds ago the last event arrived."""
        return time.monotonic() - self._last_arrival

    def heard_since(self, moment: float) -> bool:
        """Tell whether an event of a call arrived after a moment of the monotonic clock."""
        return self._arrivals[-1] > moment

    def longest_silence(self, since: float, until: float) -> float:
        """Return for how many seconds, at the longest, no event of a call arrived in a span.

        That records were stored is told by another service, and says nothing of who tells of calls.
        """
        moments = [since, *(at for at in self._arrivals if since < at < until), until]
        return max(later - earlier for earlier, later in pairwise(moments))

    def _run(self) -> None:
        while not self._stopping.is_set():
            with contextlib.suppress(AMQPError, OSError):
                for offset, body in _consume(self._url, self.last + 1, self._stopping):
                    self._take(offset, body)
            self._stopping.wait(_RETRY_SECONDS)

    def _take(self, offset: int, body: bytes) -> None:
        if offset <= self.last:
            return  # A stream is delivered from the beginning of the chunk that holds the offset.
        self.last = offset
        self._last_arrival = time.monotonic()
        event = orjson.loads(body)
        if "sequence" in event:
            self._arrivals.append(self._last_arrival)
        self.ended |= ended([event])


def waiting(url: str) -> int:
    """Return how many messages somebody has still to take; where nobody takes any, none wait."""
    with channel_to(url) as channel:
        work = [
            channel.queue_declare(queue, passive=True).method
            for queue in topology.QUEUES
            if queue != topology.DEAD
        ]
        return sum(queue.message_count for queue in work if queue.consumer_count)


def dead_letters(url: str) -> list[str]:
    """Return what is among the dead letters, and why.

    A command that was withdrawn is none: who waited for it was told so, and RabbitMQ puts it there
    when its time is over.
    """
    found: list[str] = []
    with channel_to(url) as channel:
        while True:
            method, properties, body = channel.basic_get(topology.DEAD)
            if method is None or properties is None:
                return found
            headers = properties.headers or {}
            why = str(headers.get(REASON) or headers.get("x-first-death-reason"))
            if why != _WITHDRAWN:
                found.append(f"{method.routing_key} {properties.message_id}: {why} {body!r:.200}")


def _consume(
    url: str, offset: int | str, stopping: threading.Event | None = None
) -> Iterator[Stored]:
    connection = pika.BlockingConnection(pika.URLParameters(url))
    try:
        channel = connection.channel()
        channel.basic_qos(prefetch_count=_PREFETCH)
        for method, properties, body in channel.consume(
            topology.JOURNAL,
            arguments={"x-stream-offset": offset},
            inactivity_timeout=_POLL_SECONDS,
        ):
            if stopping is not None and stopping.is_set():
                return
            if method is None or properties is None or body is None:
                continue
            yield int(str((properties.headers or {})["x-stream-offset"])), body
            channel.basic_ack(method.delivery_tag or 0)
    finally:
        with contextlib.suppress(AMQPError):
            connection.close()
