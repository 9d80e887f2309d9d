"""Tells what was committed to be told: `cdr_news` to the broker.

A row goes once the broker has its event. Between the two a process can end: then the event is told
again, under the same id.
"""

import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from prometheus_client import Counter
from sqlalchemy import Engine, delete, select

from services.cdr.news import event_of
from shared.broker.connection import Broker
from shared.broker.events import message_of
from shared.broker.message import BrokerAway, Unroutable, Unsendable
from shared.database.tables import CdrNewsRow

_POLL_SECONDS = 5.0
_CONFIRM_SECONDS = 10.0
_AT_ONCE = 500

_TOLD = Counter("voice_cdr_events_told", "Events about records that the broker has", ["type"])
_LOST = Counter("voice_cdr_events_lost", "Events about records that no broker takes", ["type"])

log = structlog.get_logger(__name__)


class Teller:
    """Publishes what waits in `cdr_news`. Several may run at once: each takes rows of its own."""

    def __init__(
        self, engine: Engine, broker: Broker, *, poll_seconds: float = _POLL_SECONDS
    ) -> None:
        self._engine = engine
        self._broker = broker
        self._poll_seconds = poll_seconds
        self._woken = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="cdr-news", daemon=True)

    def start(self) -> None:
        """Begin to tell; return at once."""
        self._thread.start()

    def stop(self) -> None:
        """Leave what is not told yet to the next one."""
        self._stopping.set()
        self._woken.set()
        self._thread.join(timeout=5)

    def wake(self) -> None:
        """Have what was just committed be told now. Any thread may call it."""
        self._woken.set()

    def tell(self) -> int:
        """Tell what has waited longest; return how many rows went."""
        oldest = select(CdrNewsRow.__table__).order_by(CdrNewsRow.id).limit(_AT_ONCE)
        with self._engine.begin() as connection:
            rows = connection.execute(oldest.with_for_update(skip_locked=True)).all()
            gone = self._send([dict(row._mapping) for row in rows])
            if gone:
                connection.execute(delete(CdrNewsRow).where(CdrNewsRow.id.in_(gone)))
        return len(gone)

    def _send(self, rows: Sequence[Mapping[str, Any]]) -> list[int]:
        """Return the rows whose events the broker has, or never will."""
        deadline = time.monotonic() + _CONFIRM_SECONDS
        sent = [(row, self._broker.publish(message_of(event_of(row)))) for row in rows]
        gone = []
        for row, confirmed in sent:
            try:
                confirmed.result(max(0, deadline - time.monotonic()))
            except (TimeoutError, BrokerAway, Unroutable) as error:
                confirmed.cancel()
                log.warning("not told; it is told again", subject=row["subject"], error=repr(error))
            except Unsendable as error:
                _LOST.labels(row["type"]).inc()
                log.error("cannot be told", subject=row["subject"], error=str(error))  # noqa: TRY400
                gone.append(row["id"])
            else:
                _TOLD.labels(row["type"]).inc()
                gone.append(row["id"])
        return gone

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._woken.wait(self._poll_seconds)
            self._woken.clear()
            try:
                while not self._stopping.is_set() and self._broker.connected and self.tell():
                    pass
            except Exception as error:
                # Both may come back; a thread that has ended does not.
                log.warning("records not told", error=repr(error))
                self._stopping.wait(1)
