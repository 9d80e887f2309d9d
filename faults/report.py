"""The table of the runs, and its record in docs/reliability.md."""

from collections.abc import Sequence
from datetime import UTC, datetime

from bench.document import versions
from bench.table import markdown
from deploy.local.processes import ROOT
from faults.run import Result
from faults.strikes import FAULTS

PATH = ROOT / "docs" / "reliability.md"

_HEAD = (
    "fault",
    "calls",
    "events",
    "synthetic",
    "corrected",
    "told again",
    "longest silence",
    "CDRs",
    "dead letters",
    "violations",
)


def render(results: Sequence[Result]) -> str:
    """Return the runs as a table in Markdown."""
    return markdown(_HEAD, [_cells(result) for result in results])


def record(results: Sequence[Result], *, where: str, calls: int) -> str:
    """Return what is kept of the runs."""
    today = datetime.now(UTC).date().isoformat()
    command = f"`make faults ARGS=--write`, {calls} calls in flight"
    return f"{command}: {today}; {where}.\n{versions()}.\n\n{render(results)}"


def _cells(result: Result) -> tuple[str, ...]:
    return (
        FAULTS[result.fault].does,
        f"{result.calls:,}",
        f"{result.events:,}",
        f"{result.synthetic:,}",
        f"{result.corrected:,}",
        f"{result.again:,}",
        f"{result.silence:.1f} s",
        f"{result.records:,}",
        f"{result.dead:,}",
        f"**{len(result.violations):,}**" if result.violations else "0",
    )
