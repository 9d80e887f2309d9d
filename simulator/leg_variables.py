"""The channel variables that sofia and the core set on a leg, by the stage it has reached."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

# Texts of SDP, of no use without media; everything else that the recordings show is set.
LEFT_OUT = frozenset({"rtp_local_sdp_str", "switch_r_sdp", "switch_m_sdp"})

# Media of the kinds that nobody offered, settled when the partner answers without early media.
NO_OTHER_MEDIA = {"video_media_flow": "inactive", "text_media_flow": "inactive"}
_MEDIA = {
    "remote_video_media_flow": "inactive",
    "remote_text_media_flow": "inactive",
    "remote_audio_media_flow": "sendrecv",
    "rtp_audio_recv_pt": "0",
    "rtp_use_codec_name": "PCMU",
    "rtp_use_codec_rate": "8000",
    "rtp_use_codec_ptime": "20",
    "rtp_use_codec_channels": "1",
    "rtp_last_audio_codec_string": "PCMU@8000h@20i@1c",
    "read_codec": "PCMU",
    "original_read_codec": "PCMU",
    "read_rate": "8000",
    "original_read_rate": "8000",
    "write_codec": "PCMU",
    "write_rate": "8000",
    "dtmf_type": "info",
    "rtp_use_timer_name": "soft",
    "rtp_use_pt": "0",
    "rtp_use_ssrc": "2063949949",
    "remote_media_ip": "127.0.0.1",
    "remote_media_port": "40000",
}
EP_CODEC = {"ep_codec_string": "CORE_PCM_MODULE.PCMU@8000h@20i@64000b"}


@dataclass(frozen=True, slots=True)
class Destination:
    """Where sofia sends the INVITE of one leg."""

    profile: str
    user: str
    host: str
    port: str
    channel_name: str
    gateway: str = ""
    from_host: str = "127.0.0.1"

    @property
    def address(self) -> str:
        """Host and port as they stand in a SIP URI."""
        return f"{self.host}:{self.port}" if self.port else self.host


def at_creation(
    destination: Destination, leg_uuid: str, session_id: int, originator: str | None
) -> dict[str, str]:
    """Give what is set before the variables of the dial string."""
    variables = {
        "direction": "outbound",
        "is_outbound": "true",
        "uuid": leg_uuid,
        "call_uuid": originator or leg_uuid,
        "session_id": str(session_id),
        "sip_local_network_addr": "127.0.0.1",
        "sip_profile_name": "gateway" if destination.gateway else destination.profile,
        "text_media_flow": "disabled",
        "channel_name": destination.channel_name,
        "sip_destination_url": f"sip:{destination.user}@{destination.address}",
        "video_media_flow": "inactive" if originator else "disabled",
    }
    if destination.gateway:
        variables["sip_gateway_name"] = destination.gateway
    if originator:
        variables["max_forwards"] = "70"
        variables["originator_codec"] = "PCMU@8000h@20i"
        variables["originator"] = originator
        variables["signal_bond"] = originator
    return variables


def after_dial_string(
    destination: Destination, originator: str | None, *, early_media_counts: bool
) -> dict[str, str]:
    """Give what is set after the variables of the dial string and before CHANNEL_CREATE."""
    port = "15060" if destination.profile == "internal" else "15080"
    contact = f"mod_sofia@127.0.0.1:{port}"
    if destination.gateway:
        contact = f"gw+{destination.gateway}@127.0.0.1:{port}"
        contact += f";transport=udp;gw={destination.gateway}"
    variables = {
        "originate_early_media": "true" if early_media_counts else "false",
        "originate_endpoint": "sofia",
        "rtp_use_codec_string": "PCMU@8000h@20i" if originator else "PCMU,PCMA",
        "local_media_ip": "127.0.0.1",
        "local_media_port": "30594",
        "advertised_media_ip": "127.0.0.1",
        "audio_media_flow": "sendrecv",
        "sip_outgoing_contact_uri": f"<sip:{contact}>",
        "sip_req_uri": f"{destination.user}@{destination.address}",
        "sip_to_host": destination.address,
        "sip_from_host": destination.from_host,
        "sofia_profile_name": destination.profile,
        "recovery_profile_name": destination.profile,
        "sofia_profile_url": f"sip:mod_sofia@127.0.0.1:{port}",
    }
    if originator:
        variables["originating_leg_uuid"] = originator
    return variables


def at_first_answer(
    destination: Destination, caller_id_name: str, caller_id_number: str
) -> dict[str, str]:
    """Give what the first answer of the far end (18x, 200 or a refusal) sets."""
    tag = uuid.uuid4().hex
    host, port = destination.host, destination.port or "5060"
    via = f"SIP/2.0/UDP 127.0.0.1:15080;rport;branch=z9hG4bK{tag[:13]}"
    caller = f"{caller_id_number}@{destination.from_host}"
    display = {"sip_from_display": caller_id_name} if caller_id_name else {}
    shown = f'"{caller_id_name}" ' if caller_id_name else ""
    return {
        "sip_reply_host": host,
        "sip_reply_port": port,
        "sip_network_ip": host,
        "sip_network_port": port,
        "sip_recover_contact": f"<sip:{host}:{port};transport=UDP>",
        "sip_full_via": via,
        "sip_recover_via": via,
        **display,
        "sip_full_from": f"{shown}<sip:{caller}>;tag={tag[:13]}",
        "sip_full_to": f"<sip:{destination.user}@{destination.address}>;tag={tag[13:24]}",
        "sip_from_user": caller_id_number,
        "sip_from_uri": caller,
        "sip_to_user": destination.user,
        "sip_to_port": port,
        "sip_to_uri": f"{destination.user}@{destination.address}",
        "sip_to_host": host,
        "sip_contact_params": "transport=UDP",
        "sip_contact_user": "nobody",
        "sip_contact_port": port,
        "sip_contact_uri": f"nobody@{host}:{port}",
        "sip_contact_host": host,
        "sip_to_tag": tag[13:24],
        "sip_from_tag": tag[:13],
        "sip_cseq": "123150002",
        "sip_call_id": str(uuid.uuid4()),
    }


def at_answer() -> dict[str, str]:
    """Give what the answer of the far end sets."""
    return _MEDIA


def at_bridge(callee: str, callee_name: str, callee_number: str) -> dict[str, str]:
    """Give what the dialling leg carries when the dialled one was answered."""
    return {
        "originated_legs": f"{callee};{callee_name};{callee_number}",
        "originate_disposition": "SUCCESS",
        "DIALSTATUS": "SUCCESS",
        "originate_causes": f"{callee};NONE",
        "signal_bond": callee,
    }


def in_bridge(partner: str, channel_name: str, name: str, number: str) -> dict[str, str]:
    """Give what a leg carries while it is bridged."""
    return {
        "bridge_to": partner,
        "last_bridge_to": partner,
        "bridge_channel": channel_name,
        "bridge_uuid": partner,
        "last_sent_callee_id_name": name,
        "last_sent_callee_id_number": number,
    }
