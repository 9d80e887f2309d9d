"""The far end of a leg: what its phone does, and the events that come of it."""

from __future__ import annotations

import asyncio

from simulator import leg_variables
from simulator.causes import NUMBERS, SIP_CAUSES
from simulator.events import Origin, now
from simulator.leg import Leg
from simulator.leg_variables import Destination
from simulator.phones import Script
from simulator.switch import Switch

_PROGRESS = Origin("switch_channel.c", "switch_channel_perform_mark_ring_ready_value", 3507)
_EARLY = Origin("switch_channel.c", "switch_channel_perform_mark_pre_answered", 3596)
_ANSWER = Origin("switch_channel.c", "switch_channel_perform_mark_answered", 3848)
_ANSWERED_PRESENCE = Origin("switch_channel.c", "switch_channel_perform_mark_answered", 3906)
_READ = Origin("switch_core_codec.c", "switch_core_session_set_real_read_codec", 189)
_WRITE = Origin("switch_core_codec.c", "switch_core_session_set_write_codec", 471)

_READ_CODEC = {
    "channel-read-codec-name": "PCMU",
    "channel-read-codec-rate": "8000",
    "channel-read-codec-bit-rate": "64000",
}
_WRITE_CODEC = {"Channel-Write-codec-bit-rate": "64000"}


class PhoneActs:
    """Plays the phones that legs are dialled to."""

    def __init__(self, switch: Switch) -> None:
        self._switch = switch

    async def play(  # noqa: PLR0913 - a phone knows all this
        self,
        leg: Leg,
        destination: Destination,
        script: Script,
        caller: Leg | None,
        *,
        answer_after: float,
        talk: float,
    ) -> None:
        """Be the phone of this leg until it hangs up or is hung up."""
        profile = leg.profile
        profile.network_addr = profile.network_addr or destination.host
        name, number = profile.caller_id_name, profile.caller_id_number
        leg.set_all(leg_variables.at_first_answer(destination, name, number))
        if script.early_media:
            self._begin_early_media(leg, caller)
        else:
            self._ring(leg, caller)
        if script.never_answers:
            return
        if await self._hung_up_within(leg, answer_after):
            return
        if script.refuses_with is not None:
            self._refuse(leg, script.refuses_with)
            return
        self._answer(leg)
        seconds = script.hangs_up_after_seconds or talk
        if seconds and not await self._hung_up_within(leg, seconds):
            self._hang_up(leg)

    def _ring(self, leg: Leg, caller: Leg | None) -> None:
        moment = now()
        leg.profile.times.progress = moment
        leg.touch()
        if caller is not None:
            leg.other["Other-Leg-Channel-Progress-Time"] = str(moment)
            if not caller.profile.times.progress:
                caller.profile.times.progress = moment
                caller.touch()
        self._switch.hub.fire_leg(leg, "CHANNEL_PROGRESS", _PROGRESS)
        self._switch.call_state(leg, "RINGING")

    def _begin_early_media(self, leg: Leg, caller: Leg | None) -> None:
        moment = now()
        leg.profile.times.progress_media = moment
        leg.answer_state = "early"
        leg.touch()
        if caller is not None:
            leg.other["Other-Leg-Channel-Progress-Media-Time"] = str(moment)
            if not caller.profile.times.progress_media:
                caller.profile.times.progress_media = moment
                caller.touch()
        leg.set_all(leg_variables.EP_CODEC)
        leg.set(endpoint_disposition="EARLY MEDIA")
        self._switch.hub.fire_leg(leg, "CHANNEL_PROGRESS_MEDIA", _EARLY)
        self._switch.call_state(leg, "EARLY")
        self._open_media(leg)
        if leg.get("originate_early_media") == "true":
            leg.ready.set()

    def _open_media(self, leg: Leg) -> None:
        leg.has_media = True
        self._switch.hub.fire_leg(leg, "CODEC", _READ, after=_READ_CODEC)
        self._switch.hub.fire_leg(leg, "CODEC", _WRITE, after=_WRITE_CODEC)

    def _answer(self, leg: Leg) -> None:
        if not leg.has_media:
            self._open_media(leg)
        leg.profile.times.answered = now()
        leg.touch()
        leg.answer_state = "answered"
        leg.set_all(leg_variables.EP_CODEC)
        leg.set_all(leg_variables.at_answer())
        self._switch.hub.fire_leg(leg, "CHANNEL_ANSWER", _ANSWER)
        self._switch.presence(leg, "answered", "active", _ANSWERED_PRESENCE)
        self._switch.call_state(leg, "ACTIVE")
        leg.ready.set()

    def _refuse(self, leg: Leg, status: int) -> None:
        cause, phrase = SIP_CAUSES[status]
        leg.hangup_disposition = "recv_refuse"
        leg.set(
            sip_hangup_disposition="recv_refuse",
            sip_invite_failure_status=str(status),
            sip_invite_failure_phrase=phrase,
            sip_term_status=str(status),
            proto_specific_hangup_cause=f"sip:{status}",
            sip_term_cause=str(NUMBERS[cause]),
        )
        self._switch.hang_up(leg, cause)

    def _hang_up(self, leg: Leg) -> None:
        leg.hangup_disposition = "recv_bye"
        leg.set(
            sip_term_status="200",
            proto_specific_hangup_cause="sip:200",
            sip_term_cause="16",
        )
        self._switch.hang_up(leg, "NORMAL_CLEARING")

    @staticmethod
    async def _hung_up_within(leg: Leg, seconds: float) -> bool:
        if leg.up and seconds > 0:
            try:
                async with asyncio.timeout(seconds):
                    await leg.ended.wait()
            except TimeoutError:
                pass
        return not leg.up
