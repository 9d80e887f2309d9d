"""One run: calls in flight, one fault, and everything that was told held against the truth."""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import pika.exceptions
from sqlalchemy import Engine, select
from sqlalchemy.exc import SQLAlchemyError

from bench.waiting import BenchError, until
from faults import journal
from faults.check import Event, Violation, check, missing_records, read, timeline
from faults.load import Load
from faults.stage import Stage, product
from faults.strikes import FAULTS, Scene
from faults.truth import Fate
from shared.database.engine import open_engine
from shared.database.tables import CallEventRow, CdrRow, CommandRow

_RAMP_SECONDS = 90
_OVER_SECONDS = 60
_SHOWN = 5


@dataclass(slots=True)
class Result:
    """The figures of one run."""

    fault: str
    calls: int = 0
    events: int = 0
    synthetic: int = 0
    corrected: int = 0
    again: int = 0
    silence: float = 0.0
    records: int = 0
    dead: int = 0
    violations: list[Violation] = field(default_factory=list)
    details: list[str] = field(default_factory=list)  # the first violations, with their calls


@dataclass(slots=True)
class _Run:
    name: str
    stage: Stage
    load: Load
    watcher: journal.Watcher
    engine: Engine
    patience: float

    @property
    def url(self) -> str:
        return self.stage.settings["VOICE_AMQP_URL"]


def run(name: str, *, calls: int, seconds: float, patience: float, real: bool = False) -> Result:
    """Strike once with so many calls in flight, on a real switch if told; return what was found.

    Calls go on for `seconds` after the mending; `patience` is how long the last ends are waited
    for, in seconds, before they count as missing.
    """
    fault = FAULTS[name]
    _tell(f"{name}: {fault.does}{' (a real switch)' if real else ''}")
    with _begun(name, calls=calls, patience=patience, real=real) as one:
        until(
            lambda: len(one.load.look().alive) >= calls * 0.9,
            f"{calls} calls in flight",
            seconds=_RAMP_SECONDS,
            pause=0.1,
        )
        _tell(f"  {len(one.load.look().alive)} calls in flight: the fault")
        struck = time.monotonic()
        fault.strike(Scene(one.stage, one.load))
        mended = time.monotonic()
        _tell(f"  mended after {mended - struck:.0f} s; calls go on for {seconds:g} s")
        threading.Event().wait(seconds)
        # Before the load ends, as nothing is to be told where nobody calls.
        silence = one.watcher.longest_silence(struck, time.monotonic())
        _wait_until_quiet(one)
        result = _judge(one)
    result.silence = silence
    if fault.silence is not None and silence > fault.silence:
        what = f"no event for {silence:.1f} s, {fault.silence:g} s at most"
        result.violations.append(Violation("-", what))
        result.details.append(what)
    _tell(f"  {result.calls} calls, {result.events} events, {len(result.violations)} violations")
    return result


@contextmanager
def _begun(name: str, *, calls: int, patience: float, real: bool) -> Iterator[_Run]:
    with product(FAULTS[name].events, real=real) as stage:
        load = Load(stage, calls=calls)
        watcher = journal.Watcher(stage.settings["VOICE_AMQP_URL"])
        engine = open_engine(stage.settings["VOICE_DATABASE_URL"])
        load.prepare()
        with stage.phones(load.present):
            watcher.start()
            load.start()
            try:
                yield _Run(name, stage, load, watcher, engine, patience)
            finally:
                load.stop()
                watcher.stop()
                engine.dispose()


def _wait_until_quiet(one: _Run) -> None:
    """Return when all is told and stored; what is not in time is found missing afterwards."""
    one.load.stop()
    until(
        one.load.are_calls_over, "every call over on the switch", seconds=_OVER_SECONDS, pause=0.2
    )
    try:
        until(lambda: _all_told(one), "every end told", seconds=one.patience, pause=0.5)
    except BenchError as error:
        _tell(f"  {error}")
    try:
        until(lambda: _all_stored(one), "queues empty, all quiet", seconds=30, pause=0.5)
    except BenchError as error:
        _tell(f"  {error}")


def _all_told(one: _Run) -> bool:
    expected = one.load.look().fates.keys() | one.load.accepted.keys() | _commands(one.engine)
    # A call that was promised may have been dialled only now.
    return one.load.are_calls_over() and expected <= one.watcher.ended


def _all_stored(one: _Run) -> bool:
    try:
        waiting = journal.waiting(one.url)
    except (pika.exceptions.AMQPError, OSError):
        return False
    stored = _records(one.engine) | one.stage.spooled_records
    legs = {leg for fate in one.load.look().fates.values() for leg in fate.finished_legs}
    return not waiting and legs <= stored and one.watcher.quiet_for > 3  # noqa: PLR2004  (seconds)


def _judge(one: _Run) -> Result:
    told = read(journal.read_all(one.url, one.watcher.last))
    fates = one.load.look().fates
    records = _records(one.engine)
    violations = check(
        told, fates, accepted=one.load.accepted.keys(), commands=_commands(one.engine)
    )
    violations += missing_records(fates.values(), records | one.stage.spooled_records)
    dead = journal.dead_letters(one.url)
    violations += [Violation("-", f"a dead letter: {letter}") for letter in dead]
    return Result(
        one.name,
        calls=len(told.lives),
        events=told.events,
        synthetic=told.synthetic,
        corrected=told.corrected,
        again=told.again,
        records=len(records),
        dead=len(dead),
        violations=violations,
        details=_details(violations, told.lives, fates, one.engine),
    )


def _details(
    violations: list[Violation],
    lives: Mapping[str, list[Event]],
    fates: Mapping[str, Fate],
    engine: Engine,
) -> list[str]:
    """Return the first violations, each call with its life, and what a subscriber got of it."""
    lines: list[str] = []
    for call_id in list(dict.fromkeys(violation.call_id for violation in violations))[:_SHOWN]:
        lines.append(f"call {call_id}")
        lines += [f"  ! {one.what}" for one in violations if one.call_id == call_id]
        lines += [f"  {line}" for line in timeline(lives.get(call_id, []), fates.get(call_id))]
        lines.append(f"      the CDR service got the events {_stored(engine, call_id)}")
    return lines


def _stored(engine: Engine, call_id: str) -> list[int]:
    """Return the numbers of the events that the CDR service, a subscriber, has of a call."""
    query = select(CallEventRow.sequence).where(CallEventRow.call_id == call_id)
    with engine.connect() as connection:
        return sorted(row[0] for row in connection.execute(query))


def _commands(engine: Engine) -> set[str]:
    query = select(CommandRow.id).where(CommandRow.name == "call.originate")
    try:
        with engine.connect() as connection:
            return {str(row[0]) for row in connection.execute(query)}
    except SQLAlchemyError as error:
        raise BenchError(f"the database does not answer: {error}") from error


def _records(engine: Engine) -> set[str]:
    with engine.connect() as connection:
        return {row[0] for row in connection.execute(select(CdrRow.leg_id))}


def _tell(text: str) -> None:
    print(text, flush=True)
