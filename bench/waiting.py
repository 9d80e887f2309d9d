"""Waiting for what a benchmark needs, with a deadline."""

from collections.abc import Callable

import tenacity


class BenchError(Exception):
    """The benchmark could not be carried out; its figures would mean nothing."""


def until(condition: Callable[[], object], what: str, *, seconds: float, pause: float) -> None:
    """Return once the condition is true; raise `BenchError` where it does not come true in time."""
    waiting = tenacity.Retrying(
        retry=tenacity.retry_if_result(lambda value: not value),
        wait=tenacity.wait_fixed(pause),
        stop=tenacity.stop_after_delay(seconds),
    )
    try:
        waiting(condition)
    except tenacity.RetryError:
        raise BenchError(f"{what}: not within {seconds:g} s") from None
