"""The runs on records: a switch posts them while all that takes and stores them dies in turn."""

import contextlib
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import orjson
import pika.exceptions
from sqlalchemy import Engine, select
from sqlalchemy.exc import SQLAlchemyError

from bench.waiting import BenchError, until
from deploy.local.processes import ROOT
from deploy.local.settings import address, save
from faults import journal, kept
from faults.bodies import Record, records
from faults.check import Violation
from faults.posting import OK, Switch
from faults.stage import Stage, product
from shared.database.engine import open_engine
from shared.database.tables import CallRow, CdrLegRow, CdrRow

BOUND_SECONDS = 0.25  # of every answer, whatever is broken

_A_SECOND = 60
_TURNS = (("PostgreSQL",), ("RabbitMQ",), ("cdr",)) * 2 + (("PostgreSQL", "RabbitMQ"),)
_DEAD_SECONDS = 3.0
_CALM_SECONDS = 2.0
_QUIET_SECONDS = 3.0
_COLLECT_SECONDS = 120
_DISK = "4m"  # some hundred records
_REFUSED = 100
_AFTER = 20
_SHOWN = 10
_REFUSED_COUNTER = re.compile(r"^voice_cdr_refused\w*(?:\{.*\})? ([0-9.e+]+)$", re.MULTILINE)


@dataclass(slots=True)
class Result:
    """The figures of one run; `skipped` says why there are none."""

    fault: str
    answers: kept.Answers = kept.Answers(0, 0, 0.0, 0.0)
    rows: int = 0
    told: int = 0
    again: int = 0
    violations: list[Violation] = field(default_factory=list)
    details: list[str] = field(default_factory=list)
    skipped: str = ""


class _Skipped(Exception):
    """The run cannot be made on this machine; the text says why."""


@dataclass(slots=True)
class _Run:
    stage: Stage
    switch: Switch
    watcher: journal.Watcher
    engine: Engine
    patience: float
    posted: list[Record] = field(default_factory=list)
    violations: list[Violation] = field(default_factory=list)

    def blame(self, what: str, leg_id: str = "-") -> None:
        self.violations.append(Violation(leg_id, what))

    def post(self, some: Sequence[Record], *, enough: int | None = None) -> None:
        """Post records; those that were posted count from now on."""
        begin = len(self.switch.answers)
        self.switch.post(some, a_second=_A_SECOND, enough=enough)
        done = {answer.leg_id for answer in self.switch.answers[begin:]}
        self.posted += [record for record in some if record.leg_id in done]


def run(name: str, *, count: int, patience: float) -> Result:
    """Make one of `RUNS` with so many records, and return what was found.

    `patience` is how long the last rows and events are waited for, in seconds.
    """
    does, strike = RUNS[name]
    _tell(f"{name}: {does}")
    try:
        with _begun(patience) as one:
            strike(one, count)
            _collect(one)
            _wait_until_kept(one)
            result = _judge(name, one)
    except _Skipped as why:
        _tell(f"  skipped: {why}")
        return Result(name, skipped=str(why))
    figures = result.answers
    _tell(f"  {figures.posts} posts, {result.rows} rows, {len(result.violations)} violations")
    return result


@contextmanager
def _begun(patience: float) -> Iterator[_Run]:
    with product() as stage:
        watcher = journal.Watcher(stage.settings["VOICE_AMQP_URL"])
        engine = open_engine(stage.settings["VOICE_DATABASE_URL"])
        watcher.start()
        try:
            switch = Switch(stage.settings, stage.stack.directory / "spill")
            yield _Run(stage, switch, watcher, engine, patience)
        finally:
            watcher.stop()
            engine.dispose()


def _in_turn(one: _Run, count: int) -> None:
    """Kill each part twice, and database and broker at once, while the switch posts."""
    wanted = records(count)
    posting = threading.Thread(target=one.post, args=(wanted,), name="posts")
    posting.start()
    for names in _TURNS:
        threading.Event().wait(_CALM_SECONDS)
        if not posting.is_alive():
            raise BenchError(f"all was posted before {' and '.join(names)} could be killed")
        begin = len(one.switch.answers)
        one.stage.lose(*names, seconds=_DEAD_SECONDS)
        while_dead = kept.figures(one.switch.answers[begin:])
        _tell(
            f"  {' and '.join(names)}: {while_dead.posts} posts, {while_dead.taken} taken, "
            f"the slowest answer {while_dead.slowest * 1000:.0f} ms"
        )
    posting.join()


def _full_disk(one: _Run, count: int) -> None:
    """Take the broker away until the spool's disk is full; kill what stands there; mend it."""
    with _small_disk(one.stage) as disk:
        one.stage.kill("RabbitMQ")
        _post_until_refused(one, count)
        _check_loud(one)
        one.stage.kill("cdr")
        _check_spool(one, disk)
        one.stage.start("cdr")
        # Those of before have to go before anything can be taken again.
        one.post(records(_AFTER))
        one.stage.start("RabbitMQ")
        _wait_until_empty(one, disk)
        one.stage.kill("RabbitMQ")
        begin = len(one.switch.answers)
        one.post(records(_AFTER))
        lost = kept.figures(one.switch.answers[begin:])
        if lost.taken < lost.posts:
            one.blame("the disk is empty again and a record was refused")
        one.stage.start("RabbitMQ")
        _wait_until_empty(one, disk)
        # The disk goes with its last user.
        one.stage.stack.processes.stop(["cdr"])
        save(one.stage.stack.processes.env_file, dict(one.stage.settings))
    one.stage.start("cdr")


def _post_until_refused(one: _Run, count: int) -> None:
    one.post(records(count), enough=_REFUSED)
    figures = kept.figures(one.switch.answers)
    _tell(f"  the disk is full after {figures.taken} records; {figures.posts - figures.taken} not")
    if figures.posts == figures.taken:
        raise BenchError(f"{figures.posts} records did not fill a disk of {_DISK}: take more")


@contextmanager
def _small_disk(stage: Stage) -> Iterator[Path]:
    """Have the CDR service keep its state on a disk of its own that is soon full."""
    disk = stage.stack.directory / "small-disk"
    disk.mkdir()
    _mount(disk)
    try:
        stage.stack.processes.stop(["cdr"])
        moved = {**stage.settings, "VOICE_STATE_DIR": str(disk)}
        save(stage.stack.processes.env_file, moved)
        stage.start("cdr")
        yield disk
    finally:
        stage.stack.processes.stop(["cdr"])
        subprocess.run(["umount", "-l", str(disk)], check=False)


def _mount(disk: Path) -> None:
    if os.geteuid() != 0:
        raise _Skipped("only root may mount a small disk")
    command = ["mount", "-t", "tmpfs", "-o", f"size={_DISK}", "tmpfs", str(disk)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise _Skipped(f"a small disk cannot be mounted: {error}") from error
    if done.returncode:
        raise _Skipped(f"a small disk cannot be mounted: {done.stderr.strip()}")


def _check_loud(one: _Run) -> None:
    """Blame refusals of which neither the log nor a counter tells."""
    refused = [answer.leg_id for answer in one.switch.answers if answer.status not in (OK, None)]
    log = one.stage.stack.processes.daemon("cdr").log.read_text(errors="replace")
    errors = [line for line in log.splitlines() if "error" in line]
    if not any(leg_id in line for line in errors for leg_id in refused):
        one.blame("records were refused, and no error in the log names one of them")
    with urllib.request.urlopen(f"{address(one.stage.settings, 'cdr')}/metrics") as answer:  # noqa: S310
        counted = sum(map(float, _REFUSED_COUNTER.findall(answer.read().decode())))
    if counted != len(refused):
        one.blame(f"{len(refused)} records were refused, and voice_cdr_refused says {counted:g}")


def _check_spool(one: _Run, disk: Path) -> None:
    """Blame what is half written, or lacks, in the spool that a full disk and a kill left."""
    spooled: set[str] = set()
    for body in _spooled(disk):
        try:
            spooled.add(orjson.loads(body)["variables"]["uuid"])
        except (ValueError, TypeError, KeyError):
            one.blame("a record in the spool is half written")
    for answer in one.switch.answers:
        if answer.status == OK and answer.leg_id not in spooled:
            one.blame("a record was taken and is not in the spool", answer.leg_id)


def _spooled(disk: Path) -> list[bytes]:
    """Return the bodies in the spool, read from a copy of its files: reading would write."""
    copy = disk.with_name("small-disk-copy")
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(disk, copy)
    bodies: list[bytes] = []
    for path in copy.glob("*.sqlite"):
        with contextlib.closing(sqlite3.connect(path)) as database:
            ((state,),) = database.execute("PRAGMA integrity_check").fetchall()
            if state != "ok":
                raise BenchError(f"the spool is broken: {state}")
            bodies += [bytes(body) for (body,) in database.execute("SELECT body FROM spool")]
    return bodies


def _wait_until_empty(one: _Run, disk: Path) -> None:
    try:
        until(lambda: not _spooled(disk), "the spool empty", seconds=one.patience, pause=0.5)
    except BenchError as error:
        one.blame(str(error))


def _collect(one: _Run) -> None:
    """Collect what the switch has in files, as an operator would, with everything up again."""
    before = len(one.switch.files)
    if not before:
        return
    done = subprocess.run(
        [sys.executable, "-m", "services.cdr.collect", str(one.switch.spill)],
        env={**os.environ, **one.stage.settings},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=_COLLECT_SECONDS,
        check=False,
    )
    said = (done.stdout + done.stderr).strip()
    _tell(f"  {before} files to collect: {said}")
    if done.returncode or one.switch.files:
        one.blame(f"the collector left {len(one.switch.files)} files: {said}")


def _wait_until_kept(one: _Run) -> None:
    """Return when all is stored and told; what is not in time is found missing afterwards."""
    wanted = len(one.posted)

    def is_kept() -> bool:
        with contextlib.suppress(pika.exceptions.AMQPError, OSError, SQLAlchemyError):
            # Nothing under way either: more than there should be comes last.
            return (
                len(_legs(one.engine)) >= wanted
                and one.watcher.quiet_for > _QUIET_SECONDS
                and not journal.waiting(one.stage.settings["VOICE_AMQP_URL"])
            )
        return False

    try:
        until(is_kept, "every record stored and told", seconds=one.patience, pause=0.5)
    except BenchError as error:
        _tell(f"  {error}")


def _legs(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        return [row[0] for row in connection.execute(select(CdrLegRow.leg_id))]


def _kept(engine: Engine) -> kept.Kept:
    with engine.connect() as connection:
        rows = [row[0] for row in connection.execute(select(CdrRow.leg_id))]
        calls = connection.execute(select(CallRow.call_id, CallRow.records)).all()
    return kept.Kept(rows, _legs(engine), dict(map(tuple, calls)))


def _judge(name: str, one: _Run) -> Result:
    found = _kept(one.engine)
    told = kept.told(journal.read_all(one.stage.settings["VOICE_AMQP_URL"], one.watcher.last))
    violations = one.violations
    violations += kept.check(one.posted, found, told)
    violations += kept.check_answers(one.switch.answers, bound=BOUND_SECONDS)
    dead = journal.dead_letters(one.stage.settings["VOICE_AMQP_URL"])
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


def _tell(text: str) -> None:
    print(text, flush=True)


Strike = Callable[[_Run, int], None]

RUNS: Mapping[str, tuple[str, Strike]] = {
    "records": (
        "PostgreSQL, RabbitMQ, CDR service killed in turn, twice; then the first two at once",
        _in_turn,
    ),
    "records-full-disk": ("RabbitMQ killed until the disk of the spool is full", _full_disk),
}
