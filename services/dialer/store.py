"""The `commands` table: what was begun, by which a repeated command is known."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Engine, delete, select, update
from sqlalchemy.dialects.postgresql import insert

from shared.database.tables import CommandRow


def claim(
    engine: Engine, command_id: UUID, *, name: str, data: dict[str, Any], switch: str
) -> bool:
    """Commit that the command is being carried out; return False if it was before."""
    row = {
        "id": command_id,
        "name": name,
        "data": data,
        "switch": switch,
        "claimed_at": datetime.now(UTC),
    }
    claimed = (
        insert(CommandRow)
        .values(row)
        .on_conflict_do_nothing(index_elements=[CommandRow.id])
        .returning(CommandRow.id)
    )
    with engine.begin() as connection:
        return connection.execute(claimed).scalar() is not None


def answer(engine: Engine, command_id: UUID, reply: str) -> None:
    """Keep what the switch said, for whoever sends the command again."""
    kept = (
        update(CommandRow)
        .where(CommandRow.id == command_id)
        .values(answer=reply, answered_at=datetime.now(UTC))
    )
    with engine.begin() as connection:
        connection.execute(kept)


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
