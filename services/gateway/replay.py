"""Which entries of the journal somebody asked for, and how they are shown."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson

from services.gateway.masking import masked_event
from services.gateway.subscriptions.wanted import covers
from shared.broker.journal import Entry

_TYPE = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)*")
_PRIVATE = "journal."  # notes of the events service to itself

_covers = lru_cache(maxsize=4096)(covers)


@dataclass(frozen=True, slots=True)
class Filter:
    """Events of these types, or of all; of this call, or of anybody; with numbers or without."""

    types: Sequence[str] = ("#",)
    call_id: str | None = None
    masked: bool = False

    def event(self, entry: Entry) -> dict[str, Any] | None:
        """Return the event that an entry holds, if it was asked for.

        Whoever may publish can write anything into the journal: what is no event is left out.
        """
        if entry.type.startswith(_PRIVATE) or not _TYPE.fullmatch(entry.type):
            return None
        if not any(_covers(pattern, entry.type) for pattern in self.types):
            return None
        if self.call_id is not None and entry.subject not in {None, self.call_id}:
            return None
        try:
            event = orjson.loads(entry.body)
        except ValueError:
            return None
        if not isinstance(event, dict) or self.call_id not in {None, event.get("subject")}:
            return None
        return masked_event(event) if self.masked else event


def as_sse(entry: Entry, event: dict[str, Any]) -> bytes:
    """Return the event as a server-sent event, whose id is its place in the journal."""
    head = f"id: {entry.offset}\nevent: {entry.type}\ndata: "
    return head.encode() + orjson.dumps(event) + b"\n\n"
