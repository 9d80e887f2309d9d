"""Whose leg a record is: of which call, on which side of it, and with whom. Pure.

What the variables of a call that we placed do not say follows from what the switch says of any
leg, by three rules: an inbound first leg is the customer's, an outbound first leg
the agent's, and who joins takes the other side.
"""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from services.cdr.values import Values
from shared.telephony.identity import customer_leg_id
from shared.telephony.records import oldest_profile, text_of
from shared.telephony.words import Direction, Role

_NOBODY = "0000000000"  # the caller id that FreeSWITCH makes up where it has none
_MADE_BY_US = ("originate", "mod_loopback")  # in the source of a leg that nobody called in on


def belonging(raw: Mapping[str, Any], values: Values, leg_id: str) -> dict[str, Any]:
    """Return the columns that say where the leg of a record belongs.

    `leg` is None for one that was placed to join a call of two: only the others say as which.
    """
    who = _Who(raw, values, leg_id)
    role = who.role()
    extension = values.text("extension", "agent_extension") or who.extension(role)
    number = values.text("number", "customer_number") or who.number(role)
    return {
        "call_id": values.cut("call_id", who.call_id),
        "leg": who.leg,
        "direction": who.direction(),
        "role": role,
        "extension": None if extension is None else values.cut("extension", extension),
        "number": None if number is None else values.cut("number", number),
    }


class _Who:
    def __init__(self, raw: Mapping[str, Any], values: Values, leg_id: str) -> None:
        self._values = values
        self._profile = oldest_profile(raw)
        self._side = values.said("cc_side")
        direction = values.said("direction") or _direction(raw)
        self._is_inbound, self._is_outbound = direction == "inbound", direction == "outbound"
        self._listens = values.said("last_app") == "eavesdrop"
        origin = values.said("originating_leg_uuid")
        member = values.said("cc_member_session_uuid") if self._side == "agent" else ""
        self.call_id = values.said("call_id") or member or origin or leg_id
        if origin not in ("", leg_id) or self._side == "agent":
            self.leg: str | None = "b"
        elif self.call_id == leg_id:
            self.leg = "a"
        else:
            self.leg = "b" if leg_id == _second_leg(self.call_id) else None

    def direction(self) -> str | None:
        told = _word(Direction, self._values, "direction", "call_direction")
        if told is not None:
            return told
        if self._listens:
            return Direction.INTERNAL
        if self.leg == "b":
            return Direction.INBOUND if self._joined_inbound() else Direction.CLICK_TO_CALL
        if self._is_inbound:
            return Direction.INBOUND
        return Direction.CLICK_TO_CALL if self._is_outbound else None

    def role(self) -> str | None:
        told = _word(Role, self._values, "role", "leg_role")
        if told is not None:
            return told
        if self._listens:
            return Role.SUPERVISOR
        if self._side in ("agent", "member"):
            return Role.AGENT if self._side == "agent" else Role.CUSTOMER
        direction = self.direction()
        if direction not in (Direction.INBOUND, Direction.CAMPAIGN, Direction.CLICK_TO_CALL):
            return None
        first = Role.AGENT if direction == Direction.CLICK_TO_CALL else Role.CUSTOMER
        return first if self.leg == "a" else first.other

    def extension(self, role: str | None) -> str | None:
        agent = self._values.said("cc_agent").partition("@")[0]
        if role == Role.CUSTOMER:
            origin = self._other("originator")
            is_agents = bool(origin) and not _called_in(origin)
            return agent or (_text(origin, "destination_number") if is_agents else None)
        if role is None:
            return None
        return self._values.said("dialed_user") or agent or self._far_end()

    def number(self, role: str | None) -> str | None:
        if role == Role.CUSTOMER:
            return self._far_end()
        if role != Role.AGENT:
            return None
        if self.leg == "b":
            return _caller(self._profile)
        # uuid;name;number of each leg that was tried, the last one last.
        tried = self._values.said("originated_legs").rpartition(";")[2]
        return tried or _text(self._other("originatee"), "destination_number")

    def _joined_inbound(self) -> bool:
        """Tell whether the first leg called in. A queue's member that we placed has a `call_id`."""
        if self._side == "agent":
            return not self._values.said("call_id")
        return _called_in(self._other("originator"))

    def _far_end(self) -> str | None:
        if self._is_inbound:
            return _caller(self._profile)
        return _text(self._profile, "destination_number")

    def _other(self, which: str) -> Mapping[str, Any]:
        """Return the profile of the leg that made this one, or that this one made."""
        held = self._profile.get(which)
        profiles = held.get(f"{which}_caller_profiles") if isinstance(held, dict) else None
        first = profiles[0] if isinstance(profiles, list) and profiles else None
        return first if isinstance(first, dict) else {}


def _direction(raw: Mapping[str, Any]) -> str | None:
    data = raw.get("channel_data")
    return _text(data, "direction") if isinstance(data, dict) else None


def _called_in(profile: Mapping[str, Any]) -> bool:
    source = _text(profile, "source")
    return source is not None and not any(made in source for made in _MADE_BY_US)


def _caller(profile: Mapping[str, Any]) -> str | None:
    number = _text(profile, "caller_id_number")
    return None if number == _NOBODY else number


def _text(values: Mapping[str, Any], name: str) -> str | None:
    return text_of(values.get(name))


def _word(kind: type[Direction] | type[Role], values: Values, column: str, name: str) -> str | None:
    told = values.text(column, name)
    if told is None:
        return None
    try:
        return kind(told)
    except ValueError:
        values.marks.add(column)
        return None


def _second_leg(call_id: str) -> str | None:
    try:
        return str(customer_leg_id(UUID(call_id)))
    except ValueError:
        return None
