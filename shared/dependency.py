"""What a service says when something that it needs is not there, and how it waits for it."""

import threading

import tenacity


class DependencyAway(Exception):
    """Something needed is away. Nothing was done; the same may be tried again later."""


def until_back(stopping: threading.Event) -> tenacity.Retrying:
    """Return what tries again while `DependencyAway` is raised, and returns None when stopped."""
    return tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(DependencyAway),
        wait=tenacity.wait_exponential_jitter(multiplier=0.2, max=5, jitter=0.2),
        sleep=tenacity.sleep_using_event(stopping),
        stop=tenacity.stop_when_event_set(stopping),
        retry_error_callback=lambda _: None,
    )
