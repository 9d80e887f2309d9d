"""The months of `cdrs`, made as they are needed."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from sqlalchemy import Connection, Engine, text

from services.cdr.months import Month, ahead, existing, needed

# Of the database's advisory locks, ours.
MAKING, EXPIRING = 6_000_001, 6_000_002
_EXISTING = text("""
    SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
    WHERE inhparent = to_regclass('cdrs')
""")
# Who only reads for long must not have all others wait behind us.
_LOCK_TIMEOUT = text("SET LOCAL lock_timeout = '3s'")


class Partitions:
    """Makes months, and remembers which are there. Any thread may call it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._known: frozenset[Month] = frozenset()

    def make_ahead(self) -> list[Month]:
        """Make this month and those that follow, where they are not there; return the new ones."""
        return self._make(ahead(datetime.now(UTC)))

    def need(self, times: Iterable[datetime]) -> list[Month]:
        """Make the months of records of these times, as `make_ahead`."""
        missing = [month for month in needed(times, datetime.now(UTC)) if month not in self._known]
        return self._make(missing) if missing else []

    def _make(self, months: Sequence[Month]) -> list[Month]:
        with self._engine.connect() as connection:
            there = months_of(connection)
        made = [month for month in months if month not in there and make(self._engine, month)]
        # One that is dropped meanwhile does no harm: its records stay in the default partition.
        self._known = frozenset(there.union(months))
        return made


def months_of(connection: Connection) -> set[Month]:
    """Return the months that are there."""
    return existing(connection.execute(_EXISTING).scalars())


def make(engine: Engine, month: Month) -> bool:
    """Make a month, with what the default partition has of it; tell whether it was not there.

    A month cannot be made while its records are in the default partition, so they are moved.
    """
    span = {"start": month.start, "end": month.next.start}
    with engine.begin() as connection:
        connection.execute(_LOCK_TIMEOUT)
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MAKING})
        if month in months_of(connection):
            return False
        connection.execute(text("SET LOCAL statement_timeout = '10min'"))
        connection.execute(text("LOCK TABLE cdrs IN ACCESS EXCLUSIVE MODE"))
        connection.execute(
            text("""
                CREATE TEMPORARY TABLE strays ON COMMIT DROP AS
                SELECT * FROM cdrs WHERE at >= :start AND at < :end
            """),
            span,
        )
        connection.execute(text("DELETE FROM cdrs WHERE at >= :start AND at < :end"), span)
        connection.execute(
            text(
                f"CREATE TABLE IF NOT EXISTS {month.table} PARTITION OF cdrs"
                f" FOR VALUES FROM ('{span['start']}') TO ('{span['end']}')"
            )
        )
        connection.execute(text("INSERT INTO cdrs SELECT * FROM strays"))
    return True
