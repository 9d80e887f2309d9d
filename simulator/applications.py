"""Applications that a leg runs once it is answered: bridge, park, hangup."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import replace

from simulator import causes, leg_variables
from simulator.dialling import Dialler, Outcome
from simulator.events import Origin, now
from simulator.leg import Leg
from simulator.switch import Switch

_EXECUTE = Origin("switch_core_session.c", "switch_core_session_exec", 2949)
_EXECUTED = Origin("switch_core_session.c", "switch_core_session_exec", 2972)
_BRIDGE = Origin("switch_ivr_bridge.c", "switch_ivr_multi_threaded_bridge", 1689)
_UNBRIDGE = Origin("switch_ivr_bridge.c", "switch_ivr_multi_threaded_bridge", 1879)
_UPDATE = Origin("mod_sofia.c", "sofia_receive_message", 2133)
_PARK = Origin("switch_ivr.c", "switch_ivr_park", 1002)
_UNPARK = Origin("switch_ivr.c", "switch_ivr_park", 1213)

_BRIDGE_SECONDS = 60.0
_WAITING = frozenset({"echo", "playback", "sleep", "endless_playback"})


class Applications:
    """Runs applications on answered legs."""

    def __init__(self, switch: Switch, dialler: Dialler) -> None:
        self._switch = switch
        self._dialler = dialler

    async def run(self, leg: Leg, name: str, argument: str) -> None:
        """Run one application to its end, and with it the leg's dialplan."""
        if leg.up:
            await self._execute(leg, name, argument)
            self._switch.hang_up(leg, "NORMAL_CLEARING")
        leg.runs_application = False
        self._switch.wind_up(leg)

    async def _execute(self, leg: Leg, name: str, argument: str) -> None:
        switch = self._switch
        leg.application = (name, argument, now())
        switch.enter(leg, "CS_EXECUTE", 4)
        leg.set(current_application=name)
        if argument:
            leg.set(current_application_data=argument)
        headers = {"Application": name}
        if argument:
            headers["Application-Data"] = argument
        identity = {"Application-UUID": str(uuid.uuid4())}
        switch.hub.fire_leg(leg, "CHANNEL_EXECUTE", _EXECUTE, after=headers | identity)
        await self._apply(leg, name, argument)
        done = {**headers, "Application-Response": "_none_", **identity}
        switch.hub.fire_leg(leg, "CHANNEL_EXECUTE_COMPLETE", _EXECUTED, after=done)

    async def _apply(self, leg: Leg, name: str, argument: str) -> None:
        if name == "bridge":
            await self._bridge(leg, argument)
        elif name == "park":
            self._switch.hub.fire_leg(leg, "CHANNEL_PARK", _PARK)
            await leg.ended.wait()
            self._switch.hub.fire_leg(leg, "CHANNEL_UNPARK", _UNPARK)
        elif name == "hangup":
            self._switch.hang_up(leg, causes.parse(argument) or "NORMAL_CLEARING")
        elif name in _WAITING:
            await leg.ended.wait()
        else:
            self._switch.hang_up(leg, "DESTINATION_OUT_OF_ORDER")

    async def _bridge(self, caller: Leg, dial_string: str) -> None:
        switch = self._switch
        switch.call_state(caller, "RING_WAIT")
        # Shown only by a caller that ends while it still dials.
        caller.set(originate_disposition="failure", DIALSTATUS="INVALIDARGS")
        timeout = caller.get("call_timeout")
        seconds = float(timeout) if timeout.isdigit() else _BRIDGE_SECONDS
        outcome = await self._dialler.dial(dial_string, seconds, caller)
        callee = outcome.leg
        if callee is None:
            self._not_bridged(caller, outcome)
            return
        callee.released.clear()
        try:
            self._show_each_other(caller, callee)
            await self._talk(caller, callee)
            self._part(caller, callee)
        finally:
            callee.released.set()

    def _not_bridged(self, caller: Leg, outcome: Outcome) -> None:
        cause, tried = outcome.cause, outcome.tried
        went_on = caller.up
        if tried is not None:
            profile = tried.profile
            caller.profile.callee_id_name = profile.callee_id_name
            caller.profile.callee_id_number = profile.callee_id_number
            caller.touch()
        if went_on:
            self._switch.call_state(caller, "ACTIVE")
        if tried is not None:
            _copy_failure(caller, tried)
        caller.set(originate_disposition=cause, DIALSTATUS=causes.dialstatus(cause))
        if tried is not None:
            caller.set(originate_causes=f"{tried.uuid};{cause}")
        caller.set(originate_failed_cause=cause)
        if went_on and not _goes_on_after(caller, cause):
            self._switch.hang_up(caller, cause)

    def _show_each_other(self, caller: Leg, callee: Leg) -> None:
        profile = callee.profile
        caller.profile.callee_id_name = profile.callee_id_name
        caller.profile.callee_id_number = profile.callee_id_number
        caller.touch()
        caller.originatee = replace(profile)
        caller.show_other("originatee", profile.other_leg_block(profile.times))
        self._switch.call_state(caller, "ACTIVE")
        name, number = profile.callee_id_name, profile.callee_id_number
        if not profile.times.progress_media:
            caller.set_all(leg_variables.NO_OTHER_MEDIA)
        caller.set_all(leg_variables.at_bridge(callee.uuid, name, number))

    async def _talk(self, caller: Leg, callee: Leg) -> None:
        switch = self._switch
        caller.profile.times.bridged = callee.profile.times.bridged = now()
        switch.truth.bridged(caller, callee)
        caller.touch()
        callee.touch()
        pair = {"Bridge-A-Unique-ID": caller.uuid, "Bridge-B-Unique-ID": callee.uuid}
        switch.hub.fire_leg(caller, "CHANNEL_BRIDGE", _BRIDGE, before=pair)
        switch.enter(callee, "CS_EXCHANGE_MEDIA", 5)
        shown = caller.profile
        self._join(callee, caller, shown.caller_id_name, shown.caller_id_number)
        self._join(caller, callee, shown.callee_id_name, shown.callee_id_number)
        caller.bridge_role, callee.bridge_role = "originator", "originatee"
        over = asyncio.Event()
        caller.on_hangup.append(over.set)
        callee.on_hangup.append(over.set)
        await over.wait()
        caller.on_hangup.clear()
        callee.on_hangup.clear()
        if caller.up:
            await switch.notice_end(callee)

    def _join(self, leg: Leg, partner: Leg, name: str, number: str) -> None:
        channel = partner.profile.channel_name
        leg.set_all(leg_variables.in_bridge(partner.uuid, channel, name, number))
        before = {
            "Direction": "SEND",
            "Sent-Callee-ID-Name": name,
            "Sent-Callee-ID-Number": number,
            "Bridged-To": partner.uuid,
        }
        self._switch.update(leg, _UPDATE, before)

    def _part(self, caller: Leg, callee: Leg) -> None:
        switch = self._switch
        pair = {"Bridge-A-Unique-ID": caller.uuid, "Bridge-B-Unique-ID": callee.uuid}
        callee.bridge_role = ""
        if callee.up:
            _copy_end(callee, caller)
            callee.unset("bridge_to")
            switch.hang_up(callee, "NORMAL_CLEARING")
            callee.set(bridge_hangup_cause=caller.cause)
            caller.set(bridge_hangup_cause=caller.cause)
        else:
            _copy_end(caller, callee)
            caller.set(bridge_hangup_cause=callee.cause)
        caller.unset("bridge_to")
        switch.hub.fire_leg(caller, "CHANNEL_UNBRIDGE", _UNBRIDGE, before=pair)
        callee.rejoin(callee.uuid)
        caller.bridge_role = ""
        if caller.get("hangup_after_bridge") == "true" and callee.answered:
            switch.hang_up(caller, callee.cause)


def _copy_end(leg: Leg, ended: Leg) -> None:
    """Tell a leg how its partner ended."""
    specific = ended.get("proto_specific_hangup_cause")
    if specific:
        leg.set(
            sip_hangup_phrase="OK",
            last_bridge_proto_specific_hangup_cause=specific,
        )
    leg.set(last_bridge_hangup_cause=ended.cause)


def _copy_failure(caller: Leg, tried: Leg) -> None:
    """Tell the dialling leg how the dialled one failed."""
    profile = tried.profile
    legs = f"{tried.uuid};{profile.callee_id_name};{profile.callee_id_number}"
    caller.set(
        originate_signal_bond=tried.uuid,
        originated_legs=legs,
        last_bridge_hangup_cause=tried.cause,
    )
    # What the far end said travels; what this switch said itself (CANCEL) does not.
    if tried.hangup_disposition == "recv_refuse":
        phrase = tried.get("sip_invite_failure_phrase")
        caller.set(
            sip_invite_failure_status=tried.get("sip_invite_failure_status"),
            sip_invite_failure_phrase=phrase,
            sip_hangup_phrase=phrase,
            last_bridge_proto_specific_hangup_cause=tried.get("proto_specific_hangup_cause"),
        )


def _goes_on_after(caller: Leg, cause: str) -> bool:
    wanted = caller.get("continue_on_fail").lower()
    if wanted in {"true", "false"}:
        return wanted == "true"
    if wanted:
        return cause.lower() in wanted.split(",")
    return cause in causes.CALLER_GOES_ON
