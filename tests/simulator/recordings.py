"""The recordings of a real switch, and what may differ from them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from simulator.leg_variables import LEFT_OUT

_FOLDER = Path(__file__).parents[1] / "recordings"

# Left out when the recordings were made.
_NOT_RECORDED = frozenset({"HEARTBEAT", "RE_SCHEDULE", "API"})
# OPTIONS pings of a registered phone: none of a call, and a simulated phone gets none.
_NOT_OF_A_CALL = frozenset({"sofia::sip_user_state"})
# Headers that python-ESL adds or drops, and doubled keys that it keeps but one of.
_OF_THE_RECORDER = frozenset({"Content-Length"})
# Moments and addresses of one call: on both sides there or not, nothing or something.
_VOLATILE = re.compile(
    r"Event-(Date|Sequence|Calling-Line)|Core-UUID|FreeSWITCH-|.*-Time$|.*_(u?epoch|stamp)$"
    r"|variable_(session_id|duration|.*(sec|duration)|.*port|.*_via|.*_tag|.*_cseq|.*ssrc"
    r"|sip_(call_id|full_from|full_to|req_uri|to_uri|to_host|contact_uri|destination_url"
    r"|recover_contact)|rtp_audio_in_skip_packet_count)$"
    r"|Application-UUID$|VM-Call-ID$|call-id$|network-port$|user-agent$|contact$|times\..*"
    r"|app_log\.applications\.\d+\.app_stamp|callStats\..*skip_packet_count|core-uuid"
    r"|channel_data\.flags"
    # The codecs that are offered are a matter of configuration.
    r"|variable_rtp_use_codec_string"
    # What was heard: the recorded switch played no ringback, ours does.
    r"|(variable_rtp_audio_out|callStats\.audio\.outbound)[_.]\w*(bytes|packet_count)$"
)
_MOMENT = re.compile(r".*-Time$|.*_u?epoch$|.*times\..*")


def load_events(scenario: str) -> list[dict[str, Any]]:
    """Give the events of a recorded scenario."""
    text = (_FOLDER / scenario / "events.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def load_posts(scenario: str, to: str) -> list[dict[str, Any]]:
    """Give what the real switch posted in a scenario, to `directory` or `cdr`."""
    text = (_FOLDER / scenario / "http.jsonl").read_text()
    return [post for post in map(json.loads, text.splitlines()) if post["to"] == to]


def load_transcript(name: str) -> list[tuple[str, str]]:
    """Give a recorded dialogue as pairs of side and bytes."""
    text = (_FOLDER / "esl-transcripts" / f"{name}.json").read_text()
    return [(turn["from"], turn["bytes"]) for turn in json.loads(text)]


def load_answers(name: str) -> list[tuple[str, str]]:
    """Give recorded API commands with their answers."""
    lines = (_FOLDER / "esl-answers" / f"{name}.jsonl").read_text().splitlines()
    return [(pair["asked"], pair["answer"]) for pair in map(json.loads, lines)]


def by_leg(events: Iterable[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Group events by leg: only within a leg does a real switch keep their order."""
    legs: dict[str, list[dict[str, Any]]] = {}
    for event in events:
        if (
            event["Event-Name"] not in _NOT_RECORDED
            and event.get("Event-Subclass") not in _NOT_OF_A_CALL
            and not _of_ringback(event)
        ):
            legs.setdefault(event.get("Unique-ID", ""), []).append(event)
    return legs


def names(events: Iterable[dict[str, Any]]) -> list[str]:
    """Give what distinguishes the events of a leg from each other."""
    return [
        " ".join(filter(None, (event["Event-Name"], event.get("Event-Subclass"))))
        for event in events
    ]


def differences(recorded: dict[str, Any], seen: dict[str, Any]) -> list[str]:
    """Give every header that one side lacks, and every value that had to be equal."""
    left_out = _OF_THE_RECORDER | {f"variable_{name}" for name in LEFT_OUT}
    found = []
    for name in sorted((recorded.keys() | seen.keys()) - left_out):
        if name not in seen:
            found.append(f"{name} is missing (recorded: {recorded[name]})")
        elif name not in recorded:
            found.append(f"{name} is too much ({seen[name]})")
        elif _differ(name, str(recorded[name]), str(seen[name])):
            found.append(f"{name} is {seen[name]}, recorded was {recorded[name]}")
    return found


def flat(document: Any, prefix: str = "") -> dict[str, Any]:
    """Give a JSON document as one level of dotted names; a CDR's variables by their own."""
    if isinstance(document, dict) and document:
        items = [(str(name), value) for name, value in document.items()]
    elif isinstance(document, list) and document:
        items = [(str(index), value) for index, value in enumerate(document)]
    else:
        return {prefix.rstrip("."): document}
    flattened: dict[str, Any] = {}
    for name, value in items:
        path = f"{prefix}{name}"
        if path == "variables":
            # The recorded switch encoded them (encode-values), which ours is told not to.
            flattened |= {f"variable_{key}": unquote(text) for key, text in value.items()}
        else:
            flattened |= flat(value, f"{path}.")
    return flattened


def _of_ringback(event: dict[str, Any]) -> bool:
    """Say whether this is the codec of the ringback, of which the recorded switch played none."""
    return (event["Event-Name"], event.get("Channel-Call-State")) == ("CODEC", "RING_WAIT")


def _differ(name: str, recorded: str, seen: str) -> bool:
    if _MOMENT.fullmatch(name):
        return (recorded == "0") != (seen == "0")
    if _VOLATILE.match(name):
        return False
    return recorded != seen
