"""A switch's record, read into the columns of a CDR. Pure.

Times are microseconds since 1970, "0" for what did not happen.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any

import orjson

from services.cdr.belonging import belonging
from services.cdr.values import Values, at, span
from shared.messages.events import moment
from shared.telephony.records import NotARecord, load, oldest_profile, text_of

_LONGEST_SWITCH = 128
_LONGEST_LEG = 256
_LONGEST_CAUSE = 64
_LONGEST_PATH = 1024
_MOST_MOS = 5.0
_SIP = {"least": 100, "most": 699}
_GATEWAY = re.compile(r"sofia/gateway/([^/]{1,256})/")
_RECORDERS = ("record_session", "record")


def read(body: bytes, *, leg_id: str, received_at: datetime) -> dict[str, Any]:
    """Return the columns of a record; what is missing in it, or unusable, is None.

    `leg_id` is the one of the request, for a record that does not name its own; `received_at` is
    what its times are judged by. `marks` names the columns whose value was there and could not be
    used as it was. Raise `NotARecord` for a body that is no record of a leg.
    """
    raw = load(body)
    values = Values(raw.get("variables"), received_at)
    switch, leg_id = _named(raw, leg_id)
    whose = belonging(raw, values, leg_id)
    times = _times(raw, values)
    started = times["started_at"]
    if started is None:
        values.marks.add("at")
    columns = {
        "switch": values.cut("switch", switch, _LONGEST_SWITCH),
        "leg_id": values.cut("leg_id", leg_id, _LONGEST_LEG),
        "at": received_at if started is None else moment(started),
        **whose,
        "crm_uuid": values.text("crm_uuid", "crm_uuid"),
        "product_code": values.text("product_code", "product_code"),
        "queue": values.text("queue", "cc_queue"),
        "agent": values.text("agent", "cc_agent"),
        "campaign": values.text("campaign", "campaign"),
        **{name: at(stamp) for name, stamp in times.items()},
        **_lengths(values, times),
        "hangup_cause": values.text("hangup_cause", "hangup_cause", longest=_LONGEST_CAUSE),
        "q850": values.whole("q850", values.value("hangup_cause_q850")),
        # Not sip_invite_failure_status: on the first leg that is the second one's.
        "sip_status": values.whole("sip_status", values.value("sip_term_status"), **_SIP),
        "hung_up_by": (
            whose["leg"] if values.said("sip_hangup_disposition").startswith("recv_") else None
        ),
        "codec": values.text("codec", "read_codec", "rtp_use_codec_name", "write_codec"),
        **_media(raw, values),
        "gateway": values.text("gateway", "sip_gateway_name", "sip_gateway")
        or _gateway(raw, values),
        "recording": _recording(raw, values),
    }
    return {**columns, "marks": sorted(values.marks), "raw": raw}


def key_of(raw: Mapping[str, Any], *, leg_id: str) -> tuple[str, str]:
    """Return the switch and the leg that a record's row is found by, of a record from `load`.

    `leg_id` is as for `read`. Raise `NotARecord` where nothing names a leg.
    """
    switch, leg = _named(raw, leg_id)
    return switch[:_LONGEST_SWITCH], leg[:_LONGEST_LEG]


def digest(raw: Mapping[str, Any]) -> bytes:
    """Return what tells two records apart, whatever the order of their fields."""
    return sha256(orjson.dumps(raw, option=orjson.OPT_SORT_KEYS)).digest()


def _named(raw: Mapping[str, Any], leg_id: str) -> tuple[str, str]:
    variables = raw.get("variables")
    told = text_of(variables.get("uuid")) if isinstance(variables, dict) else None
    # xml_cdr and format_cdr put the prefix of a first leg's file in front of it.
    asked = leg_id.removeprefix("a_").replace("\0", "\ufffd").encode(errors="replace").decode()
    if not (told or asked):
        raise NotARecord("it names no leg: variables.uuid is missing, and so is ?uuid= in its URL")
    return text_of(raw.get("switchname")) or "unknown", told or asked


def _times(raw: Mapping[str, Any], values: Values) -> dict[str, int | None]:
    times = {
        "started_at": values.time("started_at", "start"),
        "ringing_at": values.time("ringing_at", "progress", "progress_media"),
        "answered_at": values.time("answered_at", "answer"),
        "bridged_at": values.time("bridged_at", "bridge"),
        "ended_at": values.time("ended_at", "end"),
    }
    started = times["started_at"]
    if started is not None and values.said("recovered") == "true":
        # It was taken up again after its switch had died, and says since when it is there again.
        first = values.stamp("started_at", _first_times(raw).get("profile_created_time"))
        known = [stamp for stamp in (first, *times.values()) if stamp is not None]
        if min(known) < started:
            values.marks.add("started_at")
            times["started_at"] = started = min(known)
    for name, stamp in times.items():
        happened = [other for other in times.values() if other is not None]
        is_wrong = (name == "ended_at" and stamp is not None and stamp < max(happened)) or (
            stamp is not None and started is not None and stamp < started
        )
        if is_wrong:
            values.marks.add(name)
            times[name] = None
    return times


def _first_times(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    flow = raw.get("callflow")
    oldest = flow[-1] if isinstance(flow, list) and flow else None
    times = oldest.get("times") if isinstance(oldest, dict) else None
    return times if isinstance(times, dict) else {}


def _lengths(values: Values, times: Mapping[str, int | None]) -> dict[str, int | None]:
    started, answered, ended = (times[f"{name}_at"] for name in ("started", "answered", "ended"))
    held = values.whole("hold_ms", values.value("hold_accum_usec"), most=2**53)
    if held is not None:
        held = min(held // 1000, 2**31 - 1)
    else:
        held = values.whole("hold_ms", values.value("hold_accum_ms"))
    return {
        "ring_ms": span(started, answered or ended),
        "answer_ms": span(started, answered),
        "talk_ms": span(answered or ended, ended),
        "hold_ms": held,
    }


def _media(raw: Mapping[str, Any], values: Values) -> dict[str, Any]:
    inbound, outbound = (_statistics(raw, side) for side in ("inbound", "outbound"))

    def count(column: str, side: Mapping[str, Any], name: str, variable: str) -> int | None:
        return values.whole(column, side.get(name), values.value(variable))

    return {
        "mos": values.real(
            "mos", values.value("rtp_audio_in_mos"), inbound.get("mos"), most=_MOST_MOS
        ),
        "packets_in": count("packets_in", inbound, "packet_count", "rtp_audio_in_packet_count"),
        "packets_out": count("packets_out", outbound, "packet_count", "rtp_audio_out_packet_count"),
        "packets_lost": count(
            "packets_lost", inbound, "skip_packet_count", "rtp_audio_in_skip_packet_count"
        ),
    }


def _statistics(raw: Mapping[str, Any], side: str) -> Mapping[str, Any]:
    found: Any = raw
    for name in ("callStats", "audio", side):
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}


def _gateway(raw: Mapping[str, Any], values: Values) -> str | None:
    """Return the gateway that the leg was dialled by, where only its address says so."""
    for text in (values.said("channel_name"), text_of(oldest_profile(raw).get("chan_name")) or ""):
        if found := _GATEWAY.match(text):
            return found[1]
    return None


def _recording(raw: Mapping[str, Any], values: Values) -> str | None:
    """Return the file that the leg was recorded into, the last one where there are more."""
    told = values.text("recording", "cc_record_filename", longest=_LONGEST_PATH)
    if told is not None:
        return told
    path, name = values.said("record_path"), values.said("record_name")
    if path and name:
        return values.cut("recording", f"{path.rstrip('/')}/{name}", _LONGEST_PATH)
    log = raw.get("app_log")
    applications = log.get("applications") if isinstance(log, dict) else None
    for application in reversed(applications if isinstance(applications, list) else []):
        if isinstance(application, dict) and application.get("app_name") in _RECORDERS:
            # A limit and a threshold may follow the path.
            file = (text_of(application.get("app_data")) or "").partition(" ")[0]
            if file:
                return values.cut("recording", file, _LONGEST_PATH)
    return None
