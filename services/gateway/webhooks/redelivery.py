"""Once more: events go back into a subscription's queue, and from there the usual way."""

import queue
import time
from collections.abc import Iterable
from concurrent.futures import Future
from functools import partial
from typing import Any

from services.gateway.replay import Filter
from services.gateway.subscriptions.queues import dead_of, queue_of
from services.gateway.subscriptions.wanted import Wanted
from services.gateway.webhooks.intake import AGAIN
from services.gateway.webhooks.store import DeliveryStore
from shared.broker.connection import Broker
from shared.broker.journal import Journal
from shared.broker.message import BrokerAway, Delivery, Message
from shared.database.tables import SubscriptionRow
from shared.messages.events import CONTENT_TYPE
from shared.messages.replies import Refused

_MOST = 1000
_MOST_SCANNED = 20_000
_SECONDS = 4.0
_IDLE_SECONDS = 0.5


class Redelivery:
    """Puts events into a subscription's queue again. They may then be told twice."""

    def __init__(self, broker: Broker, journal: Journal, store: DeliveryStore) -> None:
        self._broker = broker
        self._journal = journal
        self._store = store

    def events(self, row: SubscriptionRow, event_ids: list[str]) -> int:
        """Bring some events of the delivery log once more, all or none; return how many."""
        found = self._store.find(row.name, event_ids)
        missing = set(event_ids) - {each.event_id for each in found}
        if missing:
            raise Refused("not_found", f"event_ids: {min(missing)!r} is not in the delivery log")
        _wait(self._put(row.name, each.event_id, each.type, each.body) for each in found)
        return len(found)

    def piece(self, row: SubscriptionRow, after: int, until: int | None) -> tuple[int, int | None]:
        """Bring what the journal holds behind a place; return how many, and where it was too much.

        Raise `BeyondEnd`.
        """
        wanted = Wanted(types=tuple(row.types), match=row.match)
        everything, scanned, last = Filter(), 0, after
        sent: list[Future[None]] = []
        deadline = time.monotonic() + _SECONDS
        with self._journal.read(after) as reader:
            while until is None or last < until:
                if len(sent) == _MOST or scanned == _MOST_SCANNED or time.monotonic() > deadline:
                    _wait(sent)
                    return len(sent), last
                entry = reader.get(_IDLE_SECONDS)
                if entry is None or (until is not None and entry.offset > until):
                    break
                scanned, last = scanned + 1, entry.offset
                event = everything.event(entry)
                if event is not None and wanted.covers(_headers(event)):
                    sent.append(self._put(row.name, str(event["id"]), entry.type, entry.body))
        _wait(sent)
        return len(sent), None

    def dead(self, row: SubscriptionRow, count: int) -> int:
        """Bring the dead letters of a subscription once more, at most `count`; return how many."""
        letters: queue.SimpleQueue[Delivery] = queue.SimpleQueue()
        taking = self._broker.consume(dead_of(row.name), letters.put, prefetch=min(count, _MOST))
        sent: list[Future[None]] = []
        try:
            while len(sent) < min(count, _MOST):
                letter = letters.get(timeout=_IDLE_SECONDS if sent else _SECONDS)
                put = self._put(row.name, letter.message_id, letter.type, letter.body)
                put.add_done_callback(partial(_settle, letter))
                sent.append(put)
        except queue.Empty:
            pass  # somebody else took some
        finally:
            _wait(sent)
            self._broker.abandon(taking)
        return len(sent)

    def _put(
        self, name: str, event_id: str | None, kind: str | None, body: bytes
    ) -> "Future[None]":
        again = Message(
            exchange="",
            routing_key=queue_of(name),
            body=body,
            type=kind,
            message_id=event_id or "",
            content_type=CONTENT_TYPE,
            headers={AGAIN: True},
        )
        return self._broker.publish(again)


def _headers(event: dict[str, Any]) -> dict[str, Any]:
    data = event.get("data")
    return {**(data if isinstance(data, dict) else {}), "type": event.get("type")}


def _settle(letter: Delivery, put: "Future[None]") -> None:
    if put.cancelled() or put.exception() is not None:
        letter.reject()
    else:
        letter.ack()


def _wait(sent: Iterable["Future[None]"]) -> None:
    """Return when RabbitMQ has everything; raise `BrokerAway` where it has not, in time."""
    deadline = time.monotonic() + _SECONDS
    waiting = list(sent)
    try:
        for put in waiting:
            put.result(max(0.0, deadline - time.monotonic()))
    except TimeoutError:
        for put in waiting:
            put.cancel()
        raise BrokerAway("the broker does not confirm; some events may come") from None
