"""Records on their way into the database: sent on, and waited for until they are stored."""

import threading
import time
from collections import OrderedDict
from collections.abc import Sequence

from sqlalchemy import Engine

from services.cdr.intake import LEG
from services.cdr.spilled import Key, Record, first_of_each
from services.cdr.stored import stored_of
from shared.broker import topology
from shared.broker.connection import Broker
from shared.broker.message import BrokerAway, Message, Unroutable, Unsendable
from shared.dependency import DependencyAway

_CONFIRM_SECONDS = 10.0
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0
_AGAIN_SECONDS = 3600.0
_MOST_REMEMBERED = 100_000


class Halted(Exception):
    """Nothing can be stored now, and going on would only fill the queue; the text says why."""


class Sending:
    """Has records stored, as the intake does, and sees that they are.

    What was sent and not stored is sent again after an hour at the earliest: it may wait in the
    queue, or be with the dead letters because it cannot be stored at all.
    """

    def __init__(
        self, broker: Broker, engine: Engine, *, wait_seconds: float, stopping: threading.Event
    ) -> None:
        self._broker = broker
        self._engine = engine
        self._wait_seconds = wait_seconds
        self._stopping = stopping
        self._sent: OrderedDict[Key, float] = OrderedDict()

    def known(self, records: Sequence[Record]) -> set[Key]:
        """Return the keys of those that are stored; raise `Halted` where that cannot be known."""
        try:
            found = stored_of(self._engine, [record.key for record in records])
        except DependencyAway as error:
            raise Halted(str(error)) from error
        for key in found:
            self._sent.pop(key, None)
        return found

    def store(self, records: Sequence[Record]) -> set[Key]:
        """Return the keys of what is stored now, of records that were not.

        Raise `Halted` where broker or database are away, or where nothing at all was stored in the
        time that it may take.
        """
        fresh = [each for each in first_of_each(records) if self._is_due(each.key)]
        return self._wait(self._publish(fresh))

    def _is_due(self, key: Key) -> bool:
        return time.monotonic() - self._sent.get(key, -_AGAIN_SECONDS) >= _AGAIN_SECONDS

    def _publish(self, records: Sequence[Record]) -> set[Key]:
        if records:
            self._wait_for_broker()
        under_way = [(record.key, self._broker.publish(_message(record))) for record in records]
        taken: set[Key] = set()
        deadline = time.monotonic() + _CONFIRM_SECONDS
        try:
            for key, confirmed in under_way:
                try:
                    confirmed.result(max(0.0, deadline - time.monotonic()))
                except Unsendable:
                    continue  # it stays, as what is not stored
                taken.add(key)
                self._remember(key)
        except (TimeoutError, BrokerAway, Unroutable) as error:
            for _, confirmed in under_way:
                confirmed.cancel()
            raise Halted("the broker does not take records") from error
        return taken

    def _wait_for_broker(self) -> None:
        deadline = time.monotonic() + self._wait_seconds
        while not self._broker.wait_connected(_LONGEST_PAUSE):
            if self._stopping.is_set() or time.monotonic() >= deadline:
                raise Halted("the broker is away")

    def _remember(self, key: Key) -> None:
        self._sent[key] = time.monotonic()
        if len(self._sent) > _MOST_REMEMBERED:
            self._sent.popitem(last=False)

    def _wait(self, waiting: set[Key]) -> set[Key]:
        """Return what is stored of it; as long as something is, the rest is waited for."""
        left, pause = set(waiting), _SHORTEST_PAUSE
        deadline = time.monotonic() + self._wait_seconds
        away: DependencyAway | None = None
        while left and time.monotonic() < deadline and not self._stopping.wait(pause):
            try:
                new = stored_of(self._engine, left)
                away = None
            except DependencyAway as error:
                new, away = set(), error
            left -= new
            pause = _SHORTEST_PAUSE if new else min(2 * pause, _LONGEST_PAUSE)
            if new:
                deadline = time.monotonic() + self._wait_seconds
        stored = waiting - left
        for key in stored:
            self._sent.pop(key, None)
        if waiting and not stored:
            raise Halted(
                "told to stop"
                if self._stopping.is_set()
                else str(away)
                if away
                else f"nothing was stored in {self._wait_seconds:g} s; does the cdr service run?"
            )
        return stored


def _message(record: Record) -> Message:
    return Message(
        exchange=topology.CDR,
        routing_key="",
        body=record.body,
        type="cdr.raw",
        headers={LEG: record.leg_id},
    )
