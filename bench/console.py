"""What every program that measures does first with its output and its end."""

import io
import logging
import signal
import sys

import structlog


def prepare() -> None:
    """Show progress as it comes, without the logs of what is measured; end on SIGTERM in order."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # Progress is for now, not for the end.
    logging.getLogger("pika").setLevel(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    # Told to end, stop what was started all the same.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
