"""Subscriptions as people ask for them: in the table and on the broker, or in neither.

The table says what is wanted, and is written first; what a fault left half done is finished, or
taken back, by whoever comes next: the same request again, or `repair`.
"""

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

import structlog
from pika.channel import Channel

from services.gateway.subscriptions import queues
from services.gateway.subscriptions.queues import Depth
from services.gateway.subscriptions.store import State, SubscriptionStore
from shared.broker.connection import Broker
from shared.broker.message import BrokerAway, BrokerRefused
from shared.database.tables import SubscriptionRow
from shared.dependency import DependencyAway
from shared.messages.replies import Refused

_SECONDS = 4.0
_REPAIR_SECONDS = 30.0
_SOON_SECONDS = 2.0
_NOT_COMPARED = {"created_by", "secret"}
_NOT_THE_SAME = 406  # AMQP: it is there, with other arguments

T = TypeVar("T")

log = structlog.get_logger(__name__)


class Subscriptions:
    """Makes, measures and removes subscriptions.

    Once started it also declares all of them at every connection: a broker that lost its disk comes
    back complete. `on_ready` is called whenever that was done.
    """

    def __init__(
        self,
        broker: Broker,
        store: SubscriptionStore,
        *,
        on_ready: Callable[[], None] = lambda: None,
        seconds: float = _SECONDS,
    ) -> None:
        self._broker = broker
        self._seconds = seconds
        self._on_ready = on_ready
        self._wake = threading.Event()
        self._anew = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="subscriptions", daemon=True)
        self.store = store
        broker.when_connected(self._connected)

    def start(self) -> None:
        """Begin to keep the broker as the table says; return at once."""
        self._thread.start()

    def stop(self) -> None:
        """Leave everything as it is."""
        self._stopping.set()
        self._wake.set()
        self._thread.join(timeout=self._seconds + 1)

    def create(self, values: dict[str, Any]) -> tuple[SubscriptionRow, bool]:
        """Return the subscription, which stands on the broker, and whether it is new.

        Raise `Refused` where there is another of its name, `BrokerAway` where it cannot be made.
        """
        self.store.add(values)
        with self.store.locked(values["name"]) as row:
            if row is None:
                raise Refused("unavailable", f"name: {values['name']!r} was just removed")
            if row.state == State.REMOVING:
                self._ask(partial(queues.remove, name=row.name))
                row.state = State.DECLARING
                row.switched_off = None
                row.created_at = datetime.now(UTC)
                for name, value in values.items():
                    setattr(row, name, value)
            elif any(getattr(row, name) != values[name] for name in values.keys() - _NOT_COMPARED):
                raise Refused(
                    "exists", f"name: {row.name!r} asks for something else; delete it first"
                )
            if row.state == State.READY:
                if row.switched_off is not None:
                    self.store.switch_on(row)
                return row, False
            self._make(row)
            return row, True

    def find(self, name: str) -> SubscriptionRow:
        """Return a subscription that stands; raise `Refused` where there is none."""
        row = self.store.find(name)
        if row is None:
            raise Refused("not_found", f"name: no subscription {name!r}")
        return row

    def remove(self, name: str) -> None:
        """Remove a subscription with all that it holds; raise `Refused` where there is none."""
        with self.store.locked(name) as row:
            if row is None or row.state == State.DECLARING:
                raise Refused("not_found", f"name: no subscription {name!r}")
            self._take_away(row)

    def measure(self, name: str) -> Depth:
        """Return how much waits; raise `BrokerAway` or `BrokerRefused` where nobody can say."""
        return self._ask(partial(queues.measure, name=name))

    def repair(self, *, everything: bool) -> None:
        """Finish what is half done; with `everything` declare the rest anew as well."""
        self.store.give_up_abandoned()
        if everything:
            self._ask(queues.declare_cuts)
        for name in self.store.names():
            with self.store.locked(name, wait=False) as row:
                if row is not None and row.state == State.REMOVING:
                    self._take_away(row)
                elif row is not None and row.state == State.READY and everything:
                    self._declare_again(row)

    def _make(self, row: SubscriptionRow) -> None:
        try:
            self._ask(partial(queues.declare, kept=row))
        except BrokerRefused as error:
            if error.code != _NOT_THE_SAME:
                row.state = State.REMOVING
                raise
            self.store.drop(row)  # and what is there stays: it is not ours
            raise Refused("exists", f"name: {error}") from error
        except BrokerAway:
            row.state = State.REMOVING
            self._wake.set()
            raise
        row.state = State.READY

    def _take_away(self, row: SubscriptionRow) -> None:
        row.state = State.REMOVING
        self._ask(partial(queues.remove, name=row.name))
        self.store.drop(row)

    def _declare_again(self, row: SubscriptionRow) -> None:
        try:
            self._ask(partial(queues.declare, kept=row))
        except BrokerRefused as error:
            log.error("subscription lost its queue", name=row.name, error=str(error))  # noqa: TRY400

    def _ask(self, work: Callable[[Channel], T]) -> T:
        asked = self._broker.administer(work)
        try:
            return asked.result(self._seconds)
        except TimeoutError:
            asked.cancel()
            raise BrokerAway("the broker does not answer") from None

    def _connected(self) -> None:
        self._anew.set()
        self._wake.set()

    def _run(self) -> None:
        pause = _REPAIR_SECONDS
        while not self._stopping.is_set():
            self._wake.wait(pause)
            self._wake.clear()
            pause = _REPAIR_SECONDS
            if not self._broker.connected:
                continue
            everything = self._anew.is_set()
            self._anew.clear()
            try:
                self.repair(everything=everything)
                if everything:
                    self._on_ready()
            except (BrokerAway, BrokerRefused, DependencyAway) as error:
                log.warning("subscriptions wait", error=str(error))
                pause = _SOON_SECONDS
                if everything:
                    self._anew.set()
            except Exception:
                log.exception("subscriptions not repaired")
