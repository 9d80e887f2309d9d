"""The record of the last run, in docs/benchmarks.md."""

import os
import platform
import re
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version

import psutil

from bench.table import Row, render
from deploy.local.processes import ROOT
from deploy.local.programs import find_postgresql

PATH = ROOT / "docs" / "benchmarks.md"
_BEGIN, _END = "<!-- last run: begin -->", "<!-- last run: end -->"


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


def record(rows: Sequence[Row], *, where: str, command: str) -> str:
    """Return what is kept of a run."""
    today = datetime.now(UTC).date().isoformat()
    return (
        f"{today}; {where}.\n{versions()}.\n\n{render(rows)}\n\n"
        f"```sh\nmake bench    # or, with all it takes in place:\n{command}\n```"
    )


def write(text: str) -> None:
    """Put the record in the place of the last one."""
    before, _, rest = PATH.read_text().partition(_BEGIN)
    _, _, after = rest.partition(_END)
    PATH.write_text(f"{before}{_BEGIN}\n{text}\n{_END}{after}")


def _rabbitmq() -> str:
    told = _said(["dpkg-query", "-W", "-f", "${Version}", "rabbitmq-server"])
    return match[0] if (match := re.match(r"[0-9.]+", told)) else "unknown"


def _said(command: list[str]) -> str:
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()
