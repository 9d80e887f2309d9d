"""Records of calls that are made up, and what the database has of them."""

import secrets
from datetime import UTC, datetime

import orjson
from sqlalchemy import select
from sqlalchemy.orm import Session

from shared.database.tables import CallRow, CdrRow
from shared.messages.events import Event, microseconds
from tests.shared.broker.amqp import delivered

START = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)


def record(leg_id, *, call_id="", at=START, seconds=2, **variables):
    """Return the body of a leg's record, which was answered a second after it began."""
    start = microseconds(at)
    named = {"call_id": call_id} if call_id else {}
    times = {"start_uepoch": start, "answer_uepoch": start + 1_000_000}
    times["end_uepoch"] = start + (1 + seconds) * 1_000_000
    said = {name: str(value) for name, value in times.items()}
    said |= {"uuid": leg_id, "hangup_cause": "NORMAL_CLEARING", **named, **variables}
    return orjson.dumps({"switchname": "fs1", "variables": said})


def posted(*bodies):
    """Return records as the writer gets them: a batch."""
    return [delivered("cdr.raw", body) for body in bodies]


def told(*bodies):
    """Return events as the writer gets them: a batch."""
    return [delivered("cdr.events", body) for body in bodies]


def event(call_id, sequence, kind, at=START, **data):
    """Return an event of a call."""
    common = {"crm_uuid": None, "product_code": None, "switch": "fs1", "direction": "inbound"}
    return Event(
        type=kind,
        source="/switch/fs1",
        subject=call_id,
        at=microseconds(at),
        fact=str(sequence),
        data={"call_id": call_id, **common, **data},
    ).encode(sequence)


def leg():
    """Return the id of a leg that no other test uses."""
    return secrets.token_hex(12)


def cdr_of(engine, leg_id):
    """Return a leg's row; None where there is none."""
    with Session(engine) as session:
        return session.scalars(select(CdrRow).where(CdrRow.leg_id == leg_id)).one_or_none()


def call_of(engine, call_id):
    """Return a call's row as columns; None where there is none."""
    with engine.connect() as connection:
        row = connection.execute(
            select(CallRow.__table__).where(CallRow.call_id == call_id)
        ).one_or_none()
        return None if row is None else dict(row._mapping)
