"""From a webhook's queue into the table of what it has to bring."""

import threading
from collections.abc import Callable, Sequence
from functools import partial

import orjson
import structlog

from services.gateway.subscriptions.queues import queue_of
from services.gateway.webhooks.store import DeliveryStore, NewDelivery, Webhook
from shared.broker.batches import BatchConsumer
from shared.broker.connection import Broker
from shared.broker.message import Delivery
from shared.dependency import DependencyAway

AGAIN = "x-redelivery"

_MOST_WAITING = 1000
_LOOK_SECONDS = 1.0
_LONGEST_ID = 255

log = structlog.get_logger(__name__)


class Intake:
    """Consumes the queue of each webhook that is to be delivered.

    The table holds a window of what waits; the rest stays in the queue, whose bounds hold. Of
    several gateways the broker gives a queue to one at a time, so the order is the queue's.
    """

    def __init__(
        self,
        broker: Broker,
        store: DeliveryStore,
        on_taken: Callable[[], None],
        *,
        most_waiting: int = _MOST_WAITING,
    ) -> None:
        self._broker = broker
        self._store = store
        self._on_taken = on_taken
        self._most_waiting = most_waiting
        self._consumers: dict[Webhook, BatchConsumer] = {}
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="webhook-intake", daemon=True)

    def start(self) -> None:
        """Begin to take; return at once."""
        self._thread.start()

    def stop(self) -> None:
        """Take nothing more."""
        self._stopping.set()
        self._wake.set()
        self._thread.join(timeout=2)
        for consumer in self._consumers.values():
            consumer.stop()

    def wake(self) -> None:
        """Look now which webhooks there are."""
        self._wake.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._follow(self._store.webhooks())
            except DependencyAway:
                pass  # those that run wait by themselves
            except Exception:
                log.exception("webhooks not read")
            self._wake.wait(_LOOK_SECONDS)
            self._wake.clear()

    def _follow(self, wanted: set[Webhook]) -> None:
        # One that was deleted and made again is another: RabbitMQ (3.10) takes a consumer of the
        # old queue for one of the new, and delivers to nobody.
        for webhook in self._consumers.keys() - wanted:
            self._consumers.pop(webhook).stop()
        for webhook in wanted - self._consumers.keys():
            name, _ = webhook
            consumer = BatchConsumer(
                self._broker,
                queue_of(name),
                partial(self._take, name),
                ready=partial(self._has_room, name),
                hold_seconds=1.0,
            )
            self._consumers[webhook] = consumer
            consumer.start()

    def _has_room(self, name: str) -> bool:
        try:
            return self._store.waiting(name) < self._most_waiting
        except DependencyAway:
            return False

    def _take(self, name: str, deliveries: Sequence[Delivery]) -> None:
        given = [_read(delivery) for delivery in deliveries]
        if not self._has_room(name):
            raise DependencyAway("its receiver takes nothing")
        self._store.take(name, given)
        self._on_taken()


def _read(delivery: Delivery) -> NewDelivery:
    """Return the event; raise `ValueError` for what is none."""
    event = orjson.loads(delivery.body)
    if not isinstance(event, dict):
        raise ValueError("not an event")  # noqa: TRY004
    event_id, kind, subject = (event.get(name) for name in ("id", "type", "subject"))
    if not isinstance(event_id, str) or not 0 < len(event_id) <= _LONGEST_ID:
        raise ValueError("not an event: it has no id")
    if not event_id.isascii() or not event_id.isprintable():
        raise ValueError("not an event: its id is no header")
    return NewDelivery(
        event_id=event_id,
        type=str(kind)[:64],
        subject=str(subject).replace("\0", ""),
        body=delivery.body,
        again=bool(delivery.headers.get(AGAIN)),
    )
