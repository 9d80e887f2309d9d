"""Keeps what switches answered: many answers in one statement, after those who wait were told."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from uuid import UUID

import structlog
import tenacity
from sqlalchemy import Engine

from services.dialer import store
from services.dialer.store import Answer
from shared.database.engine import reaching
from shared.dependency import DependencyAway

_LINGER_SECONDS = 0.05
_RETRY_SECONDS = 1.0
_PATIENCE_SECONDS = 60.0

log = structlog.get_logger(__name__)


class Keeper:
    """Writes answers to the `commands` table in the background.

    Who clicked does not wait for the disk once more: only who repeats a command needs its answer.
    An answer that the database did not take within a minute is given up, and the log says so.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._waiting: list[Answer] = []
        self._stopping = threading.Event()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="keeper")

    def keep(self, command_id: UUID, reply: str) -> None:
        """Have the answer kept; return at once."""
        with self._lock:
            self._waiting.append(Answer(command_id, reply, datetime.now(UTC)))
            if len(self._waiting) > 1:
                return
        self._pool.submit(self._write)

    def stop(self) -> None:
        """Keep what waits; try once only."""
        self._stopping.set()
        self._pool.shutdown()

    def _write(self) -> None:
        # More will come meanwhile, and a reply that is on its way needs the processor now.
        self._stopping.wait(_LINGER_SECONDS)
        with self._lock:
            answers, self._waiting = self._waiting, []
        try:
            tenacity.Retrying(
                retry=tenacity.retry_if_exception_type(DependencyAway),
                wait=tenacity.wait_fixed(_RETRY_SECONDS),
                sleep=tenacity.sleep_using_event(self._stopping),
                stop=tenacity.stop_after_delay(_PATIENCE_SECONDS)
                | tenacity.stop_when_event_set(self._stopping),
                reraise=True,
            )(self._keep, answers)
        except Exception:
            # The calls are on their way; that a repeated command is answered "not known" is less
            # bad than to end the thread.
            log.exception("answers not kept", calls=[str(answer.command_id) for answer in answers])

    def _keep(self, answers: list[Answer]) -> None:
        with reaching():
            store.keep_answers(self._engine, answers)
