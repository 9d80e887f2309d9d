"""What was asked for, as conditions on the table of records."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, or_, tuple_

from services.gateway.reports.schemas import CdrFilter
from shared.database.tables import CdrRow

Condition = ColumnElement[bool]
Place = tuple[datetime, str, str]

NEWEST_FIRST = (CdrRow.at.desc(), CdrRow.switch, CdrRow.leg_id)

# With one of these an index gives the rows in order, or so few that they are sorted at once.
_INDEXED = frozenset(
    {
        "call_id",
        "leg_id",
        "crm_uuid",
        "product_code",
        "extension",
        "number",
        "queue",
        "agent",
        "campaign",
        "hangup_cause",
        "gateway",
    }
)
# A leg that lived longer is not found by when it ended, and nothing older has to be looked at.
_LONGEST_LEG = timedelta(days=31)
# Moments of the leg's own life; when it was stored is by another clock.
_TIMES = ("started", "ringing", "answered", "bridged", "ended")

_COMPARED: Mapping[str, tuple[str, Callable[[Any, Any], Condition]]] = {
    "_from": ("_at", lambda column, value: column >= value),
    "_to": ("_at", lambda column, value: column < value),
    "_min": ("", lambda column, value: column >= value),
    "_max": ("", lambda column, value: column <= value),
}


def conditions(asked: CdrFilter) -> list[Condition]:
    """Return what must hold of a record, but for the time that `span` gives."""
    given = asked.model_dump(include=set(CdrFilter.model_fields), exclude_none=True)
    return [_condition(name, value) for name, value in given.items()]


def span(asked: CdrFilter, after: Place | None) -> list[Condition]:
    """Return between which times all that was asked for lies, so that no other month is read."""
    first = [
        since - (timedelta(0) if name == "started" else _LONGEST_LEG)
        for name in _TIMES
        if (since := getattr(asked, f"{name}_from")) is not None
    ]
    last = [until for name in _TIMES if (until := getattr(asked, f"{name}_to")) is not None]
    known: list[Condition] = []
    if first:
        known.append(CdrRow.at >= max(first))
    if last:
        known.append(CdrRow.at < min(last))
    if after is not None:
        known.append(CdrRow.at <= after[0])
    return known


def behind(place: Place | None) -> list[Condition]:
    """Return what holds of the records that come behind a place in the list."""
    if place is None:
        return []
    at, switch, leg_id = place
    same = and_(CdrRow.at == at, tuple_(CdrRow.switch, CdrRow.leg_id) > tuple_(switch, leg_id))
    return [or_(CdrRow.at < at, same)]


def is_indexed(asked: CdrFilter) -> bool:
    """Tell whether an index finds what was asked for in the order of the list."""
    return any(getattr(asked, name) is not None for name in _INDEXED)


def _condition(name: str, value: Any) -> Condition:
    if name == "number_prefix":
        return CdrRow.number.like(_escaped(value) + "%")
    if name == "recorded":
        return CdrRow.recording.is_not(None) if value else CdrRow.recording.is_(None)
    if name == "marked":
        return CdrRow.marks != [] if value else CdrRow.marks == []
    for ending, (suffix, compare) in _COMPARED.items():
        if name.endswith(ending):
            return compare(getattr(CdrRow, name.removesuffix(ending) + suffix), value)
    condition: Condition = getattr(CdrRow, name) == value
    return condition


def _escaped(prefix: str) -> str:
    for character in "\\%_":
        prefix = prefix.replace(character, f"\\{character}")
    return prefix
