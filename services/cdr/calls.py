"""The tables `calls` and `call_events`: a call's row, folded from its events and its records.

Whoever changes a call locks its row first, by `call_id` in one order, and then looks at what is
stored of it: so nothing is lost between two who do it at once.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Engine, select, text, tuple_

from services.cdr.agreement import disagreements
from services.cdr.fold import DECISIVE, SHARED, Moment, fold, legs_of
from services.cdr.rows import encoded
from services.cdr.verdict import judge
from shared.database.tables import CallEventRow, CallRow, CdrRow

Columns = Mapping[str, Any]

# Locked even where nothing is updated.
_LOCK = text("""
    INSERT INTO calls (call_id, at, sequence, state, records)
    SELECT call_id, at, 0, 'recorded', 0 FROM jsonb_populate_recordset(NULL::calls, :calls)
    ON CONFLICT (call_id) DO UPDATE SET records = calls.records WHERE false
""")
# Of a month that has just begun the server knows too little, and would read all of it.
_RECORDS = text("""
    SET LOCAL enable_seqscan = off;
    SELECT call_id, switch, leg_id, at FROM cdrs WHERE call_id = ANY (:call_ids)
""")
_KEEP_EVENTS = text("""
    INSERT INTO call_events
    SELECT * FROM jsonb_populate_recordset(NULL::call_events, :events) ON CONFLICT DO NOTHING
""")
_TOLD = (
    *SHARED,
    "created_at",
    "ended_at",
    "outcome",
    "hangup_cause",
    "ring_ms",
    "talk_ms",
)
_KEEP_CALLS = text(f"""
    INSERT INTO calls (call_id, at, sequence, state, answered_at, records, {", ".join(_TOLD)})
    SELECT call_id, at, sequence, state, answered_at, 0, {", ".join(_TOLD)}
    FROM jsonb_populate_recordset(NULL::calls, :calls)
    ON CONFLICT (call_id) DO UPDATE SET
        {", ".join(f"{name} = coalesce(excluded.{name}, calls.{name})" for name in _TOLD)},
        at = least(calls.at, excluded.at),
        answered_at = least(calls.answered_at, excluded.answered_at),
        sequence = greatest(calls.sequence, excluded.sequence),
        state = CASE
            WHEN excluded.sequence > calls.sequence OR calls.state = 'recorded'
            THEN excluded.state ELSE calls.state
        END
    RETURNING call_id, ended_at
""")  # noqa: S608  (names of our own)
_RECORDED = (
    "records",
    "recorded_outcome",
    "recorded_cause",
    "recorded_started_at",
    "recorded_answered_at",
    "recorded_ended_at",
    "recorded_ring_ms",
    "recorded_talk_ms",
)
_SETTLED = ("at", *_TOLD, *_RECORDED, "disagrees")
_SETTLE = text(f"""
    UPDATE calls SET {", ".join(f"{name} = settled.{name}" for name in _SETTLED)}
    FROM jsonb_populate_recordset(NULL::calls, :calls) settled
    WHERE calls.call_id = settled.call_id
""")  # noqa: S608


def keep_moments(engine: Engine, moments: Sequence[Moment], folded: Sequence[Columns]) -> list[str]:
    """Store events and bring their calls up to date, in one transaction.

    `folded` are the moments of each call, folded, in the order of `call_id`. Return the calls whose
    events and records were found to differ.
    """
    # In one order, so that of two of us none holds an event that the other waits for.
    rows = [
        {"call_id": m.call_id, "sequence": m.sequence, "type": m.type, "at": m.at, "data": m.data}
        for m in sorted(moments, key=lambda moment: (moment.call_id, moment.sequence))
    ]
    with engine.begin() as connection:
        connection.execute(_KEEP_EVENTS, {"events": encoded(rows)})
        found = connection.execute(_KEEP_CALLS, {"calls": encoded(folded)})
        settled = {call_id for call_id, ended_at in found if ended_at is not None}
        settled |= {moment.call_id for moment in moments if moment.type in DECISIVE}
        return _settle(connection, sorted(settled), {}) if settled else []


def add_records(connection: Connection, cdrs: Sequence[Columns]) -> list[str]:
    """Bring the calls of new records up to date, from all their records.

    `cdrs` are stored already, in the same transaction. Return the calls whose events and records
    were found to differ.
    """
    records: dict[str, list[Columns]] = defaultdict(list)
    for cdr in cdrs:
        records[cdr["call_id"]].append(cdr)
    call_ids = sorted(records)
    begun = [
        {"call_id": call_id, "at": min(cdr["at"] for cdr in records[call_id])}
        for call_id in call_ids
    ]
    connection.execute(_LOCK, {"calls": encoded(begun)})
    for cdr in _others(connection, call_ids, cdrs):
        records[cdr["call_id"]].append(cdr)
    return _settle(connection, call_ids, records)


def _others(
    connection: Connection, call_ids: Sequence[str], cdrs: Sequence[Columns]
) -> list[Columns]:
    """Return the records of calls but for those that are at hand, which are most."""
    at_hand = {(cdr["switch"], cdr["leg_id"]) for cdr in cdrs}
    keys = connection.execute(_RECORDS, {"call_ids": call_ids})
    others = [(switch, leg, at) for _, switch, leg, at in keys if (switch, leg) not in at_hand]
    if not others:
        return []
    key = tuple_(CdrRow.switch, CdrRow.leg_id, CdrRow.at)
    rows = connection.execute(select(CdrRow.__table__).where(key.in_(others)))
    return [dict(row._mapping) for row in rows]


def _settle(
    connection: Connection, call_ids: Sequence[str], records: Mapping[str, Sequence[Columns]]
) -> list[str]:
    """Fold calls, whose rows are locked, from what is stored of them.

    `records` are all that calls have; a call that is not in it keeps what records said of it.
    Return the calls that came to disagree.
    """
    moments = _moments(connection, call_ids)
    rows = connection.execute(select(CallRow.__table__).where(CallRow.call_id.in_(call_ids)))
    calls = {row.call_id: dict(row._mapping) for row in rows}
    unread = [call_id for call_id in call_ids if call_id not in records]
    legs = _recorded_legs(connection, unread)
    settled, disagreeing = [], []
    for call_id in call_ids:
        before, own = calls[call_id], moments[call_id]
        told = fold(own)
        call = before | {name: told[name] for name in _TOLD if told[name] is not None}
        if call_id in records:
            judged = judge(records[call_id])
            call |= {name: judged[name] for name in _RECORDED}
            call |= {name: judged[name] for name in SHARED if told[name] is None}
            call["at"] = min(call["at"], judged["at"])
            legs[call_id] = {record["leg_id"] for record in records[call_id]}
        is_known = call["ended_at"] is not None and legs_of(own) <= legs[call_id]
        call["disagrees"] = disagreements(call) if is_known else None
        settled.append({"call_id": call_id} | {name: call[name] for name in _SETTLED})
        if call["disagrees"] and not before["disagrees"]:
            disagreeing.append(call_id)
    connection.execute(_SETTLE, {"calls": encoded(settled)})
    return disagreeing


def _moments(connection: Connection, call_ids: Sequence[str]) -> Mapping[str, list[Moment]]:
    """Return the moments of calls that decide something, or tell of a leg."""
    query = select(
        CallEventRow.call_id,
        CallEventRow.sequence,
        CallEventRow.type,
        CallEventRow.at,
        CallEventRow.data,
    ).where(
        CallEventRow.call_id.in_(call_ids),
        CallEventRow.type.in_(("call.created", "leg.created", *DECISIVE)),
    )
    moments: dict[str, list[Moment]] = defaultdict(list)
    for row in connection.execute(query):
        moments[row.call_id].append(Moment(*row))
    return moments


def _recorded_legs(connection: Connection, call_ids: Sequence[str]) -> dict[str, set[str]]:
    legs: dict[str, set[str]] = defaultdict(set)
    if call_ids:
        for call_id, _, leg_id, _ in connection.execute(_RECORDS, {"call_ids": call_ids}):
            legs[call_id].add(leg_id)
    return legs
