"""Programs that die at once."""

import contextlib
import signal

import psutil

from bench.waiting import BenchError, until
from deploy.local.daemon import Daemon

_GONE_SECONDS = 10


def kill(daemon: Daemon) -> None:
    """Kill a process and its children with SIGKILL, and return when they are gone."""
    process = daemon.process()
    if process is None:
        raise BenchError(f"{daemon.name} is gone already.{daemon.log_tail()}")
    children = process.children(recursive=True)
    # It is waited for as well: a dead child of ours would still have its pid, and PostgreSQL takes
    # that for another server on its data.
    daemon.stop(signal.SIGKILL)
    for member in children:
        with contextlib.suppress(psutil.NoSuchProcess):
            member.kill()
    until(
        lambda: not any(_runs(member) for member in children),
        f"{daemon.name} gone",
        seconds=_GONE_SECONDS,
        pause=0.02,
    )


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
