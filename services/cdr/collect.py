"""`voice cdr collect DIR…`: takes what a switch wrote to its disk instead of delivering it.

Ends with 0 where nothing stays, 1 where files stay, 2 where it was called wrongly.
"""

import argparse
import logging
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from services.cdr.collector import Choices, Collector
from services.cdr.sending import Sending
from services.cdr.settings import CollectSettings, columns
from services.cdr.tally import Stays, Tally
from shared import logs
from shared.broker.connection import Broker
from shared.database.engine import open_engine
from shared.settings import load

_PROGRESS_SECONDS = 5.0
_AGAIN_SECONDS = 0.5


def main(arguments: Sequence[str] | None = None) -> int:
    """Collect once, tell what came of it, and return the exit status."""
    options = _parser().parse_args(arguments)
    choices = _choices(options)
    settings = load(CollectSettings)
    logs.configure("collect", level=logging.ERROR)
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    broker = Broker(
        settings.amqp_url.get_secret_value(), name="collect", journal_days=settings.events_keep_days
    )
    engine = open_engine(settings.database_url.get_secret_value(), connections=1)
    sending = Sending(broker, engine, wait_seconds=options.wait, stopping=stopping)
    collector = Collector(choices, sending, stopping=stopping, progress=_Progress())
    broker.start()
    try:
        tally = _collect(collector, stopping, seconds=options.wait)
    finally:
        broker.stop()
        engine.dispose()
    sys.stdout.write(f"{tally.words()}\n")
    return 1 if tally.left else 0


def _collect(collector: Collector, stopping: threading.Event, *, seconds: float) -> Tally:
    """Collect, and look again while another collector has some of the files."""
    deadline = time.monotonic() + seconds
    whole = tally = collector.collect()
    while (
        tally.stay[Stays.ELSEWHERE]
        and not tally.halted
        and time.monotonic() < deadline
        and not stopping.wait(_AGAIN_SECONDS)
    ):
        tally = collector.collect()
        whole = tally.after(whole)
    return whole


class _Progress:
    """Tells every few seconds how far it is."""

    def __init__(self) -> None:
        self._told_at = time.monotonic()

    def __call__(self, tally: Tally) -> None:
        if time.monotonic() - self._told_at >= _PROGRESS_SECONDS:
            self._told_at = time.monotonic()
            sys.stderr.write(
                f"{tally.looked_at} files looked at, {tally.ended} ended, "
                f"{tally.stored} records stored so far\n"
            )


def _choices(options: argparse.Namespace) -> Choices:
    for directory in (*options.directories, *filter(None, [options.keep])):
        if not directory.is_dir():
            _parser().error(f"{directory} is no directory")
    if options.keep and any(options.keep.samefile(each) for each in options.directories):
        _parser().error(f"{options.keep}: files cannot be kept where they are collected")
    return Choices(
        directories=options.directories,
        keep=options.keep,
        switch=options.switch or None,
        columns=columns(options.columns),
        unreadable_minutes=options.unreadable_after,
    )


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < threading.TIMEOUT_MAX:
        raise ValueError
    return value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="voice cdr collect",
        description="Send on the call records that a switch wrote to its disk, and remove each "
        "file once all its records are stored. May be run at any time, also twice at once.",
        epilog="Exit status: 0 nothing stays, 1 files stay (the words say why), 2 wrong usage.",
    )
    parser.add_argument("directories", nargs="+", type=Path, metavar="DIR")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="move files there instead")
    parser.add_argument("--switch", metavar="NAME", help="whose lines are in .csv and .sql files")
    parser.add_argument(
        "--columns", default="", metavar="A,B,…", help="the variables in a line of a .csv file"
    )
    parser.add_argument(
        "--wait",
        type=_positive,
        default=60.0,
        metavar="SECONDS",
        help="how long nothing may be stored before this ends (60)",
    )
    parser.add_argument(
        "--unreadable-after",
        type=_positive,
        default=10.0,
        metavar="MINUTES",
        help="how old a file is that is no longer taken for half written (10)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
