"""Waiting for a condition, with a deadline and without guessing how long it takes."""

from collections.abc import Callable
from typing import TypeVar

import tenacity

T = TypeVar("T")


def until(condition: Callable[[], T], *, seconds: float = 20) -> T:
    """Return the condition's first true value; fail when it does not come true in time."""
    waiting = tenacity.Retrying(
        retry=tenacity.retry_if_result(lambda value: not value),
        wait=tenacity.wait_fixed(0.02),
        stop=tenacity.stop_after_delay(seconds),
    )
    try:
        return waiting(condition)
    except tenacity.RetryError:
        raise AssertionError(f"did not come true within {seconds} s") from None
