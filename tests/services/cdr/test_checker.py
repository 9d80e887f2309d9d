"""Completeness in the database, with rows as the writer leaves them."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
import structlog
from prometheus_client import REGISTRY
from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from services.cdr import unchecked
from services.cdr.checker import Checker
from shared.database.engine import open_engine
from shared.database.tables import CallEventRow, CallRow, CdrNewsRow, CdrRow
from shared.dependency import DependencyAway
from shared.messages.events import EVENTS
from tests.services.cdr.storing import remember
from tests.waiting import until

NOW = datetime.now(UTC)
ENDED = NOW - timedelta(minutes=10)


@pytest.fixture(autouse=True)
def _empty(engine):
    """Leave no calls of other tests to be checked."""
    with engine.begin() as connection:
        for table in (CallRow, CallEventRow, CdrNewsRow):
            connection.execute(delete(table))


@pytest.fixture
def checker(engine):
    """Give a checker that waits five minutes."""
    return Checker(engine, minutes=5, now=lambda: NOW)


def call(engine, call_id, *, legs=(), **columns):
    """Keep a call that ended ten minutes ago, and what events told of its legs."""
    row = {
        "call_id": call_id,
        "at": ENDED,
        "sequence": 9,
        "state": "ended",
        "switch": "fs1",
        "ended_at": ENDED,
        "records": 0,
        **columns,
    }
    told = [
        {
            "call_id": call_id,
            "sequence": number,
            "type": kind,
            "at": ENDED,
            "data": {"leg_id": leg},
        }
        for number, (kind, leg) in enumerate(
            (kind, leg) for leg in legs for kind in ("leg.created", "leg.ended")
        )
    ]
    with engine.begin() as connection:
        connection.execute(insert(CallRow).values(row))
        if told:
            connection.execute(insert(CallEventRow).values(told))


def record_of(engine, call_id, leg):
    """Keep a record that names its call."""
    with engine.begin() as connection:
        connection.execute(
            insert(CdrRow).values(
                switch="fs1",
                leg_id=leg,
                at=ENDED,
                call_id=call_id,
                marks=[],
                stored_at=ENDED,
                raw={},
            )
        )
    remember(engine, ("fs1", leg))


def checked(engine):
    """Return what each call was found to miss; None for one that was not checked."""
    with Session(engine) as session:
        rows = session.execute(select(CallRow.call_id, CallRow.missing, CallRow.checked_at))
        return {row.call_id: row.missing if row.checked_at else None for row in rows}


def news(engine):
    """Return what is to be told."""
    with Session(engine) as session:
        return session.scalars(select(CdrNewsRow).order_by(CdrNewsRow.id)).all()


def counted(name, **labels):
    """Return how far a counter is."""
    return REGISTRY.get_sample_value(f"{name}_total", labels) or 0


def test_legs_without_a_record_are_told_once(engine, checker, word):
    """With all that a subscriber may ask for, and counted."""
    before = counted("voice_cdr_missing", missing="record")
    call(engine, word, legs=[f"{word}a", f"{word}b"], crm_uuid="7", queue="support")
    record_of(engine, word, f"{word}a")
    assert (checker.check(), checker.check()) == (1, 0)

    (told,) = news(engine)
    assert checked(engine) == {word: ["record"]}
    assert (told.type, told.subject, told.fact) == ("cdr.missing", f"fs1/{word}", "record")
    assert told.at == int(NOW.timestamp() * 1_000_000)
    assert told.data == {
        "call_id": word,
        "crm_uuid": "7",
        "product_code": None,
        "switch": "fs1",
        "direction": None,
        "queue": "support",
        "campaign": None,
        "missing": "record",
        "leg_ids": [f"{word}b"],
    }
    assert EVENTS[told.type].model_validate(told.data)
    assert counted("voice_cdr_missing", missing="record") == before + 1


def test_records_without_an_end_are_told(engine, checker, word):
    """Whoever tells events was not there."""
    call(engine, word, ended_at=None, records=1, recorded_ended_at=ENDED, switch=None)
    record_of(engine, word, f"{word}a")
    assert checker.check() == 1

    (told,) = news(engine)
    assert checked(engine) == {word: ["end"]}
    assert (told.subject, told.fact, told.data["leg_ids"]) == (
        f"unknown/{word}",
        "end",
        [f"{word}a"],
    )


def test_a_complete_call_is_not_told_of(engine, checker, word):
    """Also where a record does not name the call, and where there never was a leg."""
    call(engine, f"{word}1", legs=[f"{word}a", f"{word}b"])
    record_of(engine, f"{word}1", f"{word}a")
    record_of(engine, f"{word}b", f"{word}b")
    call(engine, f"{word}2")
    assert checker.check() == 2

    assert checked(engine) == {f"{word}1": [], f"{word}2": []}
    assert news(engine) == []


@pytest.mark.parametrize(
    "columns",
    [
        {"ended_at": NOW - timedelta(minutes=4)},
        {"ended_at": None},
        {"ended_at": None, "records": 1, "recorded_ended_at": NOW - timedelta(minutes=4)},
    ],
)
def test_a_call_has_its_time(engine, checker, word, columns):
    """One that lives, or has just ended, is looked at later."""
    call(engine, word, **columns)
    assert checker.check() == 0
    assert checked(engine) == {word: None}


def test_a_record_that_comes_late_is_taken_note_of(engine, checker, word):
    """Nothing is missing any more, and nothing is told twice."""
    before = counted("voice_cdr_late")
    call(engine, word, legs=[f"{word}a"])
    checker.check()
    assert checker.look_again() == 0
    record_of(engine, word, f"{word}a")
    with structlog.testing.capture_logs() as logs:
        assert (checker.look_again(), checker.look_again()) == (1, 0)

    assert checked(engine) == {word: []}
    assert len(news(engine)) == 1
    assert counted("voice_cdr_late") == before + 1
    assert [line["call_id"] for line in logs] == [word]


def test_an_end_that_comes_late_is_taken_note_of(engine, checker, word):
    """As a record that does."""
    call(engine, word, ended_at=None, records=1)
    record_of(engine, word, f"{word}a")
    checker.check()
    with engine.begin() as connection:
        connection.execute(update(CallRow).values(ended_at=ENDED))
    assert checker.look_again() == 1
    assert checked(engine) == {word: []}


def test_many_calls_are_checked_in_batches(engine, checker, word):
    """Those that live on before them hold up nobody."""
    rows = [
        {
            "call_id": f"{word}{number}",
            "at": ENDED + timedelta(microseconds=number),
            "sequence": 1,
            "state": "ended",
            "switch": "fs1",
            "records": int(number < unchecked.AT_ONCE),
            "recorded_ended_at": ENDED,
            "ended_at": None if number < unchecked.AT_ONCE else ENDED,
        }
        for number in range(4 * unchecked.AT_ONCE)
    ]
    told = [
        {
            "call_id": row["call_id"],
            "sequence": 1,
            "type": "leg.created",
            "at": ENDED,
            "data": {"leg_id": row["call_id"]},
        }
        for row in rows
    ]
    with engine.begin() as connection:
        connection.execute(insert(CallRow), rows)
        connection.execute(insert(CallEventRow), told)
    assert checker.check() == 3 * unchecked.AT_ONCE

    assert len(news(engine)) == 3 * unchecked.AT_ONCE
    assert list(checked(engine).values()).count(None) == unchecked.AT_ONCE


def test_two_checkers_tell_a_call_once(engine, word):
    """Each takes what the other has not locked."""
    for number in range(100):
        call(engine, f"{word}{number}", legs=[f"{word}{number}"])
    both = [Checker(engine, minutes=5, now=lambda: NOW) for _ in range(2)]
    counts = []
    threads = [threading.Thread(target=lambda c=c: counts.append(c.check())) for c in both]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sum(counts) == len(news(engine)) == 100


def test_a_call_that_somebody_has_locked_is_left_to_them(engine, checker, word):
    """The writer is not waited for."""
    call(engine, word)
    with engine.begin() as connection:
        connection.execute(select(CallRow.call_id).with_for_update())
        assert checker.check() == 0
    assert checker.check() == 1


def test_a_database_that_is_away_is_said():
    """Whoever runs it tries again."""
    away = open_engine("postgresql://nobody@127.0.0.1:1/none")
    with pytest.raises(DependencyAway):
        Checker(away, minutes=5).check()


def test_it_runs_by_itself_after_a_while(engine, word):
    """Not before what waits in the queues had its time; and a failure does not end it."""
    call(engine, word, legs=[f"{word}a"])
    failures = iter([DependencyAway("away"), ValueError("broken")])

    class Failing(Checker):
        def check(self):
            for failure in failures:
                raise failure
            return super().check()

    checker = Failing(engine, minutes=0.002, every_seconds=0.05)
    checker.start()
    until(lambda: checked(engine) == {word: ["record"]})
    checker.stop()


def test_stopping_does_not_wait_for_the_next_look(engine):
    """It ends at once."""
    checker = Checker(engine, minutes=5)
    checker.start()
    checker.stop()
    assert not checker._thread.is_alive()
