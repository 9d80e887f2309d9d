"""The tables `users` and `registrations`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Row,
    and_,
    delete,
    exists,
    func,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from services.directory.users import KnownUser
from shared.database.tables import RegistrationRow, UserCommandRow, UserRow
from shared.messages.users import DEFAULT_GROUP
from shared.vault import Vault

_MANY = 1000
_KNOWN = tuple(getattr(UserRow, field.name) for field in fields(KnownUser))
# Who may register: a switch lets in whom it is told of without a password.
_MAY = and_(UserRow.enabled, UserRow.password.is_not(None))


@dataclass(eq=False)
class Exists(Exception):
    """Some of the users were there before."""

    keys: frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Registration:
    """What was told last of a user's phone on a switch."""

    domain: str
    extension: str
    switch: str
    registered: bool
    at: datetime


# -- for switches ----------------------------------------------------------------------------


def find(engine: Engine, domain: str, extension: str) -> KnownUser | None:
    """Return a user who may register, None where there is none."""
    query = select(*_KNOWN).where(_is(domain, extension), _MAY)
    with engine.connect() as connection:
        row = connection.execute(query).one_or_none()
    return None if row is None else _known(row)


def all_known(engine: Engine, *, most: int) -> list[KnownUser] | None:
    """Return all users who may register; None where they are more than `most`."""
    query = select(*_KNOWN).where(_MAY).limit(most + 1)
    with engine.connect() as connection:
        rows = connection.execute(query).all()
    return None if len(rows) > most else [_known(row) for row in rows]


def in_group(engine: Engine, domain: str, group: str) -> Sequence[str]:
    """Return the extensions of a group, in order."""
    has = func.coalesce(UserRow.group, DEFAULT_GROUP) == group
    query = select(UserRow.extension).where(UserRow.domain == domain, has, _MAY)
    with engine.connect() as connection:
        return connection.execute(query.order_by(UserRow.extension)).scalars().all()


def has_users(engine: Engine, domain: str) -> bool:
    """Tell whether there is any user in the domain."""
    with engine.connect() as connection:
        query = select(exists().where(UserRow.domain == domain))
        return bool(connection.execute(query).scalar())


# -- for commands ----------------------------------------------------------------------------


def begin(connection: Connection, command_id: UUID) -> str | None:
    """Take a command on; return its answer where it was carried out before.

    Whoever has the same command at the same time waits here until this transaction ends.
    """
    taken = insert(UserCommandRow).values(id=command_id, at=datetime.now(UTC))
    taken = taken.on_conflict_do_nothing(index_elements=[UserCommandRow.id])
    if connection.execute(taken.returning(UserCommandRow.id)).scalar() is not None:
        return None
    query = select(UserCommandRow.answer).where(UserCommandRow.id == command_id)
    return connection.execute(query).scalar_one()


def finish(connection: Connection, command_id: UUID, answer: str) -> None:
    """Keep what the command is answered."""
    kept = update(UserCommandRow).where(UserCommandRow.id == command_id).values(answer=answer)
    connection.execute(kept)


def forget_commands(engine: Engine, *, before: datetime) -> None:
    """Forget commands that nobody repeats any more."""
    with engine.begin() as connection:
        connection.execute(delete(UserCommandRow).where(UserCommandRow.at < before))


def without_password(engine: Engine) -> int:
    """Return how many users have no password, so that they cannot register."""
    with engine.connect() as connection:
        query = select(func.count()).select_from(UserRow).where(UserRow.password.is_(None))
        return connection.execute(query).scalar_one()


def create(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Create all these users or, with `Exists`, none."""
    created = connection.execute(
        insert(UserRow)
        .on_conflict_do_nothing(index_elements=[UserRow.domain, UserRow.extension])
        .returning(UserRow.domain, UserRow.extension),
        list(rows),
    )
    made = {(domain, extension) for domain, extension in created}
    if len(made) < len(rows):
        raise Exists(frozenset((row["domain"], row["extension"]) for row in rows) - made)


def lock(connection: Connection, domain: str, extension: str) -> Row[Any] | None:
    """Return the user's row, which nobody else changes until the transaction ends."""
    query = select(UserRow.__table__).where(_is(domain, extension)).with_for_update()
    return connection.execute(query).one_or_none()


def change(connection: Connection, domain: str, extension: str, values: Mapping[str, Any]) -> None:
    """Change the user."""
    connection.execute(update(UserRow).where(_is(domain, extension)).values(**values))


def remove(connection: Connection, domain: str, extension: str) -> bool:
    """Delete the user; return False where there is none."""
    return connection.execute(delete(UserRow).where(_is(domain, extension))).rowcount > 0


def seal_anew(
    engine: Engine, vault: Vault, reseal: Callable[[Any], Mapping[str, str] | None]
) -> int:
    """Have secrets that an older key sealed sealed by the current one; return of how many users.

    Those for whom `reseal` returns None stay as they are.
    """
    old = or_(
        UserRow.password.not_like(f"{vault.prefix}%"),
        UserRow.voicemail_password.not_like(f"{vault.prefix}%"),
    )
    key = (UserRow.domain, UserRow.extension)
    columns = (*key, UserRow.password, UserRow.voicemail_password)
    query = select(*columns).where(old).order_by(*key).limit(_MANY).with_for_update()
    done, last = 0, ("", "")
    while True:
        with engine.begin() as connection:
            rows = connection.execute(query.where(tuple_(*key) > last)).all()
            for row in rows:
                values = reseal(row)
                if values is not None:
                    change(connection, row.domain, row.extension, values)
                    done += 1
        if len(rows) < _MANY:
            return done
        last = (rows[-1].domain, rows[-1].extension)


# -- registrations ---------------------------------------------------------------------------


def keep_registrations(engine: Engine, told: Sequence[Registration]) -> None:
    """Keep what was told last, in whatever order and however often it comes."""
    latest: dict[tuple[str, str, str], Registration] = {}
    for one in sorted(told, key=lambda one: one.at):
        latest[one.domain, one.extension, one.switch] = one
    if not latest:
        return
    rows = insert(RegistrationRow).values(
        [{field.name: getattr(one, field.name) for field in fields(one)} for one in latest.values()]
    )
    kept = rows.on_conflict_do_update(
        index_elements=[RegistrationRow.domain, RegistrationRow.extension, RegistrationRow.switch],
        set_={"registered": rows.excluded.registered, "at": rows.excluded.at},
        where=RegistrationRow.at <= rows.excluded.at,
    )
    with engine.begin() as connection:
        connection.execute(kept)


def _is(domain: str, extension: str) -> ColumnElement[bool]:
    return and_(UserRow.domain == domain, UserRow.extension == extension)


def _known(row: Row[Any]) -> KnownUser:
    said = {name: value for name, value in row._mapping.items() if value is not None}
    return KnownUser(**said)
