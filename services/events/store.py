"""What the database knows of commands and phones. Read only: both tables are others'."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, select

from shared.database.tables import CommandRow, RegistrationRow

_ORIGINATE = "call.originate"
_MOST = 2000


@dataclass(frozen=True, slots=True)
class Dialled:
    """A call that a dialer began to place, and what the switch answered; None: nobody knows."""

    call_id: str
    data: dict[str, Any]
    at: datetime
    answer: str | None


def dialled(engine: Engine, switch: str, since: datetime, until: datetime) -> Sequence[Dialled]:
    """Return the calls of a switch that were begun in this time, the oldest first."""
    rows = (
        select(CommandRow.id, CommandRow.data, CommandRow.claimed_at, CommandRow.answer)
        .where(CommandRow.switch == switch, CommandRow.name == _ORIGINATE)
        .where(CommandRow.claimed_at > since, CommandRow.claimed_at <= until)
        .order_by(CommandRow.claimed_at)
        .limit(_MOST)
    )
    with engine.connect() as connection:
        return [
            Dialled(str(row.id), row.data, row.claimed_at, row.answer)
            for row in connection.execute(rows)
        ]


def registered(engine: Engine, switch: str) -> list[tuple[str, str]]:
    """Return extension and domain of who was told to be registered on a switch."""
    rows = select(RegistrationRow.extension, RegistrationRow.domain).where(
        RegistrationRow.switch == switch, RegistrationRow.registered
    )
    with engine.connect() as connection:
        return [(row.extension, row.domain) for row in connection.execute(rows)]
