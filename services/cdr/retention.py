"""What is older than it is to be kept goes: months as a whole, the rest in pieces."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine, text

from services.cdr.months import expired
from services.cdr.partitions import EXPIRING, months_of

_AT_ONCE = 5_000
# Who only reads for long must not have all others wait behind us.
_LOCK_TIMEOUT = text("SET lock_timeout = '3s'")

# The records of the month in which the limit lies, and of those for which there is no month.
_CDRS = """
    WITH old AS (SELECT switch, leg_id, at FROM cdrs WHERE at < :limit LIMIT :most)
    DELETE FROM cdrs USING old
    WHERE (cdrs.switch, cdrs.leg_id, cdrs.at) = (old.switch, old.leg_id, old.at)
"""
_LEGS = """
    DELETE FROM cdr_legs
    WHERE ctid = ANY (ARRAY (SELECT ctid FROM cdr_legs WHERE at < :limit LIMIT :most))
"""
_VARIANTS = """
    DELETE FROM cdr_variants
    WHERE ctid = ANY (ARRAY (SELECT ctid FROM cdr_variants WHERE received_at < :limit LIMIT :most))
"""
_CALLS = """
    WITH gone AS (
        DELETE FROM calls
        WHERE ctid = ANY (ARRAY (SELECT ctid FROM calls WHERE at < :limit LIMIT :most))
        RETURNING call_id
    ), told AS (
        DELETE FROM call_events USING gone WHERE call_events.call_id = gone.call_id
    )
    SELECT FROM gone
"""
# The leg after its record: the other way round, one that is posted again would be stored again.
_PIECES = {"cdrs": _CDRS, "cdr_legs": _LEGS, "cdr_variants": _VARIANTS, "calls": _CALLS}


def drop_old(
    engine: Engine, now: datetime, keep_days: int, *, at_once: int = _AT_ONCE
) -> dict[str, int] | None:
    """Delete what is older than `keep_days`; return how much went of each table.

    `months` are those that were dropped as a whole. None where another process is at it.
    """
    limit = now - timedelta(days=keep_days)
    with _alone(engine) as connection:
        if connection is None:
            return None
        months = expired(months_of(connection), now=now, keep_days=keep_days)
        for month in months:
            connection.execute(text(f"DROP TABLE IF EXISTS {month.table}"))
        counts = {"months": len(months)}
        for table, statement in _PIECES.items():
            counts[table] = 0
            while gone := connection.execute(
                text(statement), {"limit": limit, "most": at_once}
            ).rowcount:
                counts[table] += gone
        return counts


@contextmanager
def _alone(engine: Engine) -> Iterator[Connection | None]:
    """Give a connection on which each statement is a transaction; none where another one has it."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        key = {"key": EXPIRING}
        if not connection.execute(text("SELECT pg_try_advisory_lock(:key)"), key).scalar():
            yield None
            return
        connection.execute(_LOCK_TIMEOUT)
        try:
            yield connection
        finally:
            # It ends with the session, and so do the lock and the timeout.
            connection.invalidate()
