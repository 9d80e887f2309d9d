"""Events folded into the row of their call. Pure; neither order nor repetition matters."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson


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
    for moment in moments:
        call["call_id"] = moment.call_id
        for name in ("crm_uuid", "product_code", "switch"):
            call[name] = call[name] or moment.data.get(name)
        if moment.state is not None and moment.sequence > call["sequence"]:
            call["sequence"], call["state"] = moment.sequence, moment.state
        if moment.type == "call.created":
            call |= {"created_at": moment.at, "direction": moment.data.get("direction")}
        elif moment.type == "call.established":
            call["answered_at"] = min(call["answered_at"] or moment.at, moment.at)
        elif moment.type == "call.ended":
            call |= {
                "ended_at": moment.at,
                "outcome": moment.data.get("outcome"),
                "hangup_cause": moment.data.get("hangup_cause"),
            }
    return call


_COLUMNS = (
    "call_id",
    "sequence",
    "state",
    "crm_uuid",
    "product_code",
    "direction",
    "switch",
    "created_at",
    "answered_at",
    "ended_at",
    "outcome",
    "hangup_cause",
)
