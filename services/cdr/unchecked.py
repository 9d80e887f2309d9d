"""The calls that are to be checked for completeness, and what was found of them."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, TypeAlias

from sqlalchemy import Connection, Row, and_, func, insert, or_, select, text, tuple_, update

from services.cdr.completeness import Known, Missing
from services.cdr.stored import stored_in
from shared.database.tables import CallEventRow, CallRow, CdrNewsRow, CdrRow
from shared.messages.event_data import CdrMissing
from shared.messages.events import microseconds

AT_ONCE = 500
UNKNOWN = "unknown"

Place: TypeAlias = tuple[datetime, str]  # of a call in the order in which they are checked
Call: TypeAlias = Row[Any]

_COLUMNS: tuple[Any, ...] = (
    CallRow.call_id,
    CallRow.at,
    CallRow.crm_uuid,
    CallRow.product_code,
    CallRow.switch,
    CallRow.direction,
    CallRow.queue,
    CallRow.campaign,
    CallRow.ended_at,
    CallRow.records,
    CallRow.recorded_ended_at,
)


def due(connection: Connection, *, before: datetime, after: Place | None) -> Sequence[Call]:
    """Return calls that ended, by events or records, before a time and were never checked.

    They are locked, and those that somebody else has locked are left out.
    """
    recorded_at = func.coalesce(CallRow.recorded_ended_at, CallRow.at)
    told = CallRow.ended_at < before
    recorded = and_(CallRow.ended_at.is_(None), CallRow.records > 0, recorded_at < before)
    return _locked(connection, CallRow.checked_at.is_(None), or_(told, recorded), after=after)


def incomplete(connection: Connection, *, since: datetime, after: Place | None) -> Sequence[Call]:
    """Return calls of which something was missing when they were checked, locked."""
    return _locked(
        connection, text("missing <> '[]'::jsonb"), CallRow.checked_at > since, after=after
    )


def _locked(connection: Connection, *which: Any, after: Place | None) -> Sequence[Call]:
    wanted = select(*_COLUMNS).where(*which)
    if after is not None:
        wanted = wanted.where(tuple_(CallRow.at, CallRow.call_id) > after)
    wanted = wanted.order_by(CallRow.at, CallRow.call_id).limit(AT_ONCE)
    return connection.execute(wanted.with_for_update(skip_locked=True)).all()


def known(connection: Connection, calls: Sequence[Call]) -> dict[str, Known]:
    """Return what events and records say of the legs of these calls."""
    made: dict[str, set[str]] = defaultdict(set)
    ended: dict[str, set[str]] = defaultdict(set)
    recorded: dict[str, set[str]] = defaultdict(set)
    legs: dict[tuple[str, str], str] = {}
    by_id = {call.call_id: call for call in calls}
    for moment in _moments(connection, by_id):
        if not isinstance(moment.leg_id, str):
            continue
        (made if moment.type == "leg.created" else ended)[moment.call_id].add(moment.leg_id)
        legs[by_id[moment.call_id].switch or UNKNOWN, moment.leg_id] = moment.call_id
    rows = select(CdrRow.call_id, CdrRow.leg_id).where(CdrRow.call_id.in_(by_id))
    for row in connection.execute(rows):
        recorded[row.call_id].add(row.leg_id)
    # A record that does not name its call stands under its leg's id.
    for key in stored_in(connection, legs):
        recorded[legs[key]].add(key[1])
    return {
        call.call_id: Known(
            ended_at=call.ended_at,
            made=made[call.call_id],
            ended=ended[call.call_id],
            recorded=recorded[call.call_id],
            recorded_at=(call.recorded_ended_at or call.at) if call.records else None,
        )
        for call in calls
    }


def _moments(connection: Connection, call_ids: Iterable[str]) -> Iterable[Row[Any]]:
    leg_id = CallEventRow.data["leg_id"].astext.label("leg_id")
    return connection.execute(
        select(CallEventRow.call_id, CallEventRow.type, leg_id).where(
            CallEventRow.call_id.in_(list(call_ids)),
            CallEventRow.type.in_(["leg.created", "leg.ended"]),
        )
    )


def keep(
    connection: Connection,
    complete: Sequence[str],
    missing: Sequence[tuple[Call, Missing]],
    at: datetime,
) -> None:
    """Write down what was found, and what is to be told of it."""
    if complete:
        row = update(CallRow).where(CallRow.call_id.in_(complete))
        connection.execute(row.values(checked_at=at, missing=[]))
    for what in {each.what for _, each in missing}:
        ids = [call.call_id for call, each in missing if each.what == what]
        row = update(CallRow).where(CallRow.call_id.in_(ids))
        connection.execute(row.values(checked_at=at, missing=[what]))
    if missing:
        news = [_news(call, each, at) for call, each in missing]
        connection.execute(insert(CdrNewsRow), news)


def keep_late(connection: Connection, complete: Sequence[str]) -> None:
    """Write down that what was missing has come."""
    connection.execute(update(CallRow).where(CallRow.call_id.in_(complete)).values(missing=[]))


def _news(call: Call, missing: Missing, at: datetime) -> dict[str, Any]:
    switch = call.switch or UNKNOWN
    told = CdrMissing(
        call_id=call.call_id,
        crm_uuid=call.crm_uuid,
        product_code=call.product_code,
        switch=switch,
        direction=call.direction,
        queue=call.queue,
        campaign=call.campaign,
        missing=missing.what,
        leg_ids=list(missing.leg_ids),
    )
    return {
        "type": CdrMissing.TYPE,
        "subject": f"{switch}/{call.call_id}",
        "at": microseconds(at),
        "fact": missing.what,
        "data": told.model_dump(),
    }
