"""A record (CDR) of a leg, read as the event of the switch that would have told the same.

The variables of a record are those of the leg's last event, and its times stand in some of them.
"""

from shared.telephony.records import load, oldest_profile, texts

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
    said = texts(raw.get("variables"))
    headers = {f"variable_{name}": value for name, value in said.items()}
    for header, name in (*_TIMES.items(), *_NAMES.items()):
        if name in said:
            headers[header] = said[name]
    profile = texts(oldest_profile(raw))
    for header, name in (
        ("Caller-Destination-Number", "destination_number"),
        ("Caller-Caller-ID-Number", "caller_id_number"),
    ):
        if name in profile:
            headers[header] = profile[name]
    headers["Event-Name"] = "CDR"
    switch = raw.get("switchname")
    return (switch if isinstance(switch, str) else ""), headers
