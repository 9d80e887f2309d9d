"""What the gateway reads. It writes nothing here."""

from collections.abc import Sequence
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import Engine, Select, exists, func, select
from sqlalchemy.orm import Session

from services.gateway.schemas import User
from shared.database.engine import reaching
from shared.database.tables import (
    Base,
    CallEventRow,
    CallRow,
    CommandRow,
    RegistrationRow,
    UserRow,
)
from shared.messages.users import DEFAULT_GROUP

Row = TypeVar("Row", bound=Base)

_REGISTERED = exists().where(
    RegistrationRow.domain == UserRow.domain,
    RegistrationRow.extension == UserRow.extension,
    RegistrationRow.registered,
)
_SHOWN = [
    column
    for column in UserRow.__table__.columns
    if column.name in User.model_fields and column.name != "voicemail_password"
]
_USERS = select(
    *_SHOWN,
    _REGISTERED.label("registered"),
    UserRow.password.is_not(None).label("has_password"),
)


class Store:
    """Reads of the tables; `DependencyAway` where there is no database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def live_calls(self, *, after: str | None, limit: int) -> Sequence[CallRow]:
        """Return calls that have not ended, by id, beginning behind `after`.

        Of a call without a beginning only records are there: it is over.
        """
        query = select(CallRow).where(CallRow.ended_at.is_(None), CallRow.created_at.is_not(None))
        query = query.order_by(CallRow.call_id)
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

    def user(self, domain: str, extension: str) -> User | None:
        """Return a user."""
        query = _USERS.where(UserRow.domain == domain, UserRow.extension == extension)
        found = self._users(query)
        return found[0] if found else None

    def users(
        self,
        domain: str,
        *,
        group: str | None,
        registered: bool | None,
        after: str | None,
        limit: int,
    ) -> list[User]:
        """Return users by extension, beginning behind `after`."""
        query = _USERS.where(UserRow.domain == domain).order_by(UserRow.extension)
        if group is not None:
            query = query.where(func.coalesce(UserRow.group, DEFAULT_GROUP) == group)
        if registered is not None:
            query = query.where(_REGISTERED if registered else ~_REGISTERED)
        if after is not None:
            query = query.where(UserRow.extension > after)
        return self._users(query.limit(limit))

    def _users(self, query: Select[Any]) -> list[User]:
        with reaching(), self._engine.connect() as connection:
            return [User.model_validate(row._mapping) for row in connection.execute(query)]

    def _all(self, query: Select[Row]) -> Sequence[Row]:
        with reaching(), Session(self._engine) as session:
            return session.scalars(query).all()

    def _one(self, query: Select[Row]) -> Row | None:
        with reaching(), Session(self._engine) as session:
            return session.scalars(query).one_or_none()
