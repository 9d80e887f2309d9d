"""Which legs' records are in the database."""

from collections import defaultdict
from collections.abc import Iterable

from sqlalchemy import Connection, Engine, select

from services.cdr.spilled import Key
from shared.database.engine import reaching
from shared.database.tables import CdrLegRow

_AT_ONCE = 1000


def stored_of(engine: Engine, keys: Iterable[Key]) -> set[Key]:
    """Return those of these legs whose records are stored; raise `DependencyAway`."""
    with reaching(), engine.connect() as connection:
        return stored_in(connection, keys)


def stored_in(connection: Connection, keys: Iterable[Key]) -> set[Key]:
    """Return those of these legs whose records are stored."""
    # One question a switch: PostgreSQL finds a list of pairs by reading the whole table.
    by_switch: dict[str, list[str]] = defaultdict(list)
    for switch, leg_id in keys:
        by_switch[switch].append(leg_id)
    found: set[Key] = set()
    for switch, legs in by_switch.items():
        for begin in range(0, len(legs), _AT_ONCE):
            these = CdrLegRow.leg_id.in_(legs[begin : begin + _AT_ONCE])
            wanted = select(CdrLegRow.leg_id).where(CdrLegRow.switch == switch, these)
            found.update((switch, leg_id) for leg_id in connection.scalars(wanted))
    return found
