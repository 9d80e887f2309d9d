"""The `commands` table: what was begun, by which a repeated command is known.

Each function is one statement, and one question to an engine that commits by itself.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Engine, bindparam, delete, select, update
from sqlalchemy.dialects.postgresql import insert

from shared.database.tables import CommandRow, UserRow

_CLAIM = (
    insert(CommandRow)
    .on_conflict_do_nothing(index_elements=[CommandRow.id])
    .returning(
        CommandRow.id,
        select(UserRow.outbound_caller_id_number)
        .where(UserRow.domain == bindparam("user_domain"))
        .where(UserRow.extension == bindparam("user_extension"))
        .scalar_subquery()
        .label("caller_id"),
    )
)
_ANSWER = (
    update(CommandRow)
    .where(CommandRow.id == bindparam("command_id"))
    .values(answer=bindparam("reply"), answered_at=bindparam("at"))
)


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to carry a command out, and the caller id of the agent that it names, if any."""

    caller_id: str | None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a switch said to a command, and when."""

    command_id: UUID
    reply: str
    at: datetime


def claim(  # noqa: PLR0913
    engine: Engine, command_id: UUID, *, name: str, data: dict[str, Any], switch: str, domain: str
) -> Claim | None:
    """Commit that the command is being carried out; return None if it was before."""
    row = {
        "id": command_id,
        "name": name,
        "data": data,
        "switch": switch,
        "claimed_at": datetime.now(UTC),
        "user_domain": domain,
        "user_extension": data["extension"],
    }
    with engine.begin() as connection:
        claimed = connection.execute(_CLAIM, row).one_or_none()
    return None if claimed is None else Claim(claimed.caller_id)


def keep_answers(engine: Engine, answers: Sequence[Answer]) -> None:
    """Keep what switches said, for whoever sends one of the commands again."""
    with engine.begin() as connection:
        connection.execute(_ANSWER, [asdict(answer) for answer in answers])


def release(engine: Engine, command_id: UUID) -> None:
    """Forget a claim on which nothing was done."""
    with engine.begin() as connection:
        connection.execute(delete(CommandRow).where(CommandRow.id == command_id))


def find(engine: Engine, command_id: UUID) -> CommandRow | None:
    """Return the command as it was begun."""
    with engine.connect() as connection:
        found = connection.execute(
            select(CommandRow.__table__).where(CommandRow.id == command_id)
        ).one_or_none()
    return None if found is None else CommandRow(**found._mapping)
