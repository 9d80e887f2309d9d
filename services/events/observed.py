"""One event of the switch, read safely.

Field names and units are those of FreeSWITCH's event socket: times are microseconds since 1970,
as text, `0` for what did not happen.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_LATEST = 253_402_300_799_000_000  # the end of the year 9999
_MOST_DIGITS = 18
_NEVER = (None, "0")
_NOBODY = {"0000000000"}  # the caller id that FreeSWITCH makes up where it has none


@dataclass(frozen=True, slots=True)
class Observed:
    """What one event says. Nothing in it is trusted to be there or to be well-formed."""

    headers: Mapping[str, Any]

    def text(self, name: str) -> str | None:
        """Return a header, None where it is absent, empty or not text."""
        value = self.headers.get(name)
        return value if isinstance(value, str) and value else None

    def variable(self, name: str) -> str | None:
        """Return a channel variable."""
        return self.text(f"variable_{name}")

    def number(self, name: str) -> int | None:
        """Return a header that is a whole number."""
        text = self.text(name)
        is_number = text is not None and text.isascii() and text.isdigit()
        return int(text) if text and is_number and len(text) <= _MOST_DIGITS else None

    def time(self, name: str) -> int | None:
        """Return a time in microseconds, None for what did not happen."""
        if self.headers.get(name) in _NEVER:  # as most are
            return None
        stamp = self.number(name)
        return stamp if stamp and stamp <= _LATEST else None

    @property
    def name(self) -> str:
        """What kind of event it is; the subclass of a CUSTOM one."""
        name = self.text("Event-Name") or ""
        return self.text("Event-Subclass") or name if name == "CUSTOM" else name

    @property
    def stamp(self) -> int:
        """When the switch made the event."""
        return self.time("Event-Date-Timestamp") or 0

    @property
    def core(self) -> str | None:
        """The run of the switch that made the event: another one after each start."""
        return self.text("Core-UUID")

    @property
    def leg_id(self) -> str | None:
        """The channel that the event is about."""
        return self.text("Unique-ID")

    @property
    def is_inbound(self) -> bool:
        """Whether the far end of the leg called us."""
        return self.text("Call-Direction") == "inbound"

    @property
    def address(self) -> str | None:
        """Who is at the far end of the leg.

        The dialled number for a leg that the switch placed: its caller id is swapped with the
        callee's once it is answered, so only the destination stays what it was.
        """
        if self.is_inbound:
            return self.text("Caller-Orig-Caller-ID-Number") or self.text("Caller-Caller-ID-Number")
        return self.variable("dialed_user") or self.text("Caller-Destination-Number")

    @property
    def shown_number(self) -> str | None:
        """The caller id that the leg's phone was shown before the switch swapped it."""
        number = self.text("Caller-Orig-Caller-ID-Number")
        return None if number in _NOBODY else number

    @property
    def partners(self) -> list[str]:
        """The legs that this one may belong to, the surest first."""
        names = (
            "variable_originating_leg_uuid",
            "variable_cc_member_session_uuid",
            "variable_originator",
            "variable_signal_bond",
            "variable_bridge_uuid",
            "Other-Leg-Unique-ID",
            "Channel-Call-UUID",
        )
        return [value for name in names if (value := self.text(name))]

    @property
    def sip_status(self) -> int | None:
        """The SIP status with which the far end refused or ended the leg.

        Not `sip_invite_failure_status`: that is also set to the other leg's, and to the 487 with
        which a phone answers our own CANCEL.
        """
        return self.number("variable_sip_term_status")


def dial_variables(arguments: str) -> dict[str, str]:
    """Return the `{name=value,…}` that a dial string begins with."""
    block = re.match(r"\{([^{}]*)\}", arguments)
    pairs = block.group(1).split(",") if block else []
    return {name: value for name, mark, value in (pair.partition("=") for pair in pairs) if mark}
