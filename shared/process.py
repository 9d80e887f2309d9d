"""The life of a process without HTTP of its own: start, wait for the signal, stop."""

import logging
import os
import signal
import threading
from collections.abc import Callable

import structlog

_STOP_SECONDS = 9.0

log = structlog.get_logger(__name__)


def wait_for_stop() -> None:
    """Return when somebody wants the process to end (SIGTERM, SIGINT).

    To be called before any thread starts is `block_signals`: threads inherit it, so that no
    library's system call is interrupted in one of them.
    """
    signal.sigwait(_WANTED)


def block_signals() -> None:
    """Keep the signals that end the process for `wait_for_stop`."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _WANTED)


def stop_all(*stops: Callable[[], None]) -> None:
    """Stop one after the other, each even where an earlier one failed.

    Nobody is promised more than 10 s: what hangs on a dependency that hangs is left behind.
    """
    limit = threading.Timer(_STOP_SECONDS, _leave)
    limit.daemon = True
    limit.start()
    errors = []
    for stop in stops:
        try:
            stop()
        except Exception as error:
            errors.append(error)
    limit.cancel()
    if errors:
        raise ExceptionGroup("not everything stopped cleanly", errors)


def leave_nobody_waiting() -> None:
    """End the process now, where threads that hang would keep it."""
    logging.shutdown()
    os._exit(0)


def _leave() -> None:
    log.error("not stopped in time; leaving", seconds=_STOP_SECONDS)
    os._exit(1)


_WANTED = {signal.SIGTERM, signal.SIGINT}
