"""Records as people ask for them: the newest first, whatever comes in meanwhile.

`at` orders them, and a place in the list is a key of the table: rows that come in later never move
others to another page.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, CursorResult, Engine, Row, func, select

from services.gateway.reports.conditions import (
    NEWEST_FIRST,
    Condition,
    Place,
    behind,
    conditions,
    is_indexed,
    span,
)
from services.gateway.reports.reading import answering, reading
from services.gateway.reports.schemas import Cdr, CdrFilter
from shared.database.tables import CdrRow
from shared.messages.replies import Refused

_FEW = 300
_EMPTY_MONTHS = 3  # so many without a match: look where there are records at all
_BATCH = 1000
_SECONDS = 12.0

_SHOWN = [CdrRow.__table__.columns[name] for name in Cdr.model_fields]


class Records:
    """Reads of the table `cdrs`; `DependencyAway` where there is no database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def page(self, asked: CdrFilter, *, after: Place | None, limit: int) -> list[Cdr]:
        """Return the newest records that come behind a place in the list.

        Raise `Refused` where they cannot be found in time.
        """
        times = span(asked, after)
        wanted = [*conditions(asked), *times, *behind(after)]
        with reading(self._engine) as connection:
            rows = None
            if asked.number_prefix is not None:
                rows = _few(connection, wanted, limit)
            elif is_indexed(asked):
                query = select(*_SHOWN).where(*wanted).order_by(*NEWEST_FIRST)
                rows = connection.execute(query.limit(limit)).all()
            if rows is None:
                rows = _by_month(connection, wanted, times, limit)
            return [_cdr(row) for row in rows]

    def export(self, asked: CdrFilter) -> "Export":
        """Return all records that were asked for, the newest first, as they are now."""
        query = select(*_SHOWN).where(*conditions(asked), *span(asked, None))
        with ExitStack() as undo:
            connection = undo.enter_context(reading(self._engine))
            cursor = connection.execution_options(stream_results=True, max_row_buffer=_BATCH)
            result = cursor.execute(query.order_by(*NEWEST_FIRST))
            undo.callback(result.close)
            return Export(result, result.fetchmany(_BATCH), undo.pop_all())


class Export:
    """Records that are read while they are sent, on a connection that stays taken until `close`."""

    def __init__(
        self, result: CursorResult[Any], first: Sequence[Row[Any]], undo: ExitStack
    ) -> None:
        self._result = result
        self._first = first
        self._undo = undo

    def batches(self) -> Iterator[list[dict[str, Any]]]:
        """Give the records by column, some at a time."""
        rows = self._first
        while rows:
            yield [dict(row._mapping) for row in rows]
            with answering():
                rows = self._result.fetchmany(_BATCH)

    def close(self) -> None:
        """Give the connection back."""
        self._undo.close()


def _few(
    connection: Connection, wanted: Sequence[Condition], limit: int
) -> Sequence[Row[Any]] | None:
    """Return the newest of what is found where that is little; None where it is much.

    Asked for the newest at once, PostgreSQL would look through all months for a rare number.
    """
    some = select(*_SHOWN).where(*wanted).limit(_FEW).subquery()
    counted = select(some, func.count().over().label("found")).limit(limit)
    query = counted.order_by(some.c.at.desc(), some.c.switch, some.c.leg_id)
    rows = connection.execute(query).all()
    return None if rows and rows[0].found >= _FEW else rows


def _by_month(
    connection: Connection, wanted: Sequence[Condition], times: Sequence[Condition], limit: int
) -> Sequence[Row[Any]]:
    """Return the newest of what is found, month by month back in time.

    Each month is asked as its own statistics advise: of a filter that only old months match, the
    newer ones are not read through.
    """
    deadline = time.monotonic() + _SECONDS
    query = select(*_SHOWN).where(*wanted).order_by(*NEWEST_FIRST)
    rows: list[Row[Any]] = []
    end, empty = _after_newest(connection, times), 0
    while end is not None and len(rows) < limit:
        if time.monotonic() > deadline:
            raise Refused("too_much", "query: that finds little in much; give started_from")
        begin = _month_before(end)
        month = query.where(CdrRow.at >= begin, CdrRow.at < end).limit(limit - len(rows))
        found = connection.execute(month).all()
        rows += found
        end, empty = begin, 0 if found else empty + 1
        if empty == _EMPTY_MONTHS:
            end, empty = _after_newest(connection, [*times, CdrRow.at < begin]), 0
    return rows


def _after_newest(connection: Connection, times: Sequence[Condition]) -> datetime | None:
    """Return when the month of the newest record ends; None where there is no record."""
    newest = connection.scalar(select(func.max(CdrRow.at)).where(*times))
    if newest is None:
        return None
    return (_month_of(newest) + timedelta(days=31 + 1)).replace(day=1)


def _month_before(end: datetime) -> datetime:
    return _month_of(end - timedelta(days=1))


def _month_of(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def _cdr(row: Row[Any]) -> Cdr:
    return Cdr.model_validate(row, from_attributes=True)
