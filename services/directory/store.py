"""The `users` table."""

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import Engine, delete, select
from sqlalchemy.dialects.postgresql import insert

from shared.database.tables import UserRow


def find(engine: Engine, domain: str, extension: str) -> str | None:
    """Return the user's password hash, None where there is no such user."""
    query = select(UserRow.a1_hash).where(UserRow.domain == domain, UserRow.extension == extension)
    with engine.connect() as connection:
        return connection.execute(query).scalar()


def create(engine: Engine, domain: str, extension: str, *, a1_hash: str, created_by: UUID) -> bool:
    """Create the user; return False where another command created it before.

    The same command again finds its own work, and brings its password with it.
    """
    row = {
        "domain": domain,
        "extension": extension,
        "a1_hash": a1_hash,
        "created_by": created_by,
        "created_at": datetime.now(UTC),
    }
    created = insert(UserRow).values(row)
    created = created.on_conflict_do_update(
        index_elements=[UserRow.domain, UserRow.extension],
        set_={"a1_hash": created.excluded.a1_hash},
        where=UserRow.created_by == created_by,
    )
    with engine.begin() as connection:
        return connection.execute(created.returning(UserRow.extension)).scalar() is not None


def remove(engine: Engine, domain: str, extension: str) -> bool:
    """Delete the user; return False where there is none."""
    gone = delete(UserRow).where(UserRow.domain == domain, UserRow.extension == extension)
    with engine.begin() as connection:
        removed: Sequence[str] = (
            connection.execute(gone.returning(UserRow.extension)).scalars().all()
        )
    return bool(removed)
