"""Records that are forgotten when somebody says so, with their calls and their timelines.

In pieces: the tables stay free for the writer in between, and what is done stays done where it is
interrupted.
"""

import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import Connection, Engine, delete, func, select
from sqlalchemy.orm import InstrumentedAttribute

from shared.database.engine import reaching
from shared.database.tables import CallEventRow, CallRow, CdrLegRow, CdrRow, CdrVariantRow
from shared.dependency import DependencyAway
from shared.messages.commands import Command, ForgetCdrs, Ordered

_PIECE = 5000

log = structlog.get_logger(__name__)


class Forgetting:
    """Carries out `cdr.forget`; what it is stopped in, the next process ends."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._stopping = threading.Event()

    @property
    def handlers(self) -> Mapping[type[Command], Callable[[Any], Mapping[str, Any]]]:
        """The commands that it carries out, each with its handler."""
        return {ForgetCdrs: self.forget_cdrs}

    def stop(self) -> None:
        """Begin no further piece."""
        self._stopping.set()

    def forget_cdrs(self, ordered: Ordered) -> Mapping[str, Any]:
        """Forget, and tell how many legs' records that were."""
        assert isinstance(ordered.command, ForgetCdrs)  # noqa: S101  (by the table of handlers)
        before = ordered.command.before
        with reaching():
            deleted = forget(self._engine, before, stopping=self._stopping.is_set)
        log.info("records forgotten", before=str(before), deleted=deleted)
        return {"deleted": deleted}


def forget(
    engine: Engine,
    before: datetime,
    *,
    piece: int = _PIECE,
    stopping: Callable[[], bool] = lambda: False,
) -> int:
    """Delete what began before a moment; return how many legs' records that were.

    The record goes before what says that its leg is stored: interrupted in between, the leg is
    stored and forgotten, but never stored twice. Raise `DependencyAway` where `stopping` says so.
    """
    total = 0
    for column, delete_until in (
        (CdrRow.at, _delete_cdrs),
        (CdrLegRow.at, _delete_legs),
        (CallRow.at, _delete_calls),
    ):
        while True:
            if stopping():
                raise DependencyAway("this process is ending")
            with engine.begin() as connection:
                edge = _edge(connection, column, before, piece)
                if edge is None:
                    break
                total += delete_until(connection, edge)
    return total


def _edge(
    connection: Connection, column: InstrumentedAttribute[datetime], before: datetime, piece: int
) -> datetime | None:
    """Return up to when the next piece reaches; None where nothing is left."""
    oldest = select(column).where(column < before).order_by(column).limit(piece).subquery()
    edge: datetime | None = connection.scalar(select(func.max(oldest.c.at)))
    return edge


def _delete_cdrs(connection: Connection, edge: datetime) -> int:
    return connection.execute(delete(CdrRow).where(CdrRow.at <= edge)).rowcount


def _delete_legs(connection: Connection, edge: datetime) -> int:
    gone = (
        delete(CdrLegRow)
        .where(CdrLegRow.at <= edge)
        .returning(CdrLegRow.switch, CdrLegRow.leg_id)
        .cte("gone")
    )
    variants = delete(CdrVariantRow).where(
        CdrVariantRow.switch == gone.c.switch, CdrVariantRow.leg_id == gone.c.leg_id
    )
    connection.execute(variants.add_cte(gone))
    return 0


def _delete_calls(connection: Connection, edge: datetime) -> int:
    gone = delete(CallRow).where(CallRow.at <= edge).returning(CallRow.call_id).cte("gone")
    events = delete(CallEventRow).where(CallEventRow.call_id == gone.c.call_id)
    connection.execute(events.add_cte(gone))
    return 0
