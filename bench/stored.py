"""How fast records are stored, beside what the database itself can do."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from statistics import median
from typing import Any, TypeVar

from psycopg2.extras import execute_values
from sqlalchemy import Engine, create_engine, text

from bench.records import records
from bench.stacks import directory
from bench.table import Row, number, spread
from bench.waiting import BenchError
from deploy.local.instances import Postgres
from deploy.local.stack import migrate
from services.cdr.handlers import Writer
from services.cdr.intake import LEG
from shared.broker.message import JSON, Delivery
from shared.database.engine import open_engine
from shared.database.tables import CdrRow

CALLS = 1000  # two records each
BATCH = 200  # as many as the service takes at a time
GOAL_OF_BARE = 0.6
GOAL_OF_EACH = 2.0
_COLUMNS = [column.name for column in CdrRow.__table__.columns]
_JSON = ("raw", "marks")
_EMPTIED = "cdrs, cdr_legs, cdr_variants, cdr_news, calls, call_events"

Rows = Sequence[tuple[Any, ...]]
T = TypeVar("T")


@dataclass(slots=True)
class _Contender:
    """A way to store records, and how many of them it stored a second."""

    name: str
    store: Callable[[], None]
    rates: list[float] = field(default_factory=list)


def run(rounds: int) -> list[Row]:
    """Measure, telling each round as it is done."""
    print(f"stored: {rounds} rounds of {2 * CALLS:,} records of 9 kB, {BATCH} at a time")
    with directory() as made:
        postgres = Postgres(made / "postgresql")
        try:
            postgres.start()
            migrate(postgres.url)
            return _measure(postgres.url, rounds)
        finally:
            postgres.remove()


def _measure(url: str, rounds: int) -> list[Row]:
    engine, ours = create_engine(url), open_engine(url)
    writer = Writer(ours)
    deliveries = [_delivery(one.leg_id, one.body) for one in records(CALLS)]
    _write(writer, deliveries)  # the writer's months are made, and every part is warm
    rows = _ready(engine)
    product = _Contender("the writer", partial(_write, writer, deliveries))
    bare = _Contender("rows ready-made", partial(_insert, engine, rows, BATCH))
    each = _Contender("one at a time", partial(_insert, engine, rows, 1))
    contenders = [product, bare, each]
    for rank in range(rounds):
        turn = rank % len(contenders)
        for contender in contenders[turn:] + contenders[:turn]:
            _empty(engine)
            began = time.perf_counter()
            contender.store()
            contender.rates.append(len(rows) / (time.perf_counter() - began))
            if (found := _count(engine)) != len(rows):
                raise BenchError(f"{contender.name}: {found:,} rows of {len(rows):,} records")
            rate = number(contender.rates[-1])
            print(f"  round {rank + 1}: {contender.name}: {rate} records/s", flush=True)
    for used in (engine, ours):
        used.dispose()
    return [
        _row(product, bare, "the same rows ready-made, one statement each", GOAL_OF_BARE),
        _row(product, each, "the same rows ready-made, one at a time", GOAL_OF_EACH),
    ]


def _delivery(leg_id: str, body: bytes) -> Delivery:
    """Return a record as the queue gives it."""
    return Delivery(
        queue="cdr.raw",
        routing_key="",
        body=body,
        type="cdr.raw",
        message_id=leg_id,
        correlation_id=None,
        reply_to=None,
        content_type=JSON,
        headers={LEG: leg_id},
        ack=lambda: None,
        reject=lambda: None,
    )


def _write(writer: Writer, deliveries: Sequence[Delivery]) -> None:
    for batch in _batches(deliveries, BATCH):
        writer.store_cdrs(batch)


def _batches(all_of_them: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (all_of_them[start : start + size] for start in range(0, len(all_of_them), size))


def _ready(engine: Engine) -> Rows:
    """Return the stored rows, as they can be stored again without a thought."""
    columns = (f"CAST({name} AS text)" if name in _JSON else name for name in _COLUMNS)
    with engine.connect() as connection:
        found = connection.execute(text(f"SELECT {', '.join(columns)} FROM cdrs"))  # noqa: S608
        return [tuple(row) for row in found]


def _insert(engine: Engine, rows: Rows, size: int) -> None:
    """Insert so many rows in each statement, and commit each."""
    statement = f"INSERT INTO cdrs ({', '.join(_COLUMNS)}) VALUES %s"  # noqa: S608
    connection = engine.raw_connection()
    try:
        cursor = connection.cursor()
        for batch in _batches(rows, size):
            execute_values(cursor, statement, batch, page_size=size)
            connection.commit()
    finally:
        connection.close()


def _empty(engine: Engine) -> None:
    """Have every turn begin alike: with empty tables, and nothing left to be written to disk."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"TRUNCATE {_EMPTIED}"))
        connection.execute(text("CHECKPOINT"))


def _count(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(connection.scalar(text("SELECT count(*) FROM cdrs")) or 0)


def _row(ours: _Contender, other: _Contender, name: str, goal: float) -> Row:
    ratios = [mine / theirs for mine, theirs in zip(ours.rates, other.rates, strict=True)]
    return Row(
        what=f"records of 9 kB stored a second, {BATCH} at a time",
        measured=f"{spread(ours.rates)}/s",
        beside=f"{name}: {spread(other.rates)}/s",
        compared=f"{spread(ratios)} x",
        goal=f"at least {goal} x",
        met=median(ratios) >= goal,
    )
