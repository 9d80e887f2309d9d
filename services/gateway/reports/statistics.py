"""Calls counted: how many, how many were answered, how long they rang and talked.

The answer-seizure ratio is that of ITU-T E.411 and E.425: seizures that were answered / seizures. A
seizure is a call that got a circuit; one that no leg's record is of, and that ended for want of a
phone or a way to it, got none.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Date,
    DateTime,
    Engine,
    Row,
    cast,
    func,
    or_,
    select,
)
from sqlalchemy.exc import DBAPIError

from services.gateway.reports.reading import reading
from services.gateway.reports.schemas import StatsQuery
from shared.database.tables import CallRow
from shared.messages.replies import Refused
from shared.telephony.words import Outcome

MOST_GROUPS = 10_000
_MOST_BY = 3
_NO_SUCH_ZONE = "22023"

_OUTCOME = func.coalesce(CallRow.outcome, CallRow.recorded_outcome)
_CAUSE = func.coalesce(CallRow.hangup_cause, CallRow.recorded_cause)
_TALK = func.coalesce(CallRow.talk_ms, CallRow.recorded_talk_ms, 0)
_RING = func.coalesce(CallRow.ring_ms, CallRow.recorded_ring_ms)
# Ended before there was a channel, and so before there was a circuit.
_NO_CIRCUIT = (
    "CHAN_NOT_IMPLEMENTED",
    "GATEWAY_DOWN",
    "INVALID_GATEWAY",
    "INVALID_NUMBER_FORMAT",
    "INVALID_URL",
    "NO_ROUTE_DESTINATION",
    "SUBSCRIBER_ABSENT",
    "USER_NOT_REGISTERED",
)
_PLAIN: Mapping[str, ColumnElement[Any]] = {
    "queue": CallRow.queue.expression,
    # A click-to-call has an extension only, a queue's call both.
    "agent": func.coalesce(CallRow.extension, CallRow.agent),
    "product": CallRow.product_code.expression,
    "cause": _CAUSE,
    "outcome": _OUTCOME,
    "direction": CallRow.direction.expression,
    "campaign": CallRow.campaign.expression,
}
_GROUPS = ("hour", "day", *_PLAIN)


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for, and can be answered."""

    by: Sequence[str]
    zone: ZoneInfo

    @classmethod
    def read(cls, query: StatsQuery) -> "Asked":
        """Return it; raise `Refused` for a group or a zone that there is none of."""
        by = [] if query.by is None else query.by.split(",")
        wrong = [name for name in by if name not in _GROUPS]
        if wrong:
            raise Refused("invalid", f"by: {wrong[0]!r} is none of {', '.join(_GROUPS)}")
        if len(by) > _MOST_BY or len(set(by)) < len(by):
            raise Refused("invalid", f"by: takes up to {_MOST_BY} of its words, each once")
        if query.tz not in _zones():
            raise Refused("invalid", f"tz: {query.tz!r} is no IANA zone, such as Europe/Berlin")
        return cls(by, ZoneInfo(query.tz))


class Statistics:
    """Reads of the table `calls`; `DependencyAway` where there is no database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def groups(
        self, asked: Asked, query: StatsQuery, since: datetime, until: datetime
    ) -> list[dict[str, Any]]:
        """Return the figures of each group of calls that began between two moments, in order.

        Raise `Refused` where there are too many, or counting takes too long.
        """
        # Not the columns' own names: PostgreSQL would group by these.
        keys = [_key(name, asked.zone).label(f"key_{name}") for name in asked.by]
        names = [key.name for key in keys]
        counted = (
            select(*keys, *_figures())
            .where(CallRow.at >= since, CallRow.at < until, _OUTCOME.is_not(None), *_filters(query))
            .order_by(*names)
            .limit(MOST_GROUPS + 1)
        )
        if keys:
            counted = counted.group_by(*names)
        try:
            with reading(self._engine) as connection:
                rows = connection.execute(counted).all()
        except DBAPIError as error:
            if getattr(error.orig, "pgcode", None) != _NO_SUCH_ZONE:
                raise
            raise Refused("invalid", f"tz: PostgreSQL does not know {query.tz!r}") from error
        if len(rows) > MOST_GROUPS:
            raise Refused(
                "too_much",
                f"by: makes more than {MOST_GROUPS} groups; ask for a shorter time, or by less",
            )
        return [_group(row, asked) for row in rows]


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def _key(name: str, zone: ZoneInfo) -> ColumnElement[Any]:
    if name == "hour":
        # In the zone, for not all begin their hours with UTC's; the one that comes twice when
        # summer ends stays two.
        return func.date_trunc("hour", CallRow.at, zone.key, type_=DateTime(timezone=True))
    if name == "day":
        return cast(func.timezone(zone.key, CallRow.at), Date)
    return _PLAIN[name]


def _figures() -> list[ColumnElement[Any]]:
    answered = _OUTCOME.in_([Outcome.ANSWERED.value])
    seized = or_(CallRow.records > 0, answered, func.coalesce(_CAUSE.not_in(_NO_CIRCUIT), True))
    return [
        func.count().label("calls"),
        func.count().filter(answered).label("answered"),
        func.count().filter(seized).label("seizures"),
        func.coalesce(func.sum(cast(_TALK, BigInteger)), 0).label("talk_ms"),
        func.coalesce(func.sum(cast(_TALK, BigInteger)).filter(answered), 0).label("answered_ms"),
        func.avg(_RING).label("ring_ms"),
    ]


def _filters(query: StatsQuery) -> list[ColumnElement[bool]]:
    found = [
        getattr(CallRow, name) == value
        for name in ("product_code", "queue", "direction", "campaign")
        if (value := getattr(query, name)) is not None
    ]
    if query.agent is not None:
        found.append(or_(CallRow.extension == query.agent, CallRow.agent == query.agent))
    return found


def _group(row: Row[Any], asked: Asked) -> dict[str, Any]:
    keys = {name: _shown(getattr(row, f"key_{name}"), asked.zone) for name in asked.by}
    return keys | {
        "calls": row.calls,
        "answered": row.answered,
        "answer_rate": _ratio(row.answered, row.calls),
        "asr": _ratio(row.answered, row.seizures),
        "acd_ms": round(row.answered_ms / row.answered) if row.answered else None,
        "talk_ms": int(row.talk_ms),
        "average_ring_ms": None if row.ring_ms is None else round(row.ring_ms),
    }


def _shown(key: Any, zone: ZoneInfo) -> str | None:
    if isinstance(key, datetime):
        return key.astimezone(zone).isoformat()
    return None if key is None else str(key)


def _ratio(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None
