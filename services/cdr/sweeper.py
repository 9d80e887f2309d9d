"""Collects by itself, every so often, for as long as the service runs."""

import threading
from collections.abc import Callable

import structlog
from prometheus_client import Counter, Gauge

from services.cdr.tally import Stays, Tally

_COLLECTED = Counter("voice_cdr_collected", "Records stored out of files of switches")
_FILES = Gauge("voice_cdr_spilled_files", "Files of switches that stay, by reason", ["reason"])

log = structlog.get_logger(__name__)


class Sweeper:
    """A thread that collects every `seconds`. Failures are told, and the next time comes."""

    def __init__(
        self, collect: Callable[[], Tally], *, seconds: float, stopping: threading.Event
    ) -> None:
        self._collect = collect
        self._seconds = seconds
        self._stopping = stopping
        self._last = ""
        self._thread = threading.Thread(target=self._run, name="cdr-sweeper", daemon=True)

    def start(self) -> None:
        """Begin to collect; return at once."""
        self._thread.start()

    def stop(self) -> None:
        """End after the batch at hand; what is left stays where it is."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._tell(self._collect())
            except Exception:
                log.exception("collecting failed; tried again")
            self._stopping.wait(self._seconds)

    def _tell(self, tally: Tally) -> None:
        _COLLECTED.inc(tally.stored)
        for reason in Stays:
            _FILES.labels(reason.name.lower()).set(tally.stay[reason])
        # The same files stay for long; that is news once.
        words = tally.words()
        if words != self._last and (tally.ended or tally.left or self._last):
            how = log.warning if tally.left else log.info
            how("switches' files collected", **_numbers(tally), words=words.splitlines())
        self._last = words


def _numbers(tally: Tally) -> dict[str, int]:
    return {
        "stored": tally.stored,
        "known": tally.known,
        "ended": tally.ended,
        "stay": tally.left,
    }
