"""The JSON that mod_json_cdr posts for one leg."""

from __future__ import annotations

from typing import Any

import orjson

from simulator.billing import missed_packets
from simulator.events import Stamps
from simulator.leg import Leg
from simulator.profile import Times

_CAPS = "1=1;2=1;3=1;4=1;5=1;6=1;8=1;9=1;10=1"
_FLAGS_UNANSWERED = "0=1;2=1;22=1;30=1;40=1;42=1;45=1;113=1;114=1"
_FLAGS_ANSWERED = "0=1;1=1;2=1;22=1;39=1;40=1;42=1;45=1;50=1;55=1;113=1;114=1;123=1;160=1;166=1"
_PREFIX = len("variable_")


def body(leg: Leg, stamps: Stamps) -> bytes:
    """Give the CDR of a leg whose figures are set."""
    # As they are: with encode-values, its default, mod_json_cdr would URL-encode them.
    variables = {name[_PREFIX:]: value for name, value in leg.variables.items()}
    document: dict[str, Any] = {
        "core-uuid": stamps.core_uuid,
        "switchname": stamps.switchname,
        "channel_data": {
            "state": "CS_REPORTING",
            "direction": "outbound",
            "state_number": "11",
            "flags": _FLAGS_ANSWERED if leg.answered else _FLAGS_UNANSWERED,
            "caps": _CAPS,
        },
        "callStats": _call_stats(leg),
        "variables": variables,
    }
    if leg.application:
        name, argument, started = leg.application
        applications = [{"app_name": name, "app_data": argument, "app_stamp": str(started)}]
        document["app_log"] = {"applications": applications}
    document["callflow"] = [_callflow(leg)]
    return orjson.dumps(document)


def _call_stats(leg: Leg) -> dict[str, Any]:
    if not leg.has_media:
        return {}
    return {
        "audio": {
            "inbound": {
                "raw_bytes": 0,
                "media_bytes": 0,
                "packet_count": 0,
                "media_packet_count": 0,
                "skip_packet_count": missed_packets(leg.profile.times),
                "jitter_packet_count": 0,
                "dtmf_packet_count": 0,
                "cng_packet_count": 0,
                "flush_packet_count": 0,
                "largest_jb_size": 0,
                "jitter_min_variance": 0,
                "jitter_max_variance": 0,
                "jitter_loss_rate": 0,
                "jitter_burst_rate": 0,
                "mean_interval": 0,
                "flaw_total": 0,
                "quality_percentage": 100,
                "mos": 4.5,
            },
            "outbound": {
                "raw_bytes": 0,
                "media_bytes": 0,
                "packet_count": 0,
                "media_packet_count": 0,
                "skip_packet_count": 0,
                "dtmf_packet_count": 0,
                "cng_packet_count": 0,
                "rtcp_packet_count": 0,
                "rtcp_octet_count": 0,
            },
        }
    }


def _callflow(leg: Leg) -> dict[str, Any]:
    flow: dict[str, Any] = {"profile_index": "1"}
    if leg.application:
        name, argument, _ = leg.application
        application = {"app_name": name, "app_data": argument}
        flow["extension"] = {"name": name, "number": argument, "applications": [application]}
    profile: dict[str, Any] = dict(leg.profile.in_cdr())
    if leg.originator:
        profile["originator"] = {"originator_caller_profiles": [leg.originator.in_cdr()]}
    if leg.originatee:
        profile["originatee"] = {"originatee_caller_profiles": [leg.originatee.in_cdr()]}
    flow["caller_profile"] = profile
    flow["times"] = _times(leg.profile.times)
    return flow


def _times(times: Times) -> dict[str, str]:
    return {
        "created_time": str(times.created),
        "profile_created_time": str(times.created),
        "progress_time": str(times.progress),
        "progress_media_time": str(times.progress_media),
        "answered_time": str(times.answered),
        "bridged_time": str(times.bridged),
        "last_hold_time": "0",
        "hold_accum_time": "0",
        "hangup_time": str(times.hangup),
        "resurrect_time": "0",
        "transfer_time": "0",
    }
