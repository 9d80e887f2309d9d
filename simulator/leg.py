"""One leg: the state that its events and its CDR show."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

from simulator.profile import Profile

_CODEC = {
    f"Channel-{way}-Codec-{what}": value
    for way in ("Read", "Write")
    for what, value in (("Name", "PCMU"), ("Rate", "8000"), ("Bit-Rate", "64000"))
}


class Leg:
    """A leg and everything known of it. `variables` keeps the names that events show."""

    def __init__(self, profile: Profile, session_id: int) -> None:
        self.profile = profile
        self.initial = replace(profile)
        self.uuid = profile.unique_id
        self.session_id = session_id
        self.call_uuid = self.uuid
        self.state = "CS_NONE"
        self.state_number = 1
        self.call_state = "DOWN"
        self.answer_state = "ringing"
        self.hit_dialplan = False
        self.callee_direction = ""
        self.presence_id = ""
        self.presence_count = 0
        self.cause = ""
        self.hangup_disposition = ""
        self.has_media = False
        self.variables: dict[str, str] = {}
        self.application: tuple[str, str, int] | None = None
        self.runs_application = False
        self.bridge_role = ""
        self.originator: Profile | None = None
        self.originatee: Profile | None = None
        self.other: dict[str, str] = {}
        self.on_hangup: list[Callable[[], None]] = []
        self.ready = asyncio.Event()
        self.ended = asyncio.Event()
        self.completed = asyncio.Event()
        self.released = asyncio.Event()
        self.released.set()
        self._caller: dict[str, str] | None = None

    @property
    def answered(self) -> bool:
        """Whether this leg was ever answered."""
        return self.profile.times.answered != 0

    @property
    def up(self) -> bool:
        """Whether nobody has hung up yet."""
        return not self.cause

    def set(self, **variables: str) -> None:
        """Set channel variables."""
        for name, value in variables.items():
            self.variables["variable_" + name] = value

    def set_all(self, variables: dict[str, str]) -> None:
        """Set channel variables whose names may be no identifiers."""
        for name, value in variables.items():
            self.variables["variable_" + name] = value

    def get(self, name: str) -> str:
        """Give a channel variable, empty where there is none."""
        return self.variables.get("variable_" + name, "")

    def unset(self, name: str) -> None:
        """Forget a channel variable."""
        self.variables.pop("variable_" + name, None)

    def rejoin(self, call_uuid: str) -> None:
        """Count this leg to the call of another one, or to its own."""
        self.call_uuid = call_uuid
        self.set(call_uuid=call_uuid)

    def touch(self) -> None:
        """Have the Caller-* block made anew: the profile has changed."""
        self._caller = None

    def show_other(self, kind: str, block: dict[str, str]) -> None:
        """Show another leg on this one's events from now on."""
        self.other = {"Other-Type": kind, **block}

    def headers(self) -> dict[str, str]:
        """Give the headers that every event of this leg carries now, variables aside."""
        block = {
            "Channel-State": self.state,
            "Channel-Call-State": self.call_state,
            "Channel-State-Number": str(self.state_number),
            "Channel-Name": self.profile.channel_name,
            "Unique-ID": self.uuid,
            "Call-Direction": "outbound",
            "Presence-Call-Direction": "outbound",
            "Channel-HIT-Dialplan": "true" if self.hit_dialplan else "false",
        }
        if self.presence_id and self.state != "CS_NONE":
            block["Channel-Presence-ID"] = self.presence_id
        block["Channel-Call-UUID"] = self.call_uuid
        block["Answer-State"] = self.answer_state
        if self.cause:
            block["Hangup-Cause"] = self.cause
        if self.has_media:
            block |= _CODEC
        if self._caller is None:
            self._caller = self.profile.caller_block()
        return {**block, **self._caller, **self.other}
