"""The figures of a finished leg, as CHANNEL_HANGUP_COMPLETE and the CDR carry them."""

from __future__ import annotations

from simulator.causes import q850
from simulator.events import local_stamp
from simulator.leg import Leg
from simulator.profile import Times

_ZEROES = (
    "raw_bytes",
    "media_bytes",
    "packet_count",
    "media_packet_count",
    "skip_packet_count",
    "jitter_packet_count",
    "dtmf_packet_count",
    "cng_packet_count",
    "flush_packet_count",
    "largest_jb_size",
)
_FRACTIONS = (
    "jitter_min_variance",
    "jitter_max_variance",
    "jitter_loss_rate",
    "jitter_burst_rate",
    "mean_interval",
)
_OUT = (
    "raw_bytes",
    "media_bytes",
    "packet_count",
    "media_packet_count",
    "skip_packet_count",
    "dtmf_packet_count",
    "cng_packet_count",
)
_IN_VARIABLES = {
    **{f"rtp_audio_in_{name}": "0" for name in _ZEROES},
    **{f"rtp_audio_in_{name}": "0.00" for name in _FRACTIONS},
    "rtp_audio_in_flaw_total": "0",
    "rtp_audio_in_quality_percentage": "100.00",
    "rtp_audio_in_mos": "4.50",
}
_OUT_VARIABLES = {
    **{f"rtp_audio_out_{name}": "0" for name in _OUT},
    "rtp_audio_rtcp_packet_count": "0",
    "rtp_audio_rtcp_octet_count": "0",
}


def figures(leg: Leg) -> dict[str, str]:
    """Give every variable that the end of a leg adds."""
    times = leg.profile.times
    variables = {
        "hangup_cause": leg.cause,
        "hangup_cause_q850": str(q850(leg.cause)),
        "digits_dialed": "none",
        **_moments(times),
    }
    if leg.application:
        name, argument, _ = leg.application
        variables["last_app"] = name
        if argument:
            variables["last_arg"] = argument
    number = leg.profile.caller_id_number
    name = leg.profile.caller_id_name
    variables["caller_id"] = f'"{name}" <{number}>' if name else number
    variables |= _durations(times)
    if leg.has_media:
        variables |= _IN_VARIABLES | _OUT_VARIABLES
        variables["rtp_audio_in_skip_packet_count"] = str(missed_packets(times))
    return variables


def missed_packets(times: Times) -> int:
    """Give how many packets of 20 ms never came: simulated phones are silent."""
    return max(0, times.hangup - (times.answered or times.progress_media)) // 20_000


def _moments(times: Times) -> dict[str, str]:
    stamps = (
        ("start", times.created),
        ("profile_start", times.created),
        ("answer", times.answered),
        ("bridge", times.bridged),
        ("progress", times.progress),
        ("progress_media", times.progress_media),
        ("end", times.hangup),
    )
    variables = {
        f"{name}_stamp": local_stamp(value // 1_000_000) for name, value in stamps if value
    }
    epochs = (
        *stamps[:4],
        ("last_hold", 0),
        ("resurrect", 0),
        *stamps[4:],
    )
    for name, value in epochs:
        variables[f"{name}_epoch"] = str(value // 1_000_000)
        variables[f"{name}_uepoch"] = str(value)
    return variables | {"hold_accum_seconds": "0", "hold_accum_usec": "0", "hold_accum_ms": "0"}


def _durations(times: Times) -> dict[str, str]:
    """Give the lengths in seconds, ms and us: differences of truncated moments, as measured."""
    created, end, answered = times.created, times.hangup, times.answered
    spans = (
        ("duration", created, end),
        ("bill", answered, end if answered else 0),
        ("progress", created, times.progress),
        ("answer", created, answered),
        ("wait", created, times.bridged),
        ("progress_media", created, times.progress_media),
        ("flow_bill", created, end if answered else 0),
    )
    variables: dict[str, str] = {}
    for letter, unit in (("", 1_000_000), ("m", 1000), ("u", 1)):
        for name, start, stop in spans:
            length = stop // unit - start // unit if stop else 0
            shown = f"{letter}duration" if name == "duration" else f"{name}{letter}sec"
            variables[shown] = str(length)
    return variables
