"""Connecting again and again, patiently, until it works or somebody wants us to stop."""

import threading

import structlog
import tenacity

log = structlog.get_logger(__name__)


def reconnecting(
    stopping: threading.Event, *kinds: type[Exception], longest_pause: float, away: str
) -> tenacity.Retrying:
    """Return what calls a function until it raises none of these errors.

    Pauses grow up to `longest_pause` seconds, with some chance in them so that not all of us come
    at once. The first failure is logged as `away`. The result is None once `stopping` is set.
    """

    def tell(state: tenacity.RetryCallState) -> None:
        if state.attempt_number == 1 and state.outcome is not None:
            log.warning(away, error=str(state.outcome.exception()))

    return tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(kinds),
        wait=tenacity.wait_exponential_jitter(multiplier=0.1, max=longest_pause, jitter=0.1),
        sleep=tenacity.sleep_using_event(stopping),
        stop=tenacity.stop_when_event_set(stopping),
        before_sleep=tell,
        retry_error_callback=lambda _: None,
    )
