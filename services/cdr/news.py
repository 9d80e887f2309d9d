"""What is told of records, as it waits to be told. Pure."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from shared.messages.events import Event, microseconds

SOURCE = "/service/cdr"

_TOLD = (
    "call_id",
    "crm_uuid",
    "product_code",
    "switch",
    "direction",
    "queue",
    "campaign",
    "leg_id",
    "leg",
    "role",
    "extension",
    "number",
    "ring_ms",
    "talk_ms",
    "hangup_cause",
)


def stored(cdr: Mapping[str, Any], at: datetime) -> dict[str, Any]:
    """Return the row of `cdr_news` which tells that a record, as columns, was stored."""
    times = {name: _written(cdr[name]) for name in ("started_at", "answered_at", "ended_at")}
    return {
        "type": "cdr.stored",
        "subject": f"{cdr['switch']}/{cdr['leg_id']}",
        "at": microseconds(at),
        "fact": cdr["leg_id"],
        "data": {name: cdr[name] for name in _TOLD} | times,
    }


def event_of(news: Mapping[str, Any]) -> Event:
    """Return the event that a row of `cdr_news` is."""
    return Event(
        type=news["type"],
        source=SOURCE,
        subject=news["subject"],
        at=news["at"],
        fact=news["fact"],
        data=news["data"],
    )


def _written(at: datetime | None) -> str | None:
    return None if at is None else at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
