"""The runs on records: a switch posts them while all that takes and stores them dies in turn."""

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import pika.exceptions
from sqlalchemy import Engine, select
from sqlalchemy.exc import SQLAlchemyError

from bench.waiting import BenchError, until
from deploy.local.processes import ROOT
from faults import journal, kept
from faults.bodies import records
from faults.check import Violation
from faults.full_disk import fill
from faults.posted import Posted, Skipped, posted, tell
from shared.database.tables import CallRow, CdrLegRow, CdrRow

BOUND_SECONDS = 0.25  # of every answer, whatever is broken

_TURNS = (("PostgreSQL",), ("RabbitMQ",), ("cdr",)) * 2 + (("PostgreSQL", "RabbitMQ"),)
_DEAD_SECONDS = 3.0
_CALM_SECONDS = 2.0
_QUIET_SECONDS = 3.0
_COLLECT_SECONDS = 120
_SHOWN = 10


@dataclass(slots=True)
class Result:
    """The figures of one run; `skipped` says why there are none."""

    fault: str
    answers: kept.Answers = kept.NONE
    rows: int = 0
    told: int = 0
    again: int = 0
    violations: list[Violation] = field(default_factory=list)
    details: list[str] = field(default_factory=list)
    skipped: str = ""


def run(name: str, *, count: int, patience: float) -> Result:
    """Make one of `RUNS` with so many records, and return what was found.

    `patience` is how long the last rows and events are waited for, in seconds.
    """
    does, strike = RUNS[name]
    tell(f"{name}: {does}")
    try:
        with posted(patience) as one:
            strike(one, count)
            _collect(one)
            _wait_until_kept(one)
            result = _judge(name, one)
    except Skipped as why:
        tell(f"  skipped: {why}")
        return Result(name, skipped=str(why))
    figures = result.answers
    tell(f"  {figures.posts} posts, {result.rows} rows, {len(result.violations)} violations")
    return result


def _in_turn(one: Posted, count: int) -> None:
    """Kill each part twice, and database and broker at once, while the switch posts."""
    wanted = records(count)
    posting = threading.Thread(target=one.post, args=(wanted,), name="posts")
    posting.start()
    for names in _TURNS:
        with _told_of(one, "all up again"):
            threading.Event().wait(_CALM_SECONDS)
        if not posting.is_alive():
            raise BenchError(f"all was posted before {' and '.join(names)} could be killed")
        with _told_of(one, f"{' and '.join(names)} killed and started"):
            one.stage.lose(*names, seconds=_DEAD_SECONDS)
    with _told_of(one, "all up again"):
        posting.join()


@contextmanager
def _told_of(one: Posted, what: str) -> Iterator[None]:
    """Show what came of the posts meanwhile."""
    begin = len(one.switch.answers)
    yield
    meanwhile = one.switch.answers[begin:]
    figures = kept.figures(meanwhile)
    blamed = len(kept.check_answers(meanwhile, bound=BOUND_SECONDS))
    tell(
        f"  {what}: {figures.posts} posts, {figures.taken} taken, the slowest answer "
        f"{figures.slowest * 1000:.0f} ms, {blamed} not as they should be"
    )


def _collect(one: Posted) -> None:
    """Collect what the switch has in files, as an operator would, with everything up again."""
    before = len(one.switch.files)
    if not before:
        return
    done = subprocess.run(  # noqa: S603  (our own command)
        [sys.executable, "-m", "services.cdr.collect", str(one.switch.spill)],
        env={**os.environ, **one.stage.settings},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=_COLLECT_SECONDS,
        check=False,
    )
    said = (done.stdout + done.stderr).strip()
    tell(f"  {before} files to collect: {said}")
    if done.returncode or one.switch.files:
        one.blame(f"the collector left {len(one.switch.files)} files: {said}")


def _wait_until_kept(one: Posted) -> None:
    """Return when all is stored and told; what is not in time is found missing afterwards."""
    wanted = len(one.records)

    def is_kept() -> bool:
        with contextlib.suppress(pika.exceptions.AMQPError, OSError, SQLAlchemyError):
            # Nothing under way either: more than there should be comes last.
            return (
                len(_legs(one.engine)) >= wanted
                and one.watcher.quiet_for > _QUIET_SECONDS
                and not journal.waiting(one.broker)
            )
        return False

    try:
        until(is_kept, "every record stored and told", seconds=one.patience, pause=0.5)
    except BenchError as error:
        tell(f"  {error}")


def _legs(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        return [row[0] for row in connection.execute(select(CdrLegRow.leg_id))]


def _kept(engine: Engine) -> kept.Kept:
    with engine.connect() as connection:
        rows = [row[0] for row in connection.execute(select(CdrRow.leg_id))]
        calls = connection.execute(select(CallRow.call_id, CallRow.records))
        counts = {row.call_id: row.records for row in calls}
    return kept.Kept(rows, _legs(engine), counts)


def _judge(name: str, one: Posted) -> Result:
    found = _kept(one.engine)
    told = kept.told(journal.read_all(one.broker, one.watcher.last))
    violations = one.violations
    violations += kept.check(one.records, found, told)
    violations += kept.check_answers(one.switch.answers, bound=BOUND_SECONDS)
    dead = journal.dead_letters(one.broker)
    violations += [Violation("-", f"a dead letter: {letter}") for letter in dead]
    return Result(
        name,
        answers=kept.figures(one.switch.answers),
        rows=len(found.rows),
        told=len(told.ids),
        again=told.again,
        violations=violations,
        details=[f"{each.call_id}: {each.what}" for each in violations[:_SHOWN]],
    )


Strike = Callable[[Posted, int], None]

RUNS: Mapping[str, tuple[str, Strike]] = {
    "records": (
        "PostgreSQL, RabbitMQ, CDR service killed in turn, twice; then the first two at once",
        _in_turn,
    ),
    "records-full-disk": ("RabbitMQ killed until the disk of the spool is full", fill),
}
