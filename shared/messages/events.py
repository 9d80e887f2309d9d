"""Business events: what the product says, as CloudEvents 1.0 in structured mode.

`EVENTS` is the catalogue. A type that is not in it cannot be told.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

import orjson

CONTENT_TYPE = "application/cloudevents+json"

_EVENTS = UUID("a5b0c3de-7f0e-5b6c-8d57-0b3f6c1f9e42")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# What subscribers may ask for besides the type.
MATCHED = ("product_code", "direction", "queue", "campaign", "switch")
LONGEST_MATCH = 255  # characters; what is longer cannot be asked for

EVENTS: Mapping[str, str] = {
    "call.created": "The first sign of a call.",
    "leg.created": "A leg exists on the switch.",
    "leg.ringing": "The phone of a leg rings, or sends early media.",
    "leg.answered": "Somebody took the call on this leg.",
    "leg.ended": "The leg is gone; its figures are final.",
    "call.established": "Two legs hear each other; once for each pairing.",
    "call.ended": "The call is over; exactly once, and nothing follows it.",
    "user.registered": "A phone registered where none of the user's was before.",
    "user.unregistered": "The user's last phone is gone.",
    "user.changed": "A user was created, updated or deleted.",
    "switch.up": "The link to a switch stands.",
    "switch.down": "The link to a switch broke.",
    "subscription.cut": "A subscription lost events: it was full, or nobody came for them in time.",
    "subscription.switched_off": "A webhook delivers nothing any more: its receiver wants nothing.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A fact about a call, a user or a switch.

    `fact` sets it apart from the other facts of its type about the same subject: the same fact
    always gets the same id, whoever tells it and however often. `at` is in microseconds since
    1970, UTC, the switch's own stamp. `sequence` counts the events of a call, from 1.
    """

    type: str
    source: str
    subject: str
    at: int
    fact: str = ""
    sequence: int | None = None
    data: Mapping[str, Any]
    id: UUID = field(init=False)

    def __post_init__(self) -> None:
        # Once for each event: it goes into the envelope and beside it.
        identity = "|".join((self.source, self.subject, self.type, self.fact))
        object.__setattr__(self, "id", uuid5(_EVENTS, identity))

    def encode(self) -> bytes:
        """Return the event as it goes on the wire."""
        envelope = {
            "specversion": "1.0",
            "id": str(self.id),
            "source": self.source,
            "type": self.type,
            "subject": self.subject,
            "time": moment(self.at).isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "datacontenttype": "application/json",
            "dataschema": f"https://voice-api.invalid/schemas/{self.type}/v1",
            "data": self.data,
        }
        if self.sequence is not None:
            envelope["sequence"] = str(self.sequence)
        return orjson.dumps(envelope)


def headers(event: Event) -> dict[str, str]:
    """Return an event's AMQP headers: its type, and of `MATCHED` what it tells of."""
    told = {"type": event.type}
    for name in MATCHED:
        value = event.data.get(name)
        if isinstance(value, str) and len(value) <= LONGEST_MATCH:
            told[name] = value
    return told


def moment(microseconds: int) -> datetime:
    """Return the time that a switch's stamp stands for, exactly."""
    return _EPOCH + timedelta(microseconds=microseconds)
