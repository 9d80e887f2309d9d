"""A switch's JSON record, read into the columns of a CDR. Pure.

Fields are those of mod_json_cdr; with its `encode-values` (the default) the values are URL-encoded
inside the JSON. Times are microseconds since 1970, "0" for what did not happen.
"""

from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any
from urllib.parse import unquote

import orjson

from shared.messages.events import moment
from shared.telephony.records import NotARecord, load

_LATEST = 253_402_300_799_000_000  # the end of the year 9999
_LARGEST = 2**31 - 1
_MOST_DIGITS = 18


def digest(raw: Any) -> bytes:
    """Return what sets a record apart from another one of the same leg."""
    return sha256(orjson.dumps(raw, option=orjson.OPT_SORT_KEYS)).digest()


def read(body: bytes, *, leg_id: str, received_at: datetime) -> dict[str, Any]:
    """Return the columns of a record; what is missing in it is None.

    `leg_id` is the one of the request, for a record that does not name its own.
    """
    raw = load(body)
    variables = raw.get("variables")
    value = _Values(variables if isinstance(variables, dict) else {})
    leg = value.text("uuid") or leg_id.replace("\0", "\ufffd")
    if not leg:
        raise NotARecord("it names no leg: variables.uuid is missing")
    started, answered, ended = (value.time(f"{what}_uepoch") for what in ("start", "answer", "end"))
    first_end = answered or ended
    partner = value.text("originating_leg_uuid")
    return {
        **dict.fromkeys(_LATER),
        "switch": _text(raw.get("switchname")) or "unknown",
        "leg_id": leg,
        "at": received_at if started is None else moment(started),
        "marks": [],
        "leg": "b" if partner else "a",
        "call_id": value.text("call_id") or partner or value.text("cc_member_session_uuid") or leg,
        "queue": value.text("cc_queue"),
        "agent": value.text("cc_agent"),
        "crm_uuid": value.text("crm_uuid"),
        "product_code": value.text("product_code"),
        "direction": value.text("call_direction") or value.text("direction"),
        "role": value.text("leg_role"),
        "extension": value.text("agent_extension") or value.text("dialed_user"),
        "number": value.text("customer_number") or _destination(raw),
        "started_at": None if started is None else moment(started),
        "answered_at": None if answered is None else moment(answered),
        "ended_at": None if ended is None else moment(ended),
        "ring_ms": _span(started, first_end),
        "talk_ms": _span(answered, ended),
        "hangup_cause": value.text("hangup_cause"),
        "q850": value.number("hangup_cause_q850"),
        # Not sip_invite_failure_status: on the first leg that is the second one's.
        "sip_status": value.number("sip_term_status"),
        "raw": raw,
    }


_LATER = (
    "campaign",
    "ringing_at",
    "bridged_at",
    "answer_ms",
    "hold_ms",
    "hung_up_by",
    "codec",
    "mos",
    "packets_in",
    "packets_out",
    "packets_lost",
    "gateway",
    "recording",
)


class _Values:
    """A record's variables, read safely."""

    def __init__(self, variables: Mapping[str, Any]) -> None:
        self._variables = variables

    def text(self, name: str) -> str | None:
        return _text(self._variables.get(name))

    def number(self, name: str) -> int | None:
        text = self.text(name)
        number = _int(text)
        return number if number is not None and number <= _LARGEST else None

    def time(self, name: str) -> int | None:
        text = self.text(name)
        stamp = _int(text) or 0
        return stamp if 0 < stamp <= _LATEST else None


def _text(value: Any) -> str | None:
    return unquote(value).replace("\0", "\ufffd") if isinstance(value, str) and value else None


def _int(text: str | None) -> int | None:
    is_number = text is not None and text.isascii() and text.isdigit()
    return int(text) if text and is_number and len(text) <= _MOST_DIGITS else None


def _destination(raw: Mapping[str, Any]) -> str | None:
    """Return the number that was dialled: of the oldest profile, which is the last in the list."""
    flow = raw.get("callflow")
    oldest = flow[-1] if isinstance(flow, list) and flow else None
    profile = oldest.get("caller_profile") if isinstance(oldest, dict) else None
    return _text(profile.get("destination_number")) if isinstance(profile, dict) else None


def _span(start: int | None, end: int | None) -> int | None:
    if start is None or end is None:
        return None if end is None and start is None else 0
    return min(max(0, end - start) // 1000, _LARGEST)
