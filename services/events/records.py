"""A record (CDR) of a leg, read as the event of the switch that would have told the same.

The variables of mod_json_cdr's records are those of the leg's last event, and its times stand in
some of them; with its `encode-values` (the default) values are URL-encoded inside the JSON.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from shared.telephony.records import load

_TIMES = {
    "Caller-Channel-Created-Time": "start_uepoch",
    "Caller-Channel-Progress-Time": "progress_uepoch",
    "Caller-Channel-Progress-Media-Time": "progress_media_uepoch",
    "Caller-Channel-Answered-Time": "answer_uepoch",
    "Caller-Channel-Bridged-Time": "bridge_uepoch",
    "Caller-Channel-Hangup-Time": "end_uepoch",
    "Event-Date-Timestamp": "end_uepoch",
}
_NAMES = {"Unique-ID": "uuid", "Hangup-Cause": "hangup_cause", "Call-Direction": "direction"}


def as_event(body: bytes) -> tuple[str, dict[str, str]]:
    """Return the name of the switch, and the record as an event named `CDR`.

    Raise `NotARecord` for a body that is none.
    """
    raw = load(body)
    variables = raw.get("variables")
    said = _texts(variables if isinstance(variables, dict) else {})
    headers = {f"variable_{name}": value for name, value in said.items()}
    for header, name in (*_TIMES.items(), *_NAMES.items()):
        if name in said:
            headers[header] = said[name]
    profile = _oldest_profile(raw)
    for header, name in (
        ("Caller-Destination-Number", "destination_number"),
        ("Caller-Caller-ID-Number", "caller_id_number"),
    ):
        if name in profile:
            headers[header] = profile[name]
    headers["Event-Name"] = "CDR"
    switch = raw.get("switchname")
    return (switch if isinstance(switch, str) else ""), headers


def _oldest_profile(raw: Mapping[str, Any]) -> dict[str, str]:
    """Return who called whom at first: the last profile in the list."""
    flow = raw.get("callflow")
    oldest = flow[-1] if isinstance(flow, list) and flow else None
    profile = oldest.get("caller_profile") if isinstance(oldest, dict) else None
    return _texts(profile) if isinstance(profile, dict) else {}


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    return {name: unquote(value) for name, value in values.items() if isinstance(value, str)}
