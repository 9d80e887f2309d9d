"""Tells what a subscription lost because it was full, or because nobody came for it in time."""

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial

import orjson
import structlog

from services.gateway.subscriptions import queues
from shared.broker.connection import Broker
from shared.broker.events import message_of
from shared.broker.message import Delivery
from shared.broker.subscription import Subscription
from shared.messages.events import Event, now

CUT = "subscription.cut"

_PERIOD_SECONDS = 60.0
_PREFETCH = 2000  # and of each subscription one is kept for a period
_REASONS = {"maxlen", "expired"}

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Cut:
    """What one subscription lost in a period. `kept` is the first of it, not acked yet."""

    kept: Delivery
    count: int
    oldest: str
    newest: str
    first_id: str
    last_id: str

    def add(self, at: str, event_id: str) -> None:
        """Count one more."""
        self.count += 1
        self.oldest, self.newest = min(self.oldest, at), max(self.newest, at)
        self.last_id = event_id

    def event(self, name: str) -> Event:
        """Return what is told of it."""
        return Event(
            type=CUT,
            source="/service/gateway",
            subject=name,
            at=now(),
            fact=f"{self.first_id}/{self.last_id}/{self.count}",
            data={
                "name": name,
                "count": self.count,
                "first_at": self.oldest,
                "last_at": self.newest,
            },
        )


class CutTeller:
    """Counts the dead letters of all subscriptions, and tells of each once in a period.

    A gateway that is killed leaves the first of each period to the next one: that something was cut
    is always told, how much may then be told too small. That somebody missed `subscription.cut` is
    not told again, or it would never end.
    """

    def __init__(self, broker: Broker, *, period_seconds: float = _PERIOD_SECONDS) -> None:
        self._broker = broker
        self._period = period_seconds
        self._deliveries: queue.SimpleQueue[Delivery | None] = queue.SimpleQueue()
        self._cuts: dict[str, Cut] = {}
        self._subscription: Subscription | None = None
        self._thread = threading.Thread(target=self._run, name="cuts", daemon=True)

    def listen(self) -> None:
        """Begin, once the queue is there; again does nothing."""
        if self._subscription is None:
            self._subscription = self._broker.consume(
                queues.CUT, self._deliveries.put, prefetch=_PREFETCH
            )
            self._thread.start()

    def stop(self) -> None:
        """Leave the rest to the next gateway."""
        if self._subscription is not None:
            self._deliveries.put(None)
            self._thread.join(timeout=2)

    def _run(self) -> None:
        told = time.monotonic()
        while True:
            if time.monotonic() >= told + self._period:
                self._tell()
                told = time.monotonic()
            try:
                wait = max(0.0, told + self._period - time.monotonic())
                delivery = self._deliveries.get(timeout=wait)
            except queue.Empty:
                continue
            if delivery is None:
                return
            try:
                self._count(delivery)
            except Exception as error:
                log.warning("dead letter not understood", error=repr(error))
                delivery.ack()

    def _count(self, delivery: Delivery) -> None:
        name, event = delivery.routing_key, orjson.loads(delivery.body)
        if delivery.type == CUT or _reason(delivery) not in _REASONS:
            delivery.ack()
        elif name in self._cuts:
            self._cuts[name].add(event["time"], event["id"])
            delivery.ack()
        else:
            at, event_id = event["time"], event["id"]
            self._cuts[name] = Cut(delivery, 1, at, at, event_id, event_id)

    def _tell(self) -> None:
        cuts, self._cuts = self._cuts, {}
        for name, cut in cuts.items():
            log.warning("subscription cut", name=name, count=cut.count, oldest=cut.oldest)
            told = self._broker.publish(message_of(cut.event(name)))
            told.add_done_callback(partial(_settle, cut.kept))


def _settle(kept: Delivery, told: "Future[None]") -> None:
    how: Callable[[], None] = kept.reject if told.exception() is not None else kept.ack
    how()


def _reason(delivery: Delivery) -> str | None:
    # The newest death stands first; 4.x may say the same in `x-last-death-reason`.
    deaths = delivery.headers.get("x-death") or [{}]
    reason = deaths[0].get("reason")
    return reason if isinstance(reason, str) else None
