"""The table of the runs, and its record in docs/reliability.md."""

from collections.abc import Sequence
from datetime import UTC, datetime

from bench.document import versions
from bench.table import markdown
from deploy.local.processes import ROOT
from faults import records
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

_RECORDS_HEAD = (
    "fault",
    "posts",
    "taken",
    "refused",
    "rows",
    "told",
    "told again",
    "99 of 100 answers within",
    "slowest answer",
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


def render_records(results: Sequence[records.Result]) -> str:
    """Return the runs on records as a table in Markdown; those left out with the reason."""
    made = [_records_cells(result) for result in results if not result.skipped]
    left_out = [
        f"\n\nLeft out: {records.RUNS[result.fault][0]} ({result.skipped})."
        for result in results
        if result.skipped
    ]
    return markdown(_RECORDS_HEAD, made) + "".join(left_out)


def record_records(results: Sequence[records.Result], *, where: str) -> str:
    """Return what is kept of the runs on records."""
    today = datetime.now(UTC).date().isoformat()
    command = "`make faults ARGS=--write`"
    return f"{command}: {today}; {where}.\n{versions()}.\n\n{render_records(results)}"


def _records_cells(result: records.Result) -> tuple[str, ...]:
    answers = result.answers
    return (
        records.RUNS[result.fault][0],
        f"{answers.posts:,}",
        f"{answers.taken:,}",
        f"{answers.posts - answers.taken:,}",
        f"{result.rows:,}",
        f"{result.told:,}",
        f"{result.again:,}",
        f"{answers.of_hundred * 1000:.0f} ms",
        f"{answers.slowest * 1000:.0f} ms",
        f"**{len(result.violations):,}**" if result.violations else "0",
    )


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
