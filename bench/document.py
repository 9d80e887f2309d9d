"""The records of the last runs, one for each part, in docs/benchmarks.md."""

import os
import platform
import re
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import psutil

from bench.table import Row, render
from bench.waiting import BenchError
from deploy.local.processes import ROOT
from deploy.local.programs import find_postgresql

PATH = ROOT / "docs" / "benchmarks.md"


def machine() -> str:
    """Describe the machine by its shape."""
    cores, memory = len(os.sched_getaffinity(0)), psutil.virtual_memory().total / 2**30
    busy = os.getloadavg()[0]
    return f"{cores} cores, {memory:.0f} GB of memory, load {busy:.1f} before the run"


def versions() -> str:
    """Name what was measured, and what it runs on."""
    commit = _said(["git", "describe", "--always", "--dirty=, changed"])
    tools: Mapping[str, str] = {
        "commit": commit,
        "Python": platform.python_version(),
        "RabbitMQ": _rabbitmq(),
        "PostgreSQL": _said([str(find_postgresql() / "postgres"), "-V"]).split()[2],
        **{name: version(name) for name in ("pika", "orjson", "gunicorn", "sqlalchemy")},
    }
    return ", ".join(f"{name} {value}" for name, value in tools.items())


def record(part: str, rows: Sequence[Row], *, where: str) -> str:
    """Return what is kept of a part's run."""
    today = datetime.now(UTC).date().isoformat()
    command = f"`make bench` or `.venv/bin/python -m bench {part} --write`"
    return f"{command}: {today}; {where}.\n{versions()}.\n\n{render(rows)}"


def write(part: str, text: str, path: Path = PATH) -> None:
    """Put the record in the place of the part's last one."""
    begin, end = f"<!-- {part}: begin -->", f"<!-- {part}: end -->"
    before, found, rest = path.read_text().partition(begin)
    if not found:
        raise BenchError(f"{path.name} has no place for {part}: {begin}")
    _, _, after = rest.partition(end)
    path.write_text(f"{before}{begin}\n{text}\n{end}{after}")


def _rabbitmq() -> str:
    told = _said(["dpkg-query", "-W", "-f", "${Version}", "rabbitmq-server"])
    return match[0] if (match := re.match(r"[0-9.]+", told)) else "unknown"


def _said(command: list[str]) -> str:
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()
