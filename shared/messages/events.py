"""Business events: what the product says, as CloudEvents 1.0 in structured mode.

`EVENTS` is the catalogue: what each type says, and by its docstring what it means. A type that is
not in it cannot be told.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import sha1
from typing import Any
from uuid import UUID

import orjson

from shared.messages import event_data
from shared.messages.event_data import VERSION, EventData

CONTENT_TYPE = "application/cloudevents+json"

_EVENTS = UUID("a5b0c3de-7f0e-5b6c-8d57-0b3f6c1f9e42").bytes
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# What subscribers may ask for besides the type.
MATCHED = ("product_code", "direction", "queue", "campaign", "switch")
LONGEST_MATCH = 255  # characters; what is longer cannot be asked for

EVENTS: Mapping[str, type[EventData]] = {
    data.TYPE: data
    for data in (
        event_data.CallCreated,
        event_data.LegCreated,
        event_data.LegRinging,
        event_data.LegAnswered,
        event_data.LegEnded,
        event_data.CallEstablished,
        event_data.CallHeld,
        event_data.CallResumed,
        event_data.CallTransferred,
        event_data.CallRecovered,
        event_data.CallMonitored,
        event_data.DtmfReceived,
        event_data.RecordingStarted,
        event_data.RecordingStopped,
        event_data.QueueJoined,
        event_data.QueueLeft,
        event_data.AgentOffered,
        event_data.AgentAnswered,
        event_data.AgentMissed,
        event_data.CallEnded,
        event_data.CallCorrected,
        event_data.AgentStatus,
        event_data.AgentState,
        event_data.UserRegistered,
        event_data.UserUnregistered,
        event_data.UserChanged,
        event_data.SwitchUp,
        event_data.SwitchDown,
        event_data.SubscriptionCut,
        event_data.SubscriptionSwitchedOff,
        event_data.CdrStored,
        event_data.CdrMissing,
    )
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A fact about a call, a user or a switch.

    `fact` sets it apart from the other facts of its type about the same subject: the same fact
    always gets the same id, whoever tells it and however often. `at` is in microseconds since
    1970, UTC, the switch's own stamp. Events `of_call` are numbered when they are told.
    """

    type: str
    source: str
    subject: str
    at: int
    fact: str = ""
    of_call: bool = False
    data: Mapping[str, Any]
    id: str = field(init=False)

    def __post_init__(self) -> None:
        # Once for each event: it goes into the envelope and beside it.
        identity = "|".join((self.source, self.subject, self.type, self.fact))
        object.__setattr__(self, "id", _name_based(identity))

    def encode(self, sequence: int | None = None) -> bytes:
        """Return the event as it goes on the wire; `sequence` counts those of a call, from 1."""
        envelope = {
            "specversion": "1.0",
            "id": self.id,
            "source": self.source,
            "type": self.type,
            "subject": self.subject,
            "time": _written(self.at),
            "datacontenttype": "application/json",
            "dataschema": dataschema(self.type),
            "data": self.data,
        }
        if sequence is not None:
            envelope["sequence"] = str(sequence)
        return orjson.dumps(envelope)


def _name_based(name: str) -> str:
    """Return the UUID of version 5 of a name (RFC 9562, 5.5).

    What `uuid.uuid5` returns, sooner: every event has one.
    """
    digest = bytearray(sha1(_EVENTS + name.encode(), usedforsecurity=False).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x50  # the version
    digest[8] = digest[8] & 0x3F | 0x80  # the variant
    text = digest.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _written(at: int) -> str:
    """Return a stamp as RFC 3339 has it, with microseconds."""
    seconds, rest = divmod(at, 1_000_000)
    return f"{_second(seconds)}.{rest:06}Z"


@lru_cache(maxsize=256)  # a switch tells much in one second
def _second(seconds: int) -> str:
    return moment(seconds * 1_000_000).strftime("%Y-%m-%dT%H:%M:%S")


def headers(event: Event) -> dict[str, str]:
    """Return an event's AMQP headers: its type, and of `MATCHED` what it tells of."""
    told = {"type": event.type}
    for name in MATCHED:
        value = event.data.get(name)
        if isinstance(value, str) and len(value) <= LONGEST_MATCH:
            told[name] = value
    return told


def dataschema(kind: str) -> str:
    """Return the name of the schema that events of a type keep to."""
    return f"https://voice-api.invalid/schemas/{kind}/v{VERSION}"


def moment(microseconds: int) -> datetime:
    """Return the time that a switch's stamp stands for, exactly."""
    return _EPOCH + timedelta(microseconds=microseconds)


def now() -> int:
    """Return the time by our own clock, as a stamp."""
    return time.time_ns() // 1000


def microseconds(at: datetime) -> int:
    """Return the stamp that a time stands for: what `moment` was made of."""
    return (at - _EPOCH) // timedelta(microseconds=1)
