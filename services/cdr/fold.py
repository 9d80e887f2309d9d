"""Events folded into the row of their call. Pure; neither order nor repetition matters."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from shared.telephony.words import Direction


@dataclass(frozen=True, slots=True)
class Moment:
    """One event of a call, as its timeline keeps it."""

    call_id: str
    sequence: int
    type: str
    at: datetime
    data: Mapping[str, Any]

    @property
    def state(self) -> str | None:
        """The state that the event brings its call into; None where it changes none."""
        match self.type:
            case "call.created" | "call.established" | "call.ended":
                return self.type.removeprefix("call.")
            case "leg.ringing" | "leg.answered":
                return f"{self.data.get('role')}_{self.type.removeprefix('leg.')}"
            case _:
                return None


def read(body: bytes) -> Moment | None:
    """Return the moment of a call that an event tells of; None for what concerns no call."""
    event = orjson.loads(body)
    if "sequence" not in event:
        return None
    return Moment(
        call_id=event["subject"],
        sequence=int(event["sequence"]),
        type=event["type"],
        at=datetime.fromisoformat(event["time"]),
        data=event["data"],
    )


def fold(moments: Iterable[Moment]) -> dict[str, Any]:
    """Return what the moments of one call say of it, as columns.

    `sequence` is that of the moment which gave the state, so that of two folds the later one wins.
    """
    call: dict[str, Any] = dict.fromkeys(_COLUMNS)
    call["sequence"], call["state"] = 0, "created"
    for moment in sorted(moments, key=lambda moment: moment.sequence):
        call["call_id"] = moment.call_id
        call["at"] = min(call["at"] or moment.at, moment.at)
        for name in ("crm_uuid", "product_code", "switch", "direction", "campaign"):
            call[name] = call[name] or moment.data.get(name)
        if moment.state is not None:
            call["sequence"], call["state"] = moment.sequence, moment.state
        if moment.type in _FOLDS:
            _FOLDS[moment.type](call, moment)
    return call


def legs_of(moments: Iterable[Moment]) -> set[str]:
    """Return the legs that were told to exist."""
    return {str(moment.data.get("leg_id")) for moment in moments if moment.type == "leg.created"}


def _created(call: dict[str, Any], moment: Moment) -> None:
    is_inbound = call["direction"] == Direction.INBOUND
    call |= {
        "created_at": moment.at,
        "extension": moment.data.get("extension"),
        "number": moment.data.get("from" if is_inbound else "to"),
    }


def _established(call: dict[str, Any], moment: Moment) -> None:
    call["answered_at"] = min(call["answered_at"] or moment.at, moment.at)


def _queued(call: dict[str, Any], moment: Moment) -> None:
    call["queue"] = moment.data.get("queue")


def _taken(call: dict[str, Any], moment: Moment) -> None:
    call["agent"] = moment.data.get("agent")


def _ended(call: dict[str, Any], moment: Moment) -> None:
    call |= {"ended_at": moment.at, **{name: moment.data.get(name) for name in _FIGURES}}


def _corrected(call: dict[str, Any], moment: Moment) -> None:
    call |= {name: moment.data[name] for name in _FIGURES if name in moment.data}


_FOLDS: Mapping[str, Callable[[dict[str, Any], Moment], None]] = {
    "call.created": _created,
    "call.established": _established,
    "queue.joined": _queued,
    "agent.answered": _taken,
    "call.ended": _ended,
    "call.corrected": _corrected,
}

# Of these the last one counts, or one changes what another said: they are folded together, out of
# the timeline. Whatever else a moment says can be added to what is known already.
DECISIVE = ("queue.joined", "agent.answered", "call.ended", "call.corrected")

_FIGURES = ("outcome", "hangup_cause", "ring_ms", "talk_ms")
# What both may know: what an event says goes before what a record said.
SHARED = (
    "crm_uuid",
    "product_code",
    "direction",
    "switch",
    "extension",
    "number",
    "queue",
    "agent",
    "campaign",
)
_COLUMNS = (
    "call_id",
    "at",
    "sequence",
    "state",
    *SHARED,
    "created_at",
    "answered_at",
    "ended_at",
    *_FIGURES,
)
