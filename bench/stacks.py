"""The whole product in a directory of its own, for as long as a benchmark takes."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from deploy.local.ports import LOOPBACK, free_port
from deploy.local.processes import ROOT
from deploy.local.settings import BINDS
from deploy.local.stack import Stack


@contextmanager
def directory() -> Iterator[Path]:
    """Give an empty directory on the disk on which the product's own would be."""
    place = ROOT / ".local"
    place.mkdir(exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix="bench-", dir=place))
    # The database runs as a user of its own where we are root, and has to get in.
    made.chmod(0o755)
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


@contextmanager
def product() -> Iterator[Stack]:
    """Give the product with the simulated switch, on servers and ports of its own.

    Not on the usual ports: another stack that starts meanwhile may take them, and be measured.
    """
    with directory() as made:
        binds = {name: f"{LOOPBACK}:{free_port()}" for name in BINDS.values()}
        stack = Stack(made, binds)
        try:
            stack.up()
            yield stack
        finally:
            stack.forget()


def cpu_seconds(stack: Stack) -> dict[str, float]:
    """Return how much processor time each part, and the benchmark itself, has used so far."""
    roots = {name: stack.processes.daemon(name).process() for name in BINDS}
    for name in ("RabbitMQ", "PostgreSQL"):
        roots[name] = next(s for s in stack.needed_servers if s.title == name).daemon.process()
    used = {name: _of_family(root) for name, root in roots.items() if root is not None}
    own = psutil.Process().cpu_times()
    return used | {"this client": own.user + own.system}


def _of_family(root: psutil.Process) -> float:
    total = 0.0
    for process in (root, *root.children(recursive=True)):
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    return total
