"""Makes the months of records before they are needed, and drops what is older than it is kept."""

import threading
import time
from datetime import UTC, datetime

import structlog
from sqlalchemy import Engine

from services.cdr.partitions import Partitions
from services.cdr.retention import drop_old

_HOUR = 3600.0
_DAY = 24 * _HOUR
_RETRY_SECONDS = 30.0

log = structlog.get_logger(__name__)


class Housekeeping:
    """Keeps the tables in order: at the start, and from time to time. Several may run at once."""

    def __init__(
        self, engine: Engine, *, keep_days: int, retry_seconds: float = _RETRY_SECONDS
    ) -> None:
        self._engine = engine
        self._partitions = Partitions(engine)
        self._keep_days = keep_days
        self._retry_seconds = retry_seconds
        self._dropped_at: float | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="housekeeping", daemon=True)

    def start(self) -> None:
        """Begin; return at once."""
        self._thread.start()

    def stop(self) -> None:
        """Do nothing more; what is half done is done by the next one."""
        self._stopping.set()
        self._thread.join(timeout=2)

    def _run(self) -> None:
        pause = 0.0
        while not self._stopping.wait(pause):
            try:
                self._tidy()
                pause = _HOUR
            except Exception as error:
                # The database may come back; a thread that has ended does not.
                log.warning("months not kept in order", error=repr(error))
                pause = self._retry_seconds

    def _tidy(self) -> None:
        made = self._partitions.make_ahead()
        if made:
            log.info("months made", tables=[month.table for month in made])
        is_due = self._dropped_at is None or time.monotonic() - self._dropped_at >= _DAY
        if self._keep_days and is_due:
            counts = drop_old(self._engine, datetime.now(UTC), self._keep_days)
            self._dropped_at = time.monotonic()
            if counts is not None:
                log.info("old records dropped", keep_days=self._keep_days, **counts)
