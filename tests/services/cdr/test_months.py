"""Which months there are, and the partitions that they are."""

import secrets
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import insert, text

from services.cdr.handlers import Writer
from services.cdr.months import Month, ahead, existing, expired, needed
from services.cdr.partitions import Partitions, make, months_of
from shared.database.engine import open_engine
from shared.database.tables import CdrRow
from tests.services.cdr.building import cdr_of, leg, posted, record

NOW = datetime(2026, 11, 30, 23, 59, tzinfo=UTC)
TIMES = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1))  # noqa: DTZ001


@given(TIMES.map(lambda at: at.replace(tzinfo=UTC)))
def test_every_moment_is_in_one_month(at):
    """And a month's name says which it is."""
    month = Month.of(at)

    assert month.start <= at < month.next.start
    assert existing([month.table, f"{month.table}_x", "cdrs_other", "cdrs_2026_13"]) == {month}


def test_the_months_ahead_go_over_the_end_of_the_year():
    """This one and the next two."""
    assert [month.table for month in ahead(NOW)] == ["cdrs_2026_11", "cdrs_2026_12", "cdrs_2027_01"]


def test_a_clock_that_is_wrong_by_decades_makes_no_month():
    """Ten years back and two months ahead at most."""
    years = [1970, 2016, 2017, 2026, 2027, 2030, 9999]
    found = needed([datetime(year, 1, 15, tzinfo=UTC) for year in years], NOW)

    assert found == [Month(2017, 1), Month(2026, 1), Month(2027, 1)]


def test_a_month_is_expired_when_all_of_it_is():
    """Not on the day on which its first days are."""
    months = [Month(2026, month) for month in (8, 9, 10, 11)]

    assert expired(months, now=NOW, keep_days=60) == [Month(2026, 8), Month(2026, 9)]
    assert expired(months, now=NOW, keep_days=61) == [Month(2026, 8)]


@pytest.fixture
def month(engine):
    """Give a month that has no partition, and leave none behind."""
    with engine.connect() as connection:
        there = months_of(connection)
    free = [Month(year, number) for year in range(2018, 2021) for number in range(1, 13)]
    chosen = secrets.choice([month for month in free if month not in there])
    yield chosen
    with engine.begin() as connection:
        connection.execute(text(f"DROP TABLE IF EXISTS {chosen.table}"))


def tables_of(engine, leg_id):
    """Return the partitions in which a leg's record is."""
    query = text("SELECT tableoid::regclass::text FROM cdrs WHERE leg_id = :leg_id")
    with engine.connect() as connection:
        return connection.execute(query, {"leg_id": leg_id}).scalars().all()


def test_a_record_makes_the_month_that_it_needs(engine, month):
    """A switch's disk may have kept it for years."""
    leg_id = leg()
    Writer(engine).store_cdrs(posted(record(leg_id, at=month.start)))

    assert tables_of(engine, leg_id) == [month.table]


def test_a_record_of_no_sensible_time_is_kept_all_the_same(engine):
    """In the default partition, for which no month is made."""
    leg_id = leg()
    Writer(engine).store_cdrs(posted(record(leg_id, at=datetime(1971, 1, 1, tzinfo=UTC))))

    assert len(tables_of(engine, leg_id)) == 1
    with engine.connect() as connection:
        assert Month(1971, 1) not in months_of(connection)


def test_a_month_takes_in_what_the_default_partition_has_of_it(engine, month):
    """Else it could not be made; what is a moment before or behind stays where it is."""
    moment = timedelta(microseconds=1)
    inside = [month.start, month.next.start - moment]
    outside = [month.start - moment, month.next.start]
    legs = {at: leg() for at in (*inside, *outside)}
    with engine.begin() as connection:
        for at, leg_id in legs.items():
            given = {"switch": "fs1", "leg_id": leg_id, "call_id": leg_id, "at": at}
            connection.execute(insert(CdrRow).values(**given, marks=[], stored_at=at, raw={}))
    before = {at: tables_of(engine, leg_id) for at, leg_id in legs.items()}

    assert make(engine, month)
    for at in inside:
        assert tables_of(engine, legs[at]) == [month.table]
    for at in outside:
        assert tables_of(engine, legs[at]) == before[at]


def test_many_who_need_one_month_at_once_make_it_once(postgres, month):
    """Several writers, each with a record of a month that nobody has made."""
    engines = [open_engine(postgres.url) for _ in range(4)]
    writers = [Writer(engine) for engine in engines]
    legs = [leg() for _ in range(20)]
    with ThreadPoolExecutor(len(writers)) as pool:
        for done in [
            pool.submit(writers[number % 4].store_cdrs, posted(record(leg_id, at=month.start)))
            for number, leg_id in enumerate(legs)
        ]:
            done.result(60)

    assert {table for leg_id in legs for table in tables_of(engines[0], leg_id)} == {month.table}
    assert all(cdr_of(engines[0], leg_id) is not None for leg_id in legs)
    for engine in engines:
        engine.dispose()


def test_the_months_ahead_are_made_once(engine):
    """Whoever comes second finds them there."""
    Partitions(engine).make_ahead()

    assert Partitions(engine).make_ahead() == []
    with engine.connect() as connection:
        assert set(ahead(datetime.now(UTC))) <= months_of(connection)
