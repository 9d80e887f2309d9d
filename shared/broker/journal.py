"""The journal, read from any place in it by anybody, as often as they like."""

import queue
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from shared.broker import topology
from shared.broker.connection import Broker
from shared.broker.message import BrokerAway, Delivery

_PREFETCH = 200  # what a reader that does not come holds in memory
_FIRST_SECONDS = 3.0
_CHUNK_SECONDS = 0.2


class BeyondEnd(Exception):
    """The journal ends before the place that was named; a broker that lost its disk began anew."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A message of the journal, and its place in it."""

    offset: int
    type: str
    subject: str | None
    body: bytes


class Reader:
    """What stands in the journal from some place on, and what comes.

    `forgotten` tells that the journal does not go back as far as was asked.
    """

    def __init__(self) -> None:
        self._arrived: queue.SimpleQueue[Delivery | str | None] = queue.SimpleQueue()
        self._peeked: Entry | None = None
        self.forgotten = False

    def get(self, timeout: float) -> Entry | None:
        """Return the next message, or None if none comes in time; raise `BrokerAway`."""
        if self._peeked is not None:
            entry, self._peeked = self._peeked, None
            return entry
        deadline = time.monotonic() + timeout
        while True:
            try:
                arrived = self._arrived.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                return None
            if isinstance(arrived, str):
                raise BrokerAway(f"the journal cannot be read: {arrived}")
            if arrived is not None:
                arrived.ack()
                return _entry(arrived)

    def _begin(self) -> None:
        try:
            arrived = self._arrived.get(timeout=_FIRST_SECONDS)
        except queue.Empty:
            raise BrokerAway("the journal does not answer in time") from None
        if arrived is not None:
            raise BrokerAway(f"the journal cannot be read: {arrived}")


class Journal:
    """Opens readers on the broker's connection, each on a channel of its own."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    @contextmanager
    def read(self, after: int | None = None) -> Iterator[Reader]:
        """Give what stands behind a place, or all there is; then what comes.

        Raise `BeyondEnd`, or `BrokerAway`.
        """
        # What stands at the place itself tells that the place is there.
        with self._open("first" if after is None else after) as reader:
            if after is not None:
                first = reader.get(_FIRST_SECONDS)
                if first is None:
                    self._refuse_beyond(after)
                elif first.offset > after:
                    reader.forgotten = True
                    reader._peeked = first
            yield reader

    @contextmanager
    def listen(self) -> Iterator[Reader]:
        """Give what comes from now on; raise `BrokerAway`."""
        with self._open("next") as reader:
            yield reader

    def _refuse_beyond(self, after: int) -> None:
        last = -1
        with self._open("last") as reader:
            wait = _FIRST_SECONDS
            while (entry := reader.get(wait)) is not None:
                last, wait = entry.offset, _CHUNK_SECONDS
        if last < after:
            raise BeyondEnd(f"the journal ends at {last}")
        raise BrokerAway("the journal does not answer in time")

    @contextmanager
    def _open(self, offset: int | str) -> Iterator[Reader]:
        reader = Reader()
        arrived = reader._arrived
        reading = self._broker.read(
            topology.JOURNAL,
            offset,
            prefetch=_PREFETCH,
            on_begin=lambda: arrived.put(None),
            on_delivery=arrived.put,
            on_end=arrived.put,
        )
        try:
            reader._begin()
            yield reader
        finally:
            reading.pause()


def _entry(delivery: Delivery) -> Entry:
    offset: Any = delivery.headers["x-stream-offset"]
    return Entry(
        int(offset), delivery.type or delivery.routing_key, delivery.correlation_id, delivery.body
    )
