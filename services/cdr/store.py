"""The tables `cdrs`, `calls` and `call_events`. Everything may be stored twice."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Engine, case, func, select
from sqlalchemy.dialects.postgresql import insert

from services.cdr.fold import Moment
from shared.database.engine import reaching
from shared.database.tables import CallEventRow, CallRow, CdrRow
from shared.dependency import DependencyAway


def is_ready(engine: Engine) -> bool:
    """Tell whether the tables can be written."""
    try:
        with reaching(), engine.connect() as connection:
            connection.execute(select(CdrRow.leg_id).limit(0))
            connection.execute(select(CallRow.call_id).limit(0))
    except DependencyAway:
        return False
    return True


def keep_cdrs(engine: Engine, cdrs: Sequence[Mapping[str, Any]]) -> int:
    """Store records in one statement, each leg once; return how many were new."""
    now = datetime.now(UTC)
    rows = [{**cdr, "stored_at": now} for cdr in cdrs]
    kept = insert(CdrRow).values(rows).on_conflict_do_nothing().returning(CdrRow.leg_id)
    with engine.begin() as connection:
        return len(connection.execute(kept).all())


def keep_moments(
    engine: Engine, moments: Sequence[Moment], calls: Sequence[Mapping[str, Any]]
) -> None:
    """Store events and bring their calls up to date, in one transaction."""
    rows = [
        {"call_id": m.call_id, "sequence": m.sequence, "type": m.type, "at": m.at, "data": m.data}
        for m in moments
    ]
    told = insert(CallEventRow).values(rows).on_conflict_do_nothing()
    folded = insert(CallRow).values(list(calls))
    new = folded.excluded
    known: dict[str, Any] = {
        name: func.coalesce(getattr(CallRow, name), getattr(new, name))
        for name in (
            "crm_uuid",
            "product_code",
            "direction",
            "switch",
            "created_at",
            "ended_at",
            "outcome",
            "hangup_cause",
        )
    }
    folded = folded.on_conflict_do_update(
        index_elements=[CallRow.call_id],
        set_={
            **known,
            "answered_at": func.least(CallRow.answered_at, new.answered_at),
            "sequence": func.greatest(CallRow.sequence, new.sequence),
            "state": case((new.sequence > CallRow.sequence, new.state), else_=CallRow.state),
        },
    )
    with engine.begin() as connection:
        connection.execute(told)
        connection.execute(folded)
