"""The life of a process without HTTP of its own: start, wait for the signal, stop."""

import signal
from collections.abc import Callable


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
    """Stop one after the other, each even where an earlier one failed."""
    errors = []
    for stop in stops:
        try:
            stop()
        except Exception as error:
            errors.append(error)
    if errors:
        raise ExceptionGroup("not everything stopped cleanly", errors)


_WANTED = {signal.SIGTERM, signal.SIGINT}
