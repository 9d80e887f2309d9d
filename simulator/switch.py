"""The core of the switch: its legs, and how each of them begins, goes on and ends."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from simulator import billing, cdr
from simulator.cdr_post import CdrPoster
from simulator.events import Headers, Origin, Stamps, now
from simulator.hub import Hub
from simulator.leg import Leg
from simulator.settings import Settings
from simulator.truth import Truth

_STATE = Origin("switch_channel.c", "switch_channel_perform_set_running_state", 2409)
_CALLSTATE = Origin("switch_channel.c", "switch_channel_perform_set_callstate", 302)
_HANGUP = Origin("switch_channel.c", "switch_channel_perform_hangup", 3447)
_COMPLETE = Origin("switch_core_state_machine.c", "switch_core_session_reporting_state", 943)
_DESTROY = Origin("switch_core_session.c", "switch_core_session_perform_destroy", 1588)
_PRESENCE = Origin("switch_channel.c", "switch_channel_perform_presence", 806)

# Threads of calls look around when they next read audio, every 20 ms.
_FRAME_SECONDS = 0.02

# As configured; `fsctl max_sessions` changes it while the switch runs.
MAX_SESSIONS = 3000

_CALL_STATES = {"RINGING": "2", "EARLY": "3", "ACTIVE": "4", "RING_WAIT": "6", "HANGUP": "7"}


class Switch:
    """One run of a simulated switch: a new Core-UUID, no legs, and what it counts."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.stamps = Stamps(settings.switchname)
        self.hub = Hub(self.stamps)
        self.cdrs = CdrPoster(settings)
        self.truth = Truth(settings.truth_file, self.stamps.core_uuid)
        self.max_sessions = MAX_SESSIONS
        self.paused = False
        self.legs: dict[str, Leg] = {}
        self.sessions = 0
        self.peak = 0
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something in the background; it is cancelled when the switch stops."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        """Drop everything, as a switch that is killed."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.truth.close()

    def live(self, leg_uuid: str) -> Leg | None:
        """Give the leg with this uuid, unless it is gone or hung up already."""
        leg = self.legs.get(leg_uuid)
        return leg if leg is not None and leg.up else None

    @property
    def admits(self) -> bool:
        """Whether one more leg may be made: no limit is reached and nobody paused the switch."""
        return not self.paused and len(self.legs) < self.max_sessions

    def add(self, leg: Leg) -> None:
        """Count a new leg."""
        self.truth.begun(leg)
        self.legs[leg.uuid] = leg
        self.peak = max(self.peak, len(self.legs))

    def enter(self, leg: Leg, state: str, number: int) -> None:
        """Have a leg run in a state."""
        leg.state, leg.state_number = state, number
        self.hub.fire_leg(leg, "CHANNEL_STATE", _STATE)

    def call_state(self, leg: Leg, state: str) -> None:
        """Change what a leg shows to people."""
        before = {
            "Original-Channel-Call-State": leg.call_state,
            "Channel-Call-State-Number": _CALL_STATES[state],
        }
        leg.call_state = state
        self.hub.fire_leg(leg, "CHANNEL_CALLSTATE", _CALLSTATE, before=before)

    def presence(self, leg: Leg, status: str, info: str, where: Origin) -> None:
        """Tell how busy the user of this leg is, if it is a user's."""
        if not leg.presence_id:
            return
        after = {
            "proto": "any",
            "login": "src/switch_channel.c",
            "from": leg.presence_id,
            "rpid": "unknown",
            "status": status,
            "event_type": "presence",
            "alt_event_type": "dialog",
            "presence-call-info-state": info,
            "presence-call-direction": "outbound",
            "event_count": str(leg.presence_count),
            "Presence-Calling-File": f"src/{where.file}",
            "Presence-Calling-Function": where.function,
            "Presence-Calling-Line": str(where.line),
        }
        leg.presence_count += 1
        self.hub.fire_leg(leg, "PRESENCE_IN", _PRESENCE, after=after)

    def update(self, leg: Leg, origin: Origin, before: Headers) -> None:
        """Tell who is shown to whom."""
        leg.callee_direction = before.get("Direction", "")
        self.hub.fire_leg(leg, "CALL_UPDATE", origin, before=before)

    def hang_up(self, leg: Leg, cause: str) -> None:
        """End a leg; who it is bridged to or dialling learns of it."""
        if not leg.up:
            return
        if leg.bridge_role:
            leg.set(last_bridge_role=leg.bridge_role)
        leg.cause = cause
        self.truth.hung_up(leg)
        leg.state_number = 10
        leg.answer_state = "hangup"
        self.hub.fire_leg(leg, "CHANNEL_HANGUP", _HANGUP)
        leg.ended.set()
        leg.ready.set()
        for consequence in leg.on_hangup:
            consequence()
        if not leg.runs_application:
            self.wind_up(leg)

    async def notice_end(self, leg: Leg) -> None:
        """Return when another leg's thread sees that this one, if it is hung up, has gone."""
        if leg.up:
            return
        try:
            async with asyncio.timeout(_FRAME_SECONDS):
                await leg.completed.wait()
        except TimeoutError:
            pass

    def wind_up(self, leg: Leg) -> None:
        """Take a leg that nothing runs on any more through its last states."""
        self.enter(leg, "CS_HANGUP", 10)
        leg.profile.times.hangup = now()
        leg.touch()
        self.call_state(leg, "HANGUP")
        if leg.presence_id:
            leg.state_number = 11
            where = Origin("switch_core_state_machine.c", "check_presence", 521)
            self.presence(leg, "CS_HANGUP", "idle", where)
        self.enter(leg, "CS_REPORTING", 11)
        leg.unset("bridge_to")
        leg.set_all(billing.figures(leg))
        self._set_disposition(leg)
        document = cdr.body(leg, self.stamps) if self.cdrs.is_wanted else b""
        self.spawn(self._finish(leg, document))

    def _set_disposition(self, leg: Leg) -> None:
        if not leg.hangup_disposition:
            leg.hangup_disposition = "send_bye" if leg.answered else "send_cancel"
        leg.set(sip_hangup_disposition=leg.hangup_disposition)
        if leg.hangup_disposition == "send_cancel":
            leg.set(sip_invite_failure_status="487", sip_invite_failure_phrase="CANCEL")

    async def _finish(self, leg: Leg, document: bytes) -> None:
        await self.cdrs.post(leg.uuid, document)
        self.truth.gone(leg)
        # The cause stands twice on this event: once on its own, once among the leg's headers.
        twice = {"Hangup-Cause": leg.cause}
        self.hub.fire_leg(leg, "CHANNEL_HANGUP_COMPLETE", _COMPLETE, before=twice)
        leg.completed.set()
        await leg.released.wait()
        leg.state_number = 12
        self.hub.fire_leg(leg, "CHANNEL_DESTROY", _DESTROY)
        self.enter(leg, "CS_DESTROY", 12)
        self.legs.pop(leg.uuid, None)
