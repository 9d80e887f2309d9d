"""Which legs' records are in the database."""

from collections.abc import Iterable

from sqlalchemy import Engine, select, tuple_

from services.cdr.spilled import Key
from shared.database.engine import reaching
from shared.database.tables import CdrLegRow

_AT_ONCE = 1000


def stored_of(engine: Engine, keys: Iterable[Key]) -> set[Key]:
    """Return those of these legs whose records are stored; raise `DependencyAway`."""
    wanted = list(keys)
    found: set[Key] = set()
    with reaching(), engine.connect() as connection:
        for begin in range(0, len(wanted), _AT_ONCE):
            these = tuple_(CdrLegRow.switch, CdrLegRow.leg_id).in_(wanted[begin : begin + _AT_ONCE])
            rows = connection.execute(select(CdrLegRow.switch, CdrLegRow.leg_id).where(these))
            found.update((row.switch, row.leg_id) for row in rows)
    return found
