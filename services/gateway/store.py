"""What the gateway reads. It writes nothing."""

from collections.abc import Sequence
from typing import TypeVar
from uuid import UUID

from sqlalchemy import Engine, Select, select, tuple_
from sqlalchemy.orm import Session

from shared.database.engine import reaching
from shared.database.tables import (
    Base,
    CallEventRow,
    CallRow,
    CdrRow,
    CommandRow,
    UserRow,
)

Row = TypeVar("Row", bound=Base)


class Store:
    """Reads of the tables; `DependencyAway` where there is no database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def live_calls(self, *, after: str | None, limit: int) -> Sequence[CallRow]:
        """Return calls that have not ended, by id, beginning behind `after`."""
        query = select(CallRow).where(CallRow.ended_at.is_(None)).order_by(CallRow.call_id)
        if after is not None:
            query = query.where(CallRow.call_id > after)
        return self._all(query.limit(limit))

    def call(self, call_id: str) -> CallRow | None:
        """Return a call as it stands."""
        return self._one(select(CallRow).where(CallRow.call_id == call_id))

    def timeline(self, call_id: str) -> Sequence[CallEventRow]:
        """Return what happened to a call, in order."""
        query = select(CallEventRow).where(CallEventRow.call_id == call_id)
        return self._all(query.order_by(CallEventRow.sequence))

    def command(self, command_id: UUID) -> CommandRow | None:
        """Return a command that somebody began to carry out."""
        return self._one(select(CommandRow).where(CommandRow.id == command_id))

    def cdrs(
        self, *, call_id: str | None, crm_uuid: str | None, after: list[str] | None, limit: int
    ) -> Sequence[CdrRow]:
        """Return CDRs by call and leg, beginning behind `after`."""
        order = (CdrRow.call_id, CdrRow.leg_id, CdrRow.switch)
        query = select(CdrRow).order_by(*order)
        if call_id is not None:
            query = query.where(CdrRow.call_id == call_id)
        if crm_uuid is not None:
            query = query.where(CdrRow.crm_uuid == crm_uuid)
        if after is not None:
            query = query.where(tuple_(*order) > tuple_(*after))
        return self._all(query.limit(limit))

    def user(self, domain: str, extension: str) -> UserRow | None:
        """Return a user."""
        return self._one(
            select(UserRow).where(UserRow.domain == domain, UserRow.extension == extension)
        )

    def users(self, domain: str, *, after: str | None, limit: int) -> Sequence[UserRow]:
        """Return users by extension, beginning behind `after`."""
        query = select(UserRow).where(UserRow.domain == domain).order_by(UserRow.extension)
        if after is not None:
            query = query.where(UserRow.extension > after)
        return self._all(query.limit(limit))

    def _all(self, query: Select[Row]) -> Sequence[Row]:
        with reaching(), Session(self._engine) as session:
            return session.scalars(query).all()

    def _one(self, query: Select[Row]) -> Row | None:
        with reaching(), Session(self._engine) as session:
            return session.scalars(query).one_or_none()
