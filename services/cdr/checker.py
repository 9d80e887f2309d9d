"""Looks whether the calls that have ended are complete, and says so where one is not."""

import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import structlog
from prometheus_client import Counter
from sqlalchemy import Connection, Engine

from services.cdr import unchecked
from services.cdr.completeness import Finding, Missing, judge
from services.cdr.unchecked import Call
from shared.database.engine import reaching
from shared.dependency import DependencyAway

_EVERY_SECONDS = 30.0
_LATE_EVERY = 10  # looks for what is due; what comes late comes slowly
_LATE_FOR = timedelta(days=3)

_MISSING = Counter("voice_cdr_missing", "Calls that were not complete, by what", ["missing"])
_LATE = Counter("voice_cdr_late", "Calls of which what was missing came after all")

log = structlog.get_logger(__name__)


class Checker:
    """Checks each call once, `minutes` after it ended. Any number of processes may.

    After its start, and after the database was away, it leaves the same time for what waits in the
    queues to be stored: a service that was down is no reason to miss anything.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        minutes: float,
        every_seconds: float = _EVERY_SECONDS,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._engine = engine
        self._patience = timedelta(minutes=minutes)
        self._every_seconds = every_seconds
        self._now = now
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="cdr-checker", daemon=True)

    def start(self) -> None:
        """Begin to check; return at once."""
        self._thread.start()

    def stop(self) -> None:
        """End after the batch at hand."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)

    def check(self) -> int:
        """Check all calls that are due; return how many. Raise `DependencyAway`."""
        count, place = 0, None
        while not self._stopping.is_set():
            now = self._now()
            with reaching(), self._engine.begin() as connection:
                calls = unchecked.due(connection, before=now - self._patience, after=place)
                complete, missing = self._judge(connection, calls, now)
                unchecked.keep(connection, complete, missing, now)
            for call, each in missing:
                _MISSING.labels(each.what).inc()
                log.warning(
                    "call is not complete",
                    call_id=call.call_id,
                    missing=each.what,
                    leg_ids=each.leg_ids,
                )
            count += len(complete) + len(missing)
            if len(calls) < unchecked.AT_ONCE:
                break
            place = calls[-1].at, calls[-1].call_id
        return count

    def look_again(self) -> int:
        """Look at the calls of which something was missing; return how many are complete now.

        Raise `DependencyAway`.
        """
        count, place = 0, None
        while not self._stopping.is_set():
            now = self._now()
            with reaching(), self._engine.begin() as connection:
                calls = unchecked.incomplete(connection, since=now - _LATE_FOR, after=place)
                complete, _ = self._judge(connection, calls, now)
                unchecked.keep_late(connection, complete)
            for call_id in complete:
                _LATE.inc()
                log.info("what was missing of a call has come", call_id=call_id)
            count += len(complete)
            if len(calls) < unchecked.AT_ONCE:
                break
            place = calls[-1].at, calls[-1].call_id
        return count

    def _judge(
        self, connection: Connection, calls: Sequence[Call], now: datetime
    ) -> tuple[list[str], list[tuple[Call, Missing]]]:
        """Return the calls that are complete, and those that are not and what they miss."""
        known = unchecked.known(connection, calls)
        found = [
            (call, judge(known[call.call_id], now=now, patience=self._patience)) for call in calls
        ]
        complete = [call.call_id for call, each in found if each is Finding.COMPLETE]
        return complete, [(call, each) for call, each in found if isinstance(each, Missing)]

    def _run(self) -> None:
        looks, begin = 0, time.monotonic()
        while not self._stopping.wait(self._every_seconds):
            if time.monotonic() - begin < self._patience.total_seconds():
                continue
            try:
                self.check()
                looks += 1
                if looks % _LATE_EVERY == 0:
                    self.look_again()
            except DependencyAway as error:
                log.warning("completeness not checked; tried again", error=str(error))
                begin = time.monotonic()
            except Exception:
                log.exception("checking failed; tried again")
